"""The command group: verbs are imported only when they are called, and errors end in one clear line."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click

from pipeline import __version__
from pipeline.cli.output import say
from pipeline.cli.page.help_pages import Context, prepare, with_subcommands
from pipeline.cli.page.usage import told
from pipeline.model.errors import HooklineError, StartAnew, machine_fault, reason
from pipeline.model.process.exits import MEANING, Exit
from pipeline.model.words import meant_or


class Verb(NamedTuple):
    """Where a verb's command is, and its line in ``hookline --help``."""

    place: str
    line: str


GROUPS: dict[str, dict[str, Verb]] = {
    "Run a job": {
        "demo": Verb("jobs.demo:demo", "see it work: a recorded shop becomes webhooks to a local receiver"),
        "run": Verb("jobs.run:run", "run the job: read a stream and fire webhooks"),
        "collect": Verb("jobs.collect:collect", "accept events over HTTP from SDKs, browsers and webhooks"),
        "up": Verb("jobs.up:up", "collect, run and console, side by side"),
        "replay": Verb("jobs.replay:replay", "run a recorded stream again, e.g. for a new webhook"),
        "record": Verb("jobs.record:record", "record the input, for replays"),
        "produce": Verb("jobs.produce:produce", "load a recording into Kafka topics"),
    },
    "Write webhooks": {
        "init": Verb("author.init:init", "create a new project that runs as it is"),
        "sniff": Verb("author.sniff:sniff", "identify the shape of records, or propose a custom one"),
        "check": Verb("author.check:check", "check a config and show every problem"),
        "test": Verb("author.test:test", "run the tests beside the webhooks"),
        "explain": Verb(
            "author.explain:explain", "show which conditions hold for an event, and what is sent"
        ),
        "send": Verb("author.send:send", "send one real request and show the response"),
        "diff": Verb("author.diff:diff", "show what another config would have sent for a recording"),
        "new": Verb("author.new:new", "create a webhook: a commented template or an example"),
        "config": Verb("author.config:config", "show the job's settings and where each comes from"),
        "schema": Verb("author.schema:schema", "print the JSON Schema of config files, for editors"),
    },
    "Look after a job": {
        "status": Verb("state.status:status", "show what was read, and what is delivered, dead and pending"),
        "tap": Verb("watch.tap:tap", "watch a running job, and see why something did not fire"),
        "top": Verb("watch.top:top", "show a live table of the webhooks: rates, pending, failures"),
        "dlq": Verb("state.dlq:dlq", "list, show, export, replay or delete dead letters"),
        "outbox": Verb("state.outbox:outbox", "list pending deliveries, send them now, or drop them"),
        "console": Verb("jobs.console:console", "serve the web console, to view and edit webhooks"),
        "webhook": Verb("state.webhook:webhook", "pause, resume, disable, enable webhooks; edit their files"),
        "state": Verb("state.state:state", "check, compact or rebuild a state directory"),
    },
    "Other": {
        "receiver": Verb("jobs.receiver:receiver", "run a local receiver: show requests, check signatures"),
        "secret": Verb("author.secret:secret", "make a signing secret"),
        "help": Verb("help:help", "explain a verb, or `fields`: the reference of config files"),
        "version": Verb("version:version", "print the version"),
    },
}
VERBS: dict[str, Verb] = {name: verb for group in GROUPS.values() for name, verb in group.items()}


COMPLETES = "_HOOKLINE_COMPLETE"
"""Set where a shell asks what to offer."""


def _debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().ensure_object(dict)["debug"] = True


DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    is_eager=True,
    hidden=True,
    callback=_debug,
    envvar="HOOKLINE_DEBUG",
)


def no_verb(word: str) -> str:
    """Return what is said to whoever calls for a verb that is not there."""
    hint = meant_or(word, VERBS, "see `hookline --help`", likeness=0.5)
    return f"`hookline` has no `{word}`: {hint}"


class Verbs(click.Group):
    """A group that looks its commands up in VERBS and suggests the verb that was meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all verbs, in the order of the help."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command of a verb; None where there is none."""
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        module, attribute = verb.place.split(":")
        command = getattr(importlib.import_module(f"pipeline.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            import orjson  # noqa: F401 - a KeyboardInterrupt raised while it is imported is a segmentation fault

            signal.signal(signal.SIGINT, signal.default_int_handler)
        if COMPLETES in os.environ:
            from pipeline.cli.completion import add_completion

            add_completion(cmd_name, command)
        prepare(command)
        for one in with_subcommands(command):
            if DEBUG not in one.params:
                one.params.append(DEBUG)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve the verb; an unknown one is a usage error with the nearest verb."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(no_verb(args[0]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs in their groups, without importing any."""
        for title, group in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, verb.line) for name, verb in group.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), MEANING[code]) for code in Exit])


@click.group(
    cls=Verbs,
    params=[DEBUG],
    subcommand_metavar="VERB ...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80, "show_default": True},
)
@click.version_option(__version__, message="hookline %(version)s")
def cli() -> None:
    """Turn a stream of product events into webhooks.

    `hookline check` shows what is wrong with a config, `hookline run` runs it. Every verb has its own
    --help. Flags win over the environment (HOOKLINE_...), the environment over config/pipeline.yaml.
    """


cli.context_class = Context


def _is_verb(words: Sequence[str]) -> bool:
    """Return whether the words are a verb and no more: what stands behind it names nothing."""
    command: click.Command | None = cli
    for word in words:
        if not isinstance(command, click.Group):
            return False
        command = command.get_command(Context(command), word)
    return command is not None and words[0] != "help"


def _verb_of(words: Sequence[str]) -> str:
    """Return the verb that words begin with."""
    number = next((n for n in (2, 1) if len(words) >= n and words[0] in VERBS and _is_verb(words[:n])), 0)
    return " ".join(words[:number])


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code."""
    if COMPLETES in os.environ:
        cli.main(prog_name="hookline")  # writes what a shell's completion asks for, and exits
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[1:] and words[-1] == "help" and _is_verb(words[:-1]):
        words = ["help", *words[:-1]]
    settings: dict[str, bool] = {}
    result = None
    try:
        with cli.make_context("hookline", words, obj=settings) as context:
            result = cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            click.echo(error.message, err=True)
        else:
            say(f"error: {told(error, _verb_of(words))}")
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        if sys.stderr.isatty():
            click.echo(err=True)  # what comes next does not stand behind the ^C
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone (`| head`): nothing is wrong, and nothing more can be said.
        return Exit.OK
    except StartAnew as error:
        if arguments is None and "-" not in words:
            from pipeline.runtime.reexec import reexec

            reexec(stopping=error.stopping)
        say(error.shown())
        return error.exit_code
    except HooklineError as error:
        if settings.get("debug"):
            raise
        say(error.shown())
        return error.exit_code
    except Exception as error:
        if settings.get("debug"):
            raise
        disk = machine_fault(error)
        if disk is not None:
            say(disk.shown())
            return disk.exit_code
        if isinstance(error, OSError) and error.filename:
            # A file or folder that cannot be read or written: the person's to mend, not ours.
            say(f"error: {error.filename}: {reason(error)}")
            return Exit.PROBLEMS
        say(f"error: {type(error).__name__}: {error}")
        say("This is a bug of Hookline; the same command with --debug shows where.")
        return Exit.FATAL
    finally:
        _give_up_output()
    return result if isinstance(result, int) else Exit.OK


def _give_up_output() -> None:
    """Drop what cannot be printed: the interpreter would try once more, and end with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, HooklineError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
