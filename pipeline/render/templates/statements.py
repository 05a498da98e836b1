"""Liquid's tags inside one value: compiles a list of nodes to one function that writes a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.expressions.primitive import StringLiteral
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.case_tag import CaseNode, MultiExpressionBlockNode
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.builtin.tags.for_tag import BreakNode, ContinueNode, ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.inline_comment_tag import InlineCommentNode
from liquid.builtin.tags.unless_tag import UnlessNode

from pipeline.language.path_syntax import EVENT_ROOTS
from pipeline.language.paths import Getter
from pipeline.language.work import extent, spend
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.render.templates.budget import FREE_TURNS, PER_COMPARED, Run
from pipeline.render.templates.calls import Names
from pipeline.render.templates.expressions import Test, compile_condition, compile_expression
from pipeline.render.templates.output import (
    GO,
    Encode,
    Literal,
    Statement,
    content,
    in_order,
    output,
    running,
)
from pipeline.render.templates.parsing.names import TemplateError
from pipeline.render.values.ordering import equal
from pipeline.render.values.printing import to_count

_PER_STEP = 4
"""Work of one tag or expression in a loop, relative to touching an element."""
_BREAK, _CONTINUE = 1, 2


@dataclass(slots=True, frozen=True)
class Writing:
    """How a template's text is produced."""

    names: Names
    encode: Encode | None
    """Escapes every value for its place; None leaves values as they are."""
    literal: Literal
    uses_forloop: bool = False


def compile_statements(nodes: Sequence[Node], writing: Writing, source: str) -> Getter:
    """Return the function that returns the text of a template with tags."""
    assigned = tuple(_assigned(nodes))
    for name, at in assigned:
        if name in EVENT_ROOTS or name in writing.names.roots:
            raise TemplateError(
                f"`{name}` cannot be assigned: it is a root", at, "choose another name", len(name)
            )
    loops = any(isinstance(node, ForNode) for node in _walk(nodes))
    local = tuple(name for name, _ in assigned) + (("forloop",) if loops else ())
    names = replace(writing.names, roots=writing.names.roots + local, metered=loops)
    block = _block(nodes, replace(writing, names=names, uses_forloop="forloop" in source), silent=False)
    return running(block)


def _walk(nodes: Iterable[Node]) -> Iterable[Node]:
    for node in nodes:
        yield node
        yield from _walk(_children(node))


def _children(node: Node) -> list[Node]:
    match node:
        case BlockNode():
            return list(node.nodes)
        case IfNode() | UnlessNode():
            blocks = [node.consequence, *(alternative.block for alternative in node.alternatives)]
            return [*blocks, *([node.default] if node.default else [])]
        case CaseNode():
            return [
                block.block if isinstance(block, MultiExpressionBlockNode) else block for block in node.blocks
            ]
        case ForNode():
            return [node.block, *([node.default] if node.default else [])]
        case CaptureNode():
            return [node.block]
    return []


def _assigned(nodes: Sequence[Node]) -> Iterable[tuple[str, int]]:
    for node in _walk(nodes):
        match node:
            case AssignNode() | CaptureNode():
                yield str(node.name), node.name.token.start_index
            case ForNode():
                yield str(node.expression.identifier), node.expression.token.start_index


def _block(nodes: Sequence[Node], writing: Writing, *, silent: bool) -> Statement:
    """Return the statements in order; a silent block (whitespace between tags) writes no literal text."""
    statements = [made for node in nodes if (made := _statement(node, writing, silent)) is not None]
    return in_order(statements)


def _inner(block: Node, writing: Writing) -> Statement:
    assert isinstance(block, BlockNode)
    return _block(block.nodes, writing, silent=block.blank)


def _statement(node: Node, writing: Writing, silent: bool) -> Statement | None:
    match node:
        case ContentNode():
            return None if silent else content(writing.literal(node.text, node.token.start_index))
        case OutputNode():  # and {% echo %}
            return output(compile_expression(node.expression, writing.names), writing.encode)
        case UnlessNode():
            return _conditional(node, writing, negate=True)
        case IfNode():
            return _conditional(node, writing, negate=False)
        case CaseNode():
            return _case(node, writing)
        case ForNode():
            return _for(node, writing)
        case AssignNode():
            return _assign(str(node.name), compile_expression(node.expression, writing.names))
        case CaptureNode():
            return _capture(node, writing)
        case BreakNode():
            return lambda run, event, user, scope: _BREAK
        case ContinueNode():
            return lambda run, event, user, scope: _CONTINUE
        case CommentNode() | InlineCommentNode():
            return None
    raise TemplateError(f"`{node.token.value}` cannot stand here", node.token.start_index)


def _assign(name: str, value: Getter) -> Statement:
    def assign(run: Run, event: Event, user: User, scope: dict[str, Value]) -> int:
        scope[name] = value(event, user, scope)
        return GO

    return assign


def _capture(node: CaptureNode, writing: Writing) -> Statement:
    name = str(node.name)

    def no_secret(text: str, offset: int) -> str:
        made = writing.literal(text, offset)
        if "\x01" in made:
            raise TemplateError("a secret cannot be captured: it is put in when the request is sent", offset)
        return text

    block = _inner(node.block, replace(writing, encode=None, literal=no_secret))

    def capture(run: Run, event: Event, user: User, scope: dict[str, Value]) -> int:
        outer, run.parts = run.parts, []
        signal = block(run, event, user, scope)
        scope[name], run.parts = "".join(run.parts), outer
        return signal

    return capture


def _conditional(node: Any, writing: Writing, *, negate: bool) -> Statement:
    first = compile_condition(node.condition, writing.names)
    branches: list[tuple[Test, Statement]] = [
        (
            (lambda event, user, scope: not first(event, user, scope)) if negate else first,
            _inner(node.consequence, writing),
        )
    ]
    for other in node.alternatives:
        branches.append((compile_condition(other.expression, writing.names), _inner(other.block, writing)))
    default = _inner(node.default, writing) if node.default else None

    def conditional(run: Run, event: Event, user: User, scope: dict[str, Value]) -> int:
        for test, block in branches:
            if test(event, user, scope):
                return block(run, event, user, scope)
        return default(run, event, user, scope) if default is not None else GO

    return conditional


def _case(node: CaseNode, writing: Writing) -> Statement:
    subject = compile_expression(node.expression, writing.names)
    whens: list[tuple[list[Getter], Statement]] = []
    default: Statement | None = None
    for block in node.blocks:
        if isinstance(block, MultiExpressionBlockNode):
            values = [compile_expression(value, writing.names) for value in block.expression.expressions]
            whens.append((values, _inner(block.block, writing)))
        else:
            default = _inner(block, writing)

    def case(run: Run, event: Event, user: User, scope: dict[str, Value]) -> int:
        value = _null(subject(event, user, scope))
        if type(value) in (list, dict):
            spend(event, user, extent(value, PER_COMPARED * len(whens)))
        for choices, block in whens:
            if any(equal(value, _null(choice(event, user, scope))) for choice in choices):
                return block(run, event, user, scope)
        return default(run, event, user, scope) if default is not None else GO

    return case


def _null(value: Value | Missing) -> Value:
    return None if value is MISSING else value


def _for(node: ForNode, writing: Writing) -> Statement:
    loop: LoopExpression = node.expression
    if isinstance(loop.offset, StringLiteral) and loop.offset.value == "continue":
        raise TemplateError("`offset: continue` is not supported", loop.offset.token.start_index)
    if loop.cols is not None:
        raise TemplateError("`cols` belongs to a tag that does not exist here", loop.cols.token.start_index)
    name = str(loop.identifier)
    elements = compile_expression(loop.iterable, writing.names)
    limit = compile_expression(loop.limit, writing.names) if loop.limit is not None else None
    offset = compile_expression(loop.offset, writing.names) if loop.offset is not None else None
    body = _inner(node.block, writing)
    steps = sum(1 for _ in _walk([node.block]))
    default = _inner(node.default, writing) if node.default else None
    backwards, describe = loop.reversed, writing.uses_forloop

    def run_loop(run: Run, event: Event, user: User, scope: dict[str, Value]) -> int:
        found: Value = elements(event, user, scope)
        if type(found) in (list, dict):
            # The whole list, even where `limit` and `offset` leave nothing of it.
            spend(event, user, PER_COMPARED * len(found))
        whole = _elements(found)
        if offset is not None:
            whole = whole[max(0, to_count(offset(event, user, scope), "offset")) :]
        if limit is not None:
            whole = whole[: max(0, to_count(limit(event, user, scope), "limit"))]
        if not whole:
            return default(run, event, user, scope) if default is not None else GO
        outer, outer_loop = scope.get(name, MISSING), scope.get("forloop", MISSING)
        signal = GO
        for index, element in enumerate(reversed(whole) if backwards else whole):
            run.turn(steps)
            if run.iterations > FREE_TURNS:
                spend(event, user, _PER_STEP * (steps + 1))
            scope[name] = element
            if describe:
                scope["forloop"] = _forloop(index, len(whole), name, outer_loop)
            signal = body(run, event, user, scope)
            if signal == _BREAK:
                break
        scope[name], scope["forloop"] = outer, outer_loop
        return GO

    return run_loop


def _elements(value: Value | Missing) -> list[Value]:
    if type(value) is list:
        return value
    if type(value) is dict:
        return [[name, one] for name, one in value.items()]
    return [value] if type(value) is str and value else []


def _forloop(index: int, length: int, name: str, parent: Value | Missing) -> dict[str, Value]:
    return {
        "name": name,
        "length": length,
        "index": index + 1,
        "index0": index,
        "rindex": length - index,
        "rindex0": length - index - 1,
        "first": index == 0,
        "last": index == length - 1,
        "parentloop": None if parent is MISSING else parent,
    }
