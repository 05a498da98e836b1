"""Usage errors, all worded alike: what was called, what is missing or wrong, what was probably meant."""

from __future__ import annotations

import re
from typing import Final

import click
from click.core import ParameterSource

from pipeline.cli.page.help_pages import RANGE, bounds
from pipeline.model.words import did_you_mean

_EXTRA: Final = re.compile(r"Got unexpected extra arguments? \((.*)\)")
_NO_CHOICE: Final = re.compile(r"(['\"].*['\"]) is not one of (.*)\.")
_NO_NUMBER: Final = re.compile(r"(['\"].*['\"]) is not a valid (?:integer|float)(?: range)?\.")
_NO_FILE: Final = re.compile(r"(?:File|Directory|Path) (['\"].*['\"]) (does not exist|is a \w+|is not \w+)\.")
_NO_BOOLEAN: Final = re.compile(r"(['\"].*['\"]) is not a valid boolean\.")
_OUTSIDE: Final = re.compile(rf"(\S+) is not in the range {RANGE.pattern}\.")

_UNASKED: Final = ("--yes", "--force", "--no-input")
"""What people say to commands that would ask; those that do have one of them."""


def told(error: click.ClickException, verb: str) -> str:
    """Return what is wrong with a call, and what was meant or where it is explained.

    verb: which was called, where the error does not know it.
    """
    context = error.ctx if isinstance(error, click.UsageError) else None
    called = context.command_path if context else f"hookline {verb}".strip()
    said = _said(error, called)
    if "did you mean" in said or "`hookline " in said.replace(f"`{called}`", ""):
        return said
    return f"{said}\nsee `{called} --help`"


def _said(error: click.ClickException, called: str) -> str:
    if isinstance(error, click.NoSuchOption):
        return _no_option(error, called)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return _missing(error.param, called, error.ctx)
    if isinstance(error, click.BadParameter) and error.param is not None:
        return f"{_named(error.param, error.ctx)}: {_wanted(error.message)}"
    if isinstance(error, click.BadOptionUsage):
        if "requires an argument" in error.message:
            return f"{error.option_name} wants a value behind it"
        return _ticked(error.message)
    extra = _EXTRA.match(error.message)
    if extra is not None:
        return f"`{called}` takes no `{extra[1]}`"
    return error.format_message() if isinstance(error, click.BadParameter) else error.message


def _no_option(error: click.NoSuchOption, called: str) -> str:
    known = [] if error.ctx is None else [
        name for one in error.ctx.command.get_params(error.ctx) if not getattr(one, "hidden", False)
        for name in one.opts
    ]  # fmt: skip
    hint, near = "", did_you_mean(error.option_name, known)
    if error.option_name in _UNASKED:
        hint = ": it asks nothing, leave it out"
        near = next((one for one in known if one in _UNASKED), None)
    hint = f": did you mean `{near}`?" if near else hint
    return f"`{called}` has no `{error.option_name}`{hint}"


def _missing(parameter: click.Parameter, called: str, context: click.Context | None) -> str:
    if not isinstance(parameter, click.Option):
        return f"`{called}` wants {parameter.make_metavar(context or click.Context(click.Command(None)))}"
    told = (parameter.help or "").partition("  [")[0].rstrip(".")
    why = f": {told[:1].lower()}{told[1:]}" if told else ""
    return f"`{called}` wants {_shape(parameter, context)}{why}"


def _shape(option: click.Option, context: click.Context | None) -> str:
    return f"{option.opts[-1]} {option.make_metavar(context or click.Context(click.Command(None)))}"


def _named(parameter: click.Parameter, context: click.Context | None) -> str:
    """Return where a person has written it: a flag, an argument, or a variable of the environment."""
    source = context.get_parameter_source(parameter.name or "") if context else None
    if source is ParameterSource.ENVIRONMENT and isinstance(parameter.envvar, str):
        return parameter.envvar
    return parameter.opts[-1] if isinstance(parameter, click.Option) else (parameter.name or "").upper()


def _wanted(message: str) -> str:
    """Return what is wrong with a value, in the words of the other errors."""
    if found := _NO_CHOICE.match(message):
        word = found[1].strip("'\"")
        known = [one.strip("'\"") for one in found[2].split(", ")]
        close = did_you_mean(word, known)
        return f"`{word}` is none of {', '.join(known)}" + (f": did you mean `{close}`?" if close else "")
    if found := _NO_NUMBER.match(message):
        return f"`{found[1].strip(chr(39) + chr(34))}` is no whole number"
    if found := _NO_BOOLEAN.match(message):
        return f"`{found[1].strip(chr(39) + chr(34))}` is neither 1 nor 0 (yes or no)"
    if found := _OUTSIDE.match(message):
        return f"`{found[1]}` is out of bounds; want {bounds(found)}"
    if found := _NO_FILE.match(message):
        name = found[1].strip("'\"")
        if name.lstrip().startswith(("{", "[")):
            return "expected a file, not a record: write it to one, or pipe it in and say `-`"
        return f"there is no `{name}`" if found[2] == "does not exist" else f"`{name}` {found[2]}"
    return _ticked(message)


def _ticked(message: str) -> str:
    """Return a message with what it quotes in backticks, as all others do."""
    return re.sub(r"'([^']+)'", r"`\1`", message).rstrip(".")
