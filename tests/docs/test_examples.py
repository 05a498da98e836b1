"""What the pages show and do not run: YAML that `check` takes, commands that have these verbs and flags."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from pipeline.cli.app import cli, run
from pipeline.config.models.installation.job import PipelineFile
from tests.kit.tour import PAGES, ROOT, Block, blocks

SHOP = "name: shop\nrecords: [{event: {name: type, user_id: uid}}]\n"
"""What the pages call a custom shape of theirs."""
WEBHOOK = {"id": "shown", "trigger": {"events": ["Purchase"]}, "request": {"url": "https://example.com/"}}

_INLINE = re.compile(r"`(hookline\s[^`]+)`")
_DOTS = {"..", "...", "VERB"}


def shown() -> Iterator[Block]:
    for path in PAGES:
        yield from blocks(path)


EXAMPLES = [block for block in shown() if block.language == "yaml" and not block.reason]


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: f"{Path(block.page).name}:{block.line}")
def test_yaml_on_a_page_is_what_check_takes(block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A block is a pipeline.yaml, a shape or a webhook, by its fields; a part of a webhook is completed."""
    value = yaml.safe_load(block.text)
    for folder in ("webhooks", "shapes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "webhooks" / "one.yaml").write_text(yaml.safe_dump(WEBHOOK))
    (tmp_path / "shapes" / "shop.yaml").write_text(SHOP)
    if "records" in value:
        (tmp_path / "shapes" / f"{value['name']}.yaml").write_text(block.text)
    elif value.keys() & {"trigger", "request"}:
        rest = {name: of for name, of in WEBHOOK.items() if name not in value}
        # The text as it stands, for `check` reads YAML more strictly than the parser that finds the fields.
        (tmp_path / "webhooks" / "one.yaml").write_text(block.text + (yaml.safe_dump(rest) if rest else ""))
    else:
        assert value.keys() <= PipelineFile.model_fields.keys()
        (tmp_path / "pipeline.yaml").write_text(block.text)
    code = run(["check", "-c", str(tmp_path), "--offline"])
    assert code == 0, capsys.readouterr().out


def told() -> Iterator[tuple[str, str]]:
    """Yield every command of a page that no test runs, with its place: in a sentence, or in a block."""
    for path in PAGES:
        page = path.relative_to(ROOT).as_posix()
        text = re.sub(r"^( *)```.*?^\1```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        yield from ((page, " ".join(found.split())) for found in _INLINE.findall(text))
        for block in blocks(path):
            if block.language in ("sh", "text", "ini", "yaml") and not block.part:
                for line in block.text.replace("\\\n", " ").splitlines():
                    for found in re.findall(r"(?:^|[ /$]|run: )(hookline [a-z][^#|>&]*)", line):
                        yield f"{page}:{block.line}", found


def test_commands_that_are_told_have_these_verbs_and_flags():
    context = click.Context(cli, info_name="hookline")
    for place, command in dict.fromkeys(told()):
        words = [word for word in shlex.split(command.replace("'", '"'))[1:] if word not in _DOTS]
        one: click.Command = cli
        while words and isinstance(one, click.Group) and not words[0].startswith("-"):
            found = one.get_command(context, words[0].partition("|")[0])
            assert found is not None, f"{place}: `{command}` has no verb {words[0]}"
            one, words = found, words[1:]
        flags = {flag for option in one.params for flag in (*option.opts, *option.secondary_opts)}
        flags |= {"--help", "--version", "-h"}
        for word in words:
            if word.startswith("-") and word != "-":
                assert word.partition("=")[0] in flags, f"{place}: `{command}` has no {word}"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_the_unit_of_systemd_is_one(tmp_path: Path):
    [unit] = [block.text for block in blocks(ROOT / "docs" / "operations.md") if block.language == "ini"]
    path = tmp_path / "hookline.service"
    # What is not on this machine is replaced: the user, the program, the folder.
    path.write_text(
        unit.replace("User=hookline", "User=root").replace("/opt/hookline/bin/hookline", "/bin/true")
    )
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, timeout=30)
    assert str(path.name) not in done.stderr, done.stderr


def test_the_runbook_says_of_every_alert_what_to_do():
    rules = yaml.safe_load((ROOT / "docker" / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
    rows = re.findall(
        r"^\| (Hookline\w+) \| (\w+) \|", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE
    )
    assert sorted(rows) == sorted((rule["alert"], rule["labels"]["severity"]) for rule in rules)
