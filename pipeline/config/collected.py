"""Checks of `collect:` across fields: missing secrets, conflicting keys, unknown shapes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final

from pipeline.config.models.installation.collect import CollectSection
from pipeline.config.models.installation.source import JsonlSource, KafkaSource, SourceSection, TopicSettings
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.config.yaml.placeholders import expanded, sound_refs
from pipeline.language.secrets import Secrets
from pipeline.model.json import Value, map_at

COLLECTED = "collected"
"""The format of a collector's topic: each message names its protocol."""


_UNMARKED: Final = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
"""What a shell would take for a variable."""


def is_collect_secret(path: KeyPath) -> bool:
    """Return whether the text at this place of pipeline.yaml is only resolved by the collector."""
    if path[:2] == ("collect", "keys"):
        return len(path) >= 4 and path[3] == "key"
    return path[:2] == ("collect", "hooks") and len(path) >= 4 and path[3] == "verify"


def collect_secrets(section: CollectSection) -> Iterator[tuple[KeyPath, str]]:
    """Yield the clients' keys and the webhooks' secrets, as written, with their places."""
    for name, key in section.keys.items() if isinstance(section.keys, dict) else ():
        for index, text in enumerate(key.key):
            yield ("collect", "keys", name, "key", index), text
    for name, hook in section.hooks.items():
        scheme, texts = hook.verify.way
        for index, text in enumerate(texts):
            yield ("collect", "hooks", name, "verify", scheme, index), text


def hook_formats(section: CollectSection) -> list[tuple[KeyPath, str]]:
    """Return the shapes that incoming webhooks name, with their places."""
    return [(("collect", "hooks", name, "format"), hook.format) for name, hook in section.hooks.items()]


def check_collect(
    section: CollectSection, secrets: Secrets, problems: Problems, *, needs_secrets: bool
) -> None:
    """Report missing or empty secrets, and duplicate keys.

    needs_secrets: False for a process that does not use them; then only the texts can be compared. No message
    contains a key.
    """
    for path, format in hook_formats(section):
        if format == COLLECTED:
            told = f"`{COLLECTED}` is the format of what the collector writes, not of what it is sent"
            problems.error(path, "wrong-value", told, hint="name the shape of the sender's requests")
    seen: dict[str, KeyPath] = {}
    for path, text in collect_secrets(section):
        value = _value(path, text, secrets, problems, needs_secrets)
        if value is None:
            continue
        if not value.strip() or value != value.strip() or not value.isprintable():
            told = (
                "is empty" if not value.strip() else "has spaces around it, or signs that no header can hold"
            )
            problems.error(path, "wrong-value", f"the secret of `{_name(path)}` {told}")
        elif path[1] == "keys":
            if _UNMARKED.fullmatch(text):
                told = f"the key of `{_name(path)}` begins with `$`, and is taken as it is written"
                problems.warn(
                    path, "placeholder", told, hint="a variable is `${NAME}`, a file `${file:PATH}`"
                )
            if value in seen:
                other = _name(seen[value])
                told = (
                    f"`{other}` has the same key"
                    if other != _name(path)
                    else "the same key stands here twice"
                )
                problems.error(path, "same-key", f"{told}: nobody could tell whose events are whose")
            seen.setdefault(value, path)


def check_places(section: CollectSection, state: str, problems: Problems) -> None:
    """Report a recording inside, or around, the state directory."""
    recording = section.to.recording
    if recording is None:
        return
    kept, own = os.path.realpath(recording), os.path.realpath(state)
    if os.path.commonpath([kept, own]) in (kept, own):
        message = f"the recording `{recording}` and the state directory `{state}` lie in one another"
        hint = "give each a folder of its own"
        problems.error(("collect", "to", "recording"), "same-folder", message, hint=hint)


def check_read(section: CollectSection, source: SourceSection, problems: Problems) -> None:
    """Warn where the job does not read what is collected."""
    recording, kafka = section.to.recording, section.to.kafka
    if kafka is not None:
        topics = source.kafka
        is_read = topics is not None and kafka.topic in (*topics.events, *topics.users, *topics.topics)
    else:
        paths = [] if source.jsonl is None else source.jsonl.inputs()
        is_read = recording is not None and any(
            os.path.realpath(path) == os.path.realpath(recording) for path in paths
        )
    if not is_read:
        kept = recording if kafka is None else f"the topic {kafka.topic}"
        message = f"the job reads what `source` says, and nobody reads what is collected in {kept}"
        problems.warn(("source",), "not-read", message, hint="leave `source` out: then it does", on_key=True)


def _name(path: KeyPath) -> str:
    return ".".join(map(str, path[1:3]))


def _value(path: KeyPath, text: str, secrets: Secrets, problems: Problems, needs_secrets: bool) -> str | None:
    if not needs_secrets and sound_refs(path, text, problems) != []:
        return None
    return expanded(path, text, secrets, problems)


def followed(section: CollectSection) -> JsonlSource | KafkaSource:
    """Return what a job without a source reads: what the collector keeps."""
    kafka = section.to.kafka
    if kafka is None:
        assert section.to.recording is not None  # the model guarantees one of them
        return JsonlSource(paths=[section.to.recording], follow=True)
    topics = {kafka.topic: TopicSettings(format=COLLECTED)}
    return KafkaSource(brokers=kafka.brokers, topics=topics, settings=kafka.settings)


def add_collected(formats: dict[str, Value], section: dict[str, Value]) -> None:
    """Add the shape of the collector's topic to the topics' formats, unless it has one.

    section: `collect`, as written.
    """
    topic = map_at(section, "to", "kafka").get("topic")
    if isinstance(topic, str):
        formats["topics"] = {topic: COLLECTED} | formats.get("topics", {})


def masked_collect(path: KeyPath, value: Value) -> Value:
    """Return the parts of `collect.keys` and `collect.hooks` that may be shown: names, origins, protocols,
    shapes.
    """
    if path not in (("collect", "keys"), ("collect", "hooks")) or not isinstance(value, dict):
        return value
    return {
        name: {field: _hidden(inner) if field in ("key", "verify") else inner for field, inner in one.items()}
        for name, one in value.items()
    }


def _hidden(value: Value) -> Value:
    return dict.fromkeys(value, "***") if isinstance(value, dict) else "***"
