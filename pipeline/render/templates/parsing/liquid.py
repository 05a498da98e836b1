"""Parsing Liquid: python-liquid's parser with our paths and a short list of tags.

Only its parser is used. The result is compiled to plain functions (expressions.py, statements.py), so that
none of its runtime (undefined values, attribute look-ups, loaders, the clock) is ever reached.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from liquid import Environment, Mode, Token
from liquid.ast import Node
from liquid.builtin.content import Literal as ContentTag
from liquid.builtin.expressions import FilteredExpression, parse_primitive
from liquid.builtin.illegal import Illegal
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.assign_tag import AssignTag
from liquid.builtin.tags.capture_tag import CaptureTag
from liquid.builtin.tags.case_tag import CaseTag
from liquid.builtin.tags.comment_tag import CommentTag
from liquid.builtin.tags.echo_tag import EchoTag
from liquid.builtin.tags.for_tag import BreakTag, ContinueTag, ForTag
from liquid.builtin.tags.if_tag import IfTag
from liquid.builtin.tags.inline_comment_tag import InlineCommentTag
from liquid.builtin.tags.unless_tag import UnlessTag
from liquid.exceptions import LiquidError
from liquid.expression import Expression
from liquid.parser import get_parser
from liquid.stream import TokenStream
from liquid.tag import Tag
from liquid.token import TOKEN_COMMA, TOKEN_EOF, TOKEN_EXPRESSION, TOKEN_OR, TOKEN_OUTPUT

from pipeline.model.words import did_you_mean
from pipeline.render.templates.parsing import slips
from pipeline.render.templates.parsing.names import TemplateError
from pipeline.render.templates.parsing.tokens import tokenize

TAGS: Final = (
    *("assign", "break", "capture", "case", "comment", "continue"),
    *("echo", "for", "if", "raw", "unless"),
)

_UNCLOSED: Final = re.compile(r"expected tag (\w+), found")


class _Inner(TokenStream):
    """The tokens of one expression, whose end has a position."""

    def __init__(self, parent: Token) -> None:
        words = tokenize(parent.value, parent.start_index)
        super().__init__(Token(word.kind, word.text, word.at, parent.source) for word in words)
        self.eof = Token(TOKEN_EOF, "", parent.start_index + len(parent.value), parent.source)


class _Stream(TokenStream):
    def into_inner(self, *, tag: Token | None = None, eat: bool = True) -> TokenStream:
        token = self.current
        if token.kind != TOKEN_EXPRESSION:
            missing = tag or token
            raise TemplateError(f"the tag `{missing.value}` lacks its expression", missing.start_index)
        if eat:
            next(self)
        return _Inner(token)


class _Output(Output):
    def parse(self, stream: TokenStream) -> OutputNode:
        token = stream.eat(TOKEN_OUTPUT)
        inner = stream.expect(TOKEN_EXPRESSION)
        if not inner.value:
            raise TemplateError("the expression is empty", token.start_index, None, len(token.value))
        return OutputNode(token, FilteredExpression.parse(self.env, _Inner(inner)))


class _If(IfTag):
    mode = Mode.STRICT


class _Unless(UnlessTag):
    mode = Mode.STRICT


class _Case(CaseTag):
    def _parse_when_expression(self, stream: TokenStream) -> list[Expression]:
        values = [parse_primitive(self.env, stream)]
        while stream.current.kind in (TOKEN_COMMA, TOKEN_OR):
            next(stream)
            values.append(parse_primitive(self.env, stream))
        stream.expect_eos()
        return values


class _Environment(Environment):
    ternary_expressions = True
    logical_not_operator = True
    logical_parentheses = True
    block_nesting_limit = 20

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        tags: tuple[type[Tag], ...] = (
            *(ContentTag, _Output, Illegal, _If, _Unless, _Case, ForTag, BreakTag, ContinueTag),
            *(AssignTag, CaptureTag, CommentTag, EchoTag, InlineCommentTag),
        )
        for tag in tags:
            self.add_tag(tag)


@cache
def _environment() -> Environment:
    return _Environment(tolerance=Mode.STRICT)


def parse(text: str) -> list[Node]:
    """Return the nodes of a template; raises TemplateError for a mistake."""
    environment = _environment()
    try:
        return get_parser(environment).parse(_Stream(environment.tokenizer()(text)))
    except LiquidError as error:
        raise _explain(error, text) from None
    except RecursionError:
        raise TemplateError("the template is nested too deeply", 0) from None
    except ValueError as error:
        raise TemplateError(str(error), 0) from None


def _explain(error: LiquidError, text: str) -> TemplateError:
    token: Any = error.token
    message = str(error.args[0]) if error.args else "the template has a mistake"
    if token is None or token.start_index < 0:
        offset, found, length = len(text), "", None
    else:
        offset, found, length = token.start_index, token.value, len(token.value) or None
    if token is not None and token.kind == "tag" and "unexpected tag" in message:
        if found.startswith("end") or found in ("else", "elsif", "when"):
            hint = "close what is open, by `endif`, `endfor`, ..." if found == "end" else None
            return TemplateError(f"`{found}` stands outside of its block", offset, hint, length)
        close = slips.OTHER_TAGS.get(found.lower()) or did_you_mean(found, TAGS)
        hint = f"did you mean `{close}`?" if close else "the tags are " + ", ".join(TAGS)
        return TemplateError(f"there is no tag `{found}`", offset, hint, length)
    if "missing tag name" in message:
        return TemplateError("the tag is empty", offset, "the tags are " + ", ".join(TAGS), length)
    if unclosed := _UNCLOSED.match(message):
        tag = unclosed.group(1)
        return TemplateError(f"`{tag}` is missing", offset, f"add {{% {tag} %}}")
    shown = f"`{found}`" if found else "the end"
    if message.startswith("expected word"):
        return TemplateError(f"a filter's name is expected, not {shown}", offset, None, length)
    if message.startswith(("expected end of expression", "unexpected token")):
        hint = slips.unexpected(text, offset)
        return TemplateError(f"{shown} is not expected here", offset, hint, length)
    if message.startswith("expected a comma separated list"):
        return TemplateError(f"a comma is missing before {shown}", offset, None, length)
    if message.startswith("expected a primitive expression"):
        hint = "two signs are enough: `==`, `!=`" if text[offset - 1 : offset + 1] == "==" else None
        return TemplateError(f"a value is expected, not {shown}", offset, hint, length)
    return TemplateError(message.replace("'", "`"), offset, None, length)
