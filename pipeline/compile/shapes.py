"""Own shapes and formats of a config: which shape reads the records of which topic or file."""

from __future__ import annotations

from pipeline.config.yaml.diagnostics import Problems
from pipeline.decode.mapped.conditions import Judge
from pipeline.language.path_syntax import Path
from pipeline.language.record_paths import ROOTS, parse_record_path
from pipeline.match.conditions.compile import compile_condition
from pipeline.model.json import Value


def compile_when(tree: Value, problems: Problems, levels: int) -> Judge:
    """Return the judge of a `when`: conditions of triggers, over paths of records."""
    paths: list[Path] = []

    def parse(text: str) -> Path:
        path = parse_record_path(text, levels)
        paths.append(path)
        return path

    condition = compile_condition(tree, problems, roots=ROOTS, parse=parse)
    clauses = tuple((node.text, node.test) for node in condition.nodes)
    return Judge(condition.whole, clauses, tuple(paths))
