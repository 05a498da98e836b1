"""Secrets that a receiver sends back, in every form that its libraries may have given them."""

from __future__ import annotations

import base64
import html
import json
import quopri
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver.requests.credentials import UsedSecrets
from pipeline.deliver.requests.excerpt import MAX_EXCERPT, excerpt
from pipeline.language.secrets import Secrets
from pipeline.model.masking import RUN, Masks, escaped

SECRETS = {
    "plain": "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "signs": "p=4/Zr+q&7'x\"y<k>\\end=",
    "base64": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==",
    "unicode": "pässwört-größe \N{PILE OF POO} ende",
    "short": "a$c%1",
    "url": "https://hooks.example/T00000/B0000/Xy12",
}


def _units(text: str, form: str) -> str:
    return "".join(sign if sign.isalnum() and sign.isascii() else form % ord(sign) for sign in text)


def _every(text: str, form: str) -> str:
    return "".join(form % ord(sign) if sign < "\uffff" else sign for sign in text)


def _base64(before: str, text: str) -> str:
    return base64.b64encode(f"{before}{text}yz".encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "json": json.dumps,
    "json in json": lambda text: json.dumps(json.dumps({"a": text})),
    "json in json in json": lambda text: json.dumps(json.dumps(json.dumps([text]))),
    "gson": lambda text: json.dumps(text).replace("=", "\\u003d").replace("'", "\\u0027"),
    "decimal entities": lambda text: _units(text, "&#%d;"),
    "hex entities": lambda text: _units(text, "&#x%x;"),
    "html": html.escape,
    "html twice": lambda text: html.escape(html.escape(text)),
    "every letter in JSON": lambda text: _every(text, "\\u%04x"),
    "every letter in HTML": lambda text: _every(text, "&#%d;"),
    "every byte in percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "hex with colons": lambda text: text.encode().hex(":"),
    "hex dump": lambda text: text.encode().hex(" ", 4),
    "base64 in lines": lambda text: base64.encodebytes(("x" * 50 + text + "y" * 40).encode()).decode(),
    "repr": repr,
    "ascii": ascii,
    "bytes": lambda text: repr(text.encode()),
    "hex escapes": lambda text: "".join(
        chr(b) if chr(b).isalnum() and b < 128 else f"\\x{b:02x}" for b in text.encode()
    ),
    "percent": lambda text: quote(text, safe=""),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent, small": lambda text: quote(text, safe="").lower(),
    "quoted-printable": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    "hex": lambda text: text.encode().hex(),
    "hex, capitals": lambda text: text.encode().hex().upper(),
    **{f"base64 at {before}": partial(_base64, "x" * before) for before in range(5)},
    "url-safe base64": lambda text: base64.urlsafe_b64encode(f"ab{text}c".encode()).decode(),
}
LONG_ONLY: dict[str, Callable[[str], str]] = {
    "capitals": str.upper,
    "small letters": str.lower,
    "backwards": lambda text: text[::-1],
}


def show(value: str, echoed: str) -> str:
    secrets = UsedSecrets(Secrets({"KEY": value}))
    secrets.expand("${KEY}")
    return excerpt(f"you sent {echoed} !".encode("utf-8", "backslashreplace"), secrets)


TOO_SHORT = ("base64", "url-safe base64", "hex", "base64 in lines")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SECRETS)
def test_no_form_shows_a_secret(name: str, form: str) -> None:
    value = SECRETS[name]
    echoed = FORMS[form](value)
    if name == "short" and form.split(" at ")[0].split(",")[0] in TOO_SHORT:
        return  # six characters of base64 would be found everywhere
    shown = show(value, echoed)
    assert "${KEY}" in shown, shown
    for run in RUN.findall(value):
        assert run.lower() not in shown.lower()
    assert value not in shown
    if "base64" not in form:
        assert shown.count("${KEY}") > 1 or len(shown) < len("you sent  !") + len("${KEY}") + 24, shown


@pytest.mark.parametrize("form", LONG_ONLY)
def test_nor_do_capitals_or_the_other_direction(form: str) -> None:
    value = SECRETS["plain"]
    assert show(value, LONG_ONLY[form](value)) == "you sent ${KEY} !"


def test_what_another_webhook_sent_is_masked_as_well_and_a_token_that_was_issued() -> None:
    shared = Secrets({"A": "secret-of-a-11", "B": "secret-of-b-22"})
    one, two = UsedSecrets(shared), UsedSecrets(shared)
    one.expand("${A}")
    two.expand("${B}")
    two.remember("issued.token+value==", "${oauth2 token}")
    assert excerpt(b"secret-of-b-22 issued.token\\u002bvalue\\u003d=", one) == "${B} ${oauth2 token}"


def test_tokens_that_replace_one_another_displace_no_secret_and_do_not_add_up() -> None:
    inner = Secrets(SECRETS | {"REFRESH": "r0-configured"})
    one, two = UsedSecrets(inner), UsedSecrets(inner)
    one.expand("${plain} ${REFRESH}")
    two.remember("token-of-two", "${oauth2 token}", is_token=True)
    for number in range(5000):
        one.remember(f"token-{number:04}-of-one", "${oauth2 token}", is_token=True)
        one.remember("r0-configured", "${oauth2 refresh token}", is_token=True)  # many give back the same
    secret = SECRETS["plain"]
    assert one.mask(f"{secret} r0-configured") == "${plain} ${REFRESH}"
    assert one.mask("token-4998-of-one token-of-two") == "${oauth2 token} ${oauth2 token}"
    assert one.mask("token-0001-of-one") == "token-0001-of-one"


def test_a_pattern_of_an_escaped_secret_is_made_for_a_text_that_may_hold_it() -> None:
    masks = Masks()
    for number in range(100):
        masks.add(f"secret+{number}", "*")
    before = escaped.cache_info().misses
    assert masks.mask("nothing of theirs") == "nothing of theirs"
    assert escaped.cache_info().misses == before
    assert masks.mask("secret%2B7\\u002b") == "*\\u002b"


@given(st.text(min_size=4, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_a_secret_never_stands_there_as_it_is(value: str, before: str, after: str) -> None:
    masks = Masks()
    masks.add(value, "*")
    assert value not in masks.mask(before + value + after)


@pytest.mark.parametrize(
    "answer", ["\\" * 2**20, "%25" * 2**18, "&amp;" * 2**18, "p" * 2**20, "&#0000000" * 2**17]
)
def test_a_long_answer_is_looked_through_in_no_time(answer: str) -> None:
    secrets = UsedSecrets(Secrets(SECRETS))
    for name in SECRETS:
        secrets.expand("${%s}" % name)  # noqa: UP031  # braces of a placeholder
    began = time.process_time()
    assert len(excerpt(answer.encode(), secrets)) <= MAX_EXCERPT
    assert time.process_time() - began < 1
