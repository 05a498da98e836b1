"""A condition given on the command line, in the language of the config."""

from __future__ import annotations

from pipeline.config.yaml.diagnostics import Problems
from pipeline.config.yaml.loader import parse_yaml
from pipeline.config.yaml.locating import place
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Condition
from pipeline.match.labels import Labels
from pipeline.model.errors import UsageError
from pipeline.model.findings import render_finding


def parse_condition(text: str, labels: Labels) -> Condition:
    """Return the compiled condition. Raises UsageError with every problem and its place in the text."""
    document = parse_yaml(text, "flag --where")
    found = list(document.findings)
    if document.root is not None and not found:
        problems = Problems()
        condition = compile_condition(document.root.value, problems, labels=labels)
        found = [place(document, problem) for problem in problems.found]
        if not any(not one.warning for one in found):
            return condition
    raise UsageError("\n".join(render_finding(one) for one in found))
