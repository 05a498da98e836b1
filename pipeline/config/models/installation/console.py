"""The model of `console:` in pipeline.yaml: where it listens, who may log in, and what they may see."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from pipeline.config.models.field_types import NamesOf, Networks, Section, checked, few, problem
from pipeline.config.models.installation.collect import Listen
from pipeline.language.addresses import split_address
from pipeline.language.hosts import to_ascii
from pipeline.language.path_syntax import PathError, parse_path

ConsoleRole = Literal["viewer", "payloads", "operator", "editor"]
_BASE_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_HEADER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST: Final = re.compile(r"[\w.-]+|\[?[0-9A-Fa-f:.]+\]?")
_OURS: Final = frozenset({"host", "cookie", "authorization", "origin", "x-forwarded-for", "hx-request"})


def host_name(text: str) -> str:
    """Return a host as it is compared: ASCII, small letters, no dot at its end. Raises ValueError."""
    if _HOST.fullmatch(text) is None:
        raise ValueError(f"`{text}` is no host name: write it alone, such as `hookline.internal`")
    return to_ascii(text.removeprefix("[").removesuffix("]")).removesuffix(".")


def _base_path(text: str) -> str:
    bare = text.rstrip("/")
    if bare and (_BASE_PATH.fullmatch(bare) is None or {".", ".."} & set(bare.split("/"))):
        raise ValueError(f"`{text}` is no path to put before all others: write one such as `/hookline`")
    return bare


def _header(text: str) -> str:
    if _HEADER.fullmatch(text) is None:
        raise ValueError(f"`{text}` is no name of a header")
    if text.lower() in _OURS or text.lower().startswith("sec-"):
        raise ValueError(f"`{text}` says something else: name the header in which the proxy puts this")
    return text.lower()


def _mask(text: str) -> str:
    try:
        path = parse_path(text, ("event", "user"))
    except PathError as error:
        raise ValueError(f"{error.message}" + (f": {error.hint}" if error.hint else "")) from None
    if not path.parts or not isinstance(path.parts[-1], str):
        raise ValueError(f"`{text}` names no property: write one such as `user.properties.email`")
    return text


def _secrets(values: dict[str, list[str]]) -> dict[str, list[str]]:
    for name, hosts in values.items():
        if _VARIABLE.fullmatch(name) is None:
            raise ValueError(f"`{name}` is no name of a variable: write what stands between `${{` and `}}`")
        if not hosts:
            raise ValueError(f"`{name}` may go nowhere: name hosts, or leave it out")
    return values


Hosts = NamesOf[Annotated[str, AfterValidator(checked(host_name))]]
HeaderName = Annotated[str, AfterValidator(checked(_header))]


class ConsoleProxy(Section):
    """A proxy before the console that logs people in (OIDC and the like)."""

    from_: Networks = Field(
        validation_alias="from",
        min_length=1,
        description="Its addresses, of a chain those of all. These headers are believed from nowhere else.",
        examples=[["10.0.0.5/32"]],
    )
    user_header: HeaderName | None = Field(
        default=None,
        description="The header in which it sends the user's name. From any other address it is refused.",
        examples=["X-Forwarded-User"],
    )
    role_header: HeaderName | None = Field(
        default=None,
        description="The header in which the proxy gives the user's role.",
        examples=["X-Forwarded-Role"],
    )
    role: ConsoleRole = Field(default="viewer", description="The role of users for whom none is sent.")

    @model_validator(mode="after")
    def _whose(self) -> ConsoleProxy:
        if self.role_header is not None and self.user_header is None:
            raise problem("missing-field", "`role_header` says the role of whom `user_header` names: add it")
        return self


class ConsoleSection(Section):
    """Web pages that show and edit the webhooks: `hookline console`, and `hookline up`."""

    listen: Listen = Field(
        default="127.0.0.1:8780",
        description="PORT (this machine only) or HOST:PORT.",
        examples=["0.0.0.0:8780"],
    )
    hosts: Annotated[Hosts, few("hosts", 100)] = Field(
        default_factory=list,
        description="Host names that browsers use for it, besides those of this machine.",
        examples=[["hookline.internal"]],
    )
    base_path: Annotated[str, AfterValidator(checked(_base_path))] = Field(
        default="", description="Prefix of every path.", examples=["/hookline"]
    )
    tokens: str | None = Field(
        default=None,
        min_length=1,
        description="A file of tokens, a line for each: `ROLE NAME SHA256`; relative: beside this file.",
        examples=["console-tokens"],
    )
    behind_proxy: bool = Field(
        default=False,
        description="A proxy in front of it speaks TLS to browsers: cookies are sent over TLS only.",
    )
    proxy: ConsoleProxy | None = Field(
        default=None,
        description="The proxy in front of it.",
        examples=[{"from": ["10.0.0.5/32"], "user_header": "X-Forwarded-User"}],
    )
    read_only: bool = Field(
        default=False, description="Allow no changes of files, job or pending deliveries."
    )
    hide_payloads: bool = Field(
        default=False, description="Hide bodies, properties, samples and user ids from everyone."
    )
    audit: str | None = Field(
        default=None,
        min_length=1,
        description="The file that records who did what; null: `audit.jsonl` in the state directory.",
        examples=["/var/log/hookline/audit.jsonl"],
    )
    mask: Annotated[NamesOf[Annotated[str, AfterValidator(checked(_mask))]], few("mask", 100)] = Field(
        default_factory=list,
        description="Properties that nobody sees in the console.",
        examples=[["user.properties.email"]],
    )
    secrets: (
        Annotated[
            dict[str, Annotated[Hosts, few("hosts", 100)]],
            AfterValidator(checked(_secrets)),
            few("secrets", 1_000),
        ]
        | None
    ) = Field(
        default=None,
        description="Secrets that may be used in the console, each with the hosts that it may go to; null: "
        "all that the job has, to every host.",
        examples=[{"SLACK_PATH": ["hooks.slack.com"]}],
    )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        return split_address(self.listen)
