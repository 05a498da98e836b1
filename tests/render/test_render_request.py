"""URL, query, headers, method, settings and secrets of a request."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.language.secrets import Secrets
from pipeline.language.slots import fill
from pipeline.model.errors import RenderError
from tests.render.rendering import a_user, an_event, compiled, mistakes, rendered, shown

NASTY = "a/b?c&d=e%#ü 1"


def url_of(url: str, query: dict[str, Any] | None = None, **options: Any) -> str:
    """Return the URL as a dry run shows it."""
    request = {"url": url, "query": query or {}, "body": {}}
    event = an_event(
        {
            "nasty": NASTY,
            "empty": "",
            "n": 5,
            "none": None,
            "list": ["a", 1],
            "dot": "..",
            "no_list": [],
            "no_object": {},
        }
    )
    return shown(rendered(request, event, a_user(), **options)).url


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://x.example", "https://x.example"),
        ("https://x.example/a b?c=ü\n", None),
        ("https://x.example/a/ü", "https://x.example/a/%C3%BC"),
        ("https://x.example/u/{{ user.id }}/e", "https://x.example/u/u1/e"),
        (
            "https://x.example/{{ event.properties.nasty | url_path }}",
            "https://x.example/a/b%3Fc%26d%3De%25%23%C3%BC%201",
        ),
        (
            "https://x.example/{{ event.properties.nasty | replace: '/', '-' }}",
            "https://x.example/a-b%3Fc%26d%3De%25%23%C3%BC%201",
        ),
        ("https://x.example/{{ event.properties.n | plus: 1 }}", "https://x.example/6"),
        (
            "https://x.example/?a={{ event.properties.nasty }}&b=1",
            "https://x.example/?a=a%2Fb%3Fc%26d%3De%25%23%C3%BC%201&b=1",
        ),
        (
            "https://x.example/?a={{ event.properties.gone }}&b={{ event.properties.empty }}&c=",
            "https://x.example/?c=",
        ),
        ("https://x.example/?{{ event.properties.n }}={{ event.id }}", "https://x.example/?5=e1"),
        ("https://x.example/{% if event.id == 'e1' %}one{% else %}two{% endif %}", "https://x.example/one"),
        ("https://x.example/services/${TOK}", "https://x.example/services/${TOK}"),
        ("https://x.example/?k=${TOK}", "https://x.example/?k=%24%7BTOK%7D"),
        ("https://x.example/$${not}", "https://x.example/$%7Bnot%7D"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
    ],
)
def test_a_url_is_encoded_where_values_stand(url: str, wanted: str | None) -> None:
    if wanted is None:
        assert mistakes({"url": url})
        return
    assert url_of(url) == wanted


def test_query_values_are_encoded_and_empty_ones_dropped() -> None:
    query = {
        "a b": "{{ event.properties.nasty }}",
        "gone": "{{ event.properties.gone }}",
        "none": "{{ event.properties.none }}",
        "empty": "{{ event.properties.empty }}",
        "n": "{{ event.properties.n }}",
        "json": "{{ event.properties.list }}",
        "nobody": "{{ event.properties.no_list }}",
        "nothing_in_it": "{{ event.properties.no_object }}",
        "fixed": 7,
        "yes": True,
        "nothing": None,
        "written": "",
        "several": ["x", "{{ event.id }}", "{{ event.properties.gone }}"],
        "key": "${TOK}",
    }
    assert url_of("https://x.example/p?z=1", query) == (
        "https://x.example/p?z=1&a%20b=a%2Fb%3Fc%26d%3De%25%23%C3%BC%201&n=5&json=%5B%22a%22%2C1%5D&fixed=7"
        "&yes=true&written=&several=x&several=e1&key=%24%7BTOK%7D"
    )


@pytest.mark.parametrize("path", ["gone", "none", "empty", "nobody", "nothing"])
def test_an_empty_value_in_the_path_is_a_dead_letter(path: str) -> None:
    for rule in ("null", "omit", "omit_empty"):
        with pytest.raises(RenderError, match="path is missing or empty"):
            rendered(
                {"url": f"https://x.example/u/{{{{ event.properties.{path} }}}}", "missing": rule},
                an_event({"none": None, "empty": "", "nobody": [], "nothing": {}}),
            )


@pytest.mark.parametrize("value", [".", ".."])
def test_a_value_cannot_climb_out_of_the_path(value: str) -> None:
    for url in (
        "https://x.example/u/{{ event.properties.v }}",
        "https://x.example/{{ event.properties.v }}/x",
    ):
        with pytest.raises(RenderError, match="of the URL's path"):
            rendered({"url": url}, an_event({"v": value}))
    two = "https://x.example/{{ event.properties.v }}{{ event.properties.v }}"
    with pytest.raises(RenderError, match="of the URL's path"):
        rendered({"url": two}, an_event({"v": "."}))
    assert rendered(
        {"url": "https://x.example/{{ event.properties.v }}"}, an_event({"v": "a.b..c"})
    ).url.endswith("a.b..c")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://{{ user.id }}.example/", "cannot be templates"),
        ("https://x.example:0/", "no port 0"),
        ("https://[::1]x/", "brackets stand around an IPv6 address"),
        ("https://[v1.x]/", "no IPv6 address"),
        ("https://[fe80::1%eth0]/", "has a zone"),
        ("{{ event.id }}", "cannot be templates"),
        ("ftp://x.example/", "https:// or http://"),
        ("x.example/a", "https:// or http://"),
        ("https:///a", "no valid host"),
        ("https://a:b@x.example/", "auth: basic"),
        ("https://x.example:99999/", "no URL"),
        ("https://x.example/#top", "fragment"),
        ("https://x.example/a b", "white space"),
        ("https://x.example/a/../b", "`.` and `..`"),
        ("https://x.example/{{ evnt.id }}", "did you mean"),
        ("https://${HOST}/", "`HOST` is not set"),
        ("https://x.example/${NOPE}", "`NOPE` is not set"),
        ("https://x.example/${", "not closed"),
        ("", "https:// or http://"),
    ],
)
def test_a_mistake_in_the_url_is_found_at_load(url: str, message: str) -> None:
    found = mistakes({"url": url})
    assert found
    assert any(message in one for one in found), found


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"a": {"b": 1}}, "a parameter is a text, a number or a list of them"),
        ({"a": [[1]]}, "a parameter is a text, a number or a list of them"),
        ({"a{{ event.id }}": 1}, "cannot be a template"),
        ({"a${TOK}": 1}, "cannot be a template"),
    ],
)
def test_a_mistake_in_the_query_is_found_at_load(query: dict[str, Any], message: str) -> None:
    (found,) = mistakes({"query": query})
    assert message in found


def test_a_value_of_a_url_that_would_be_encoded_twice_is_a_warning() -> None:
    twice = "{{ event.id | url_encode }}"
    told = "template: values in a URL are percent-encoded anyway: this one would be so twice"
    found = mistakes({"url": f"https://x.example/{twice}?a={twice}", "query": {"b": [twice]}})
    assert found == [f"{told} (leave `| url_encode` out)"] * 3
    assert mistakes({"url": "https://x.example/", "body": {"a": f"https://y.example/{twice}"}}) == []
    inside = f"https://y.example/{twice}?b={twice}"
    assert mistakes({"url": f"https://x.example/?to={inside}", "query": {"to": inside}}) == []


def test_scheme_host_and_port_may_be_settings() -> None:
    url = "${SCHEME}://${HOST}:${PORT:-8080}/a?b=${TOK}"
    assert (
        url_of(url, settings={"SCHEME": "http", "HOST": "x.example"})
        == "http://x.example:8080/a?b=%24%7BTOK%7D"
    )
    assert url_of("${BASE}/a", settings={"BASE": "https://x.example/api/"}) == "https://x.example/api/a"


def test_secrets_are_filled_into_their_places() -> None:
    secrets = Secrets({"PATH_": "T1/B2/ü?", "QUERY": "a b&c/d", "HEAD": "Bearer x"})
    made = rendered(
        {
            "url": "https://x.example/${PATH_}/{{ user.id }}",
            "query": {"k": "${QUERY}", "m": "${QUERY}{{ event.id }}"},
            "headers": {"Authorization": "${HEAD}", "X-Mixed": "${HEAD} {{ event.id }}"},
        },
        secrets=secrets,
    )
    url, headers, _ = fill(made.url, made.headers, made.body, encoding="json", secrets=secrets)
    assert url == "https://x.example/T1/B2/%C3%BC%3F/u1?k=a%20b%26c%2Fd&m=a%20b%26c%2Fde1"
    assert dict(headers) == {
        "Authorization": "Bearer x",
        "X-Mixed": "Bearer x e1",
        "content-type": "application/json",
    }


def test_no_secret_is_in_what_is_rendered_or_shown() -> None:
    secrets = Secrets({"TOK": "canary-value"})
    template, problems = compiled(
        {
            "url": "https://x.example/${TOK}",
            "query": {"a": "${TOK}"},
            "headers": {"X": "${TOK}"},
            "body": {"a": "${TOK}", "b": "{{ event.id | plus: 1 }}"},
        },
        secrets=secrets,
    )
    assert not problems.found
    with pytest.raises(RenderError) as caught:
        template.render(an_event(), a_user())
    assert "canary" not in str(caught.value)


def test_header_values_are_checked() -> None:
    request = {"headers": {"X-Id": "{{ event.properties.v }}", "X-Text": "a {{ event.properties.v }}"}}
    for bad in ("a\r\nEvil: 1", "a\nb", "a\x00b", "a\x01TOK\x02", "ü", "\x7f", "a" * 9000):
        with pytest.raises(RenderError, match="a header can hold"):
            rendered(request, an_event({"v": bad}))
    headers = dict(rendered(request, an_event({"v": " 5 "})).headers)
    assert headers == {"X-Id": "5", "X-Text": "a  5", "content-type": "application/json"}


def test_values_beside_a_secret_in_a_header_are_checked() -> None:
    request = {"headers": {"X": "${TOK} {{ event.properties.v }}"}}
    assert dict(rendered(request, an_event({"v": "5"})).headers)["X"] == "\x01TOK\x02 5"
    for bad in ("a\nb", "a\x01SID\x02", "ü", "a" * 9000):
        with pytest.raises(RenderError, match="a header can hold"):
            rendered(request, an_event({"v": bad}))


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        ("a\nb ${TOK}", True),
        ("${TOK}\r\nEvil: 1", True),
        ("ü ${TOK}", True),
        ("ü ${TOK} {{ event.id }}", True),
        ("a\n{{ event.id }}", True),
        ("ü{% if event.id %}a{% endif %}", True),
        (" {{- event.id -}}\n\u00fc", True),
        ("${TOK}\n", False),
        ("{% if event.id %}\n  a\n{% endif %}", False),
        ("{%- comment -%}\u00fc{%- endcomment -%}{{ event.id }}", False),
        ("{% capture x %}\u00fc{% endcapture %}{{ x | url_encode }}", False),
        ("{% comment %}a{% endcomment %}\u00fc", True),
        ("a\n{{- event.id -}}\nb", False),
        ("a ${TOK} {{ event.name | default: 'ü' }}\tb\n", False),
    ],
)
def test_what_is_written_in_a_header_is_checked_at_load(value: str, refused: bool) -> None:
    found = mistakes({"headers": {"X": value}})
    assert [one.partition(" (")[0] for one in found] == [
        "header-value: a header can hold printable ASCII only"
    ] * refused


def test_a_header_without_a_value_is_left_out() -> None:
    request = {"headers": {"X-Id": "{{ event.properties.gone }}", "X-N": "5"}}
    assert rendered(request).headers == (("X-N", "5"), ("content-type", "application/json"))
    with pytest.raises(RenderError, match="required value is missing"):
        rendered({"headers": {"X": "{{ event.properties.gone }}"}, "body": {}, "missing": "dead_letter"})


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "webhook-id",
        "Webhook-Signature",
        "a b",
        "a:b",
        "",
        "ü",
    ],
)
def test_names_that_a_webhook_must_not_set_are_refused(name: str) -> None:
    assert mistakes({"headers": {name: "x"}})


def test_headers_are_checked_at_load() -> None:
    assert any("same header" in found for found in mistakes({"headers": {"X-A": "1", "x-a": "2"}}))
    assert any("printable ASCII" in found for found in mistakes({"headers": {"X": "ü"}}))
    assert any(
        "cannot carry" in found
        for found in mistakes({"headers": {"X": "${TOK}"}}, secrets=Secrets({"TOK": "a\nb"}))
    )
    with_secret = {"headers": {"X": "${TOK}"}}
    assert mistakes(with_secret, secrets=None) == []  # a stored version's are looked up when it is sent
    (unknown,) = mistakes(with_secret, secrets=Secrets({}))
    assert "`TOK` is not set" in unknown
    for value, found in ((["a"], "a list"), (None, "null"), (5, "the number 5")):
        assert [f"wrong-type: `headers.X` must be a text, not {found}"] == [
            told.partition(" (")[0] for told in mistakes({"headers": {"X": value}})
        ]


def test_the_content_type_follows_the_encoding_unless_it_is_given() -> None:
    assert rendered({}).headers == (("content-type", "application/json"),)
    assert rendered({}, batch_as="ndjson").headers == (("content-type", "application/x-ndjson"),)
    given = rendered({"headers": {"Content-Type": "application/vnd.api+json"}})
    assert given.headers == (("Content-Type", "application/vnd.api+json"),)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_get_and_delete_have_no_body(method: str) -> None:
    told = f"batch: a batch joins bodies, and {method} has none (use POST)"
    assert mistakes({"method": method}, batch_as="array") == [told]
    assert mistakes({"method": method}, batch_as="array", stored=True) == []
    made = rendered({"method": method, "url": "https://x.example/{{ user.id }}"})
    assert (made.method, made.body, made.headers) == (method, b"", ())
    assert any("has no body" in found for found in mistakes({"method": method, "body": {}}))


def test_other_methods_are_refused() -> None:
    assert [rendered({"method": method}).method for method in ("PUT", "PATCH")] == ["PUT", "PATCH"]
    wish = "`method` must be `POST`, `PUT`, `PATCH`, `GET` or `DELETE`, not the text"
    for method in ("TRACE", "patch"):
        assert any(f'{wish} "{method}"' in found for found in mistakes({"method": method}))


@pytest.mark.parametrize(
    ("url", "query"),
    [
        ("https://x.example/{{ event.properties.long }}", {}),
        ("https://x.example/{{ event.properties.long | url_path }}", {}),
        ("https://x.example/?q={{ event.properties.long }}", {}),
        ("https://x.example/", {"q": "{{ event.properties.long }}"}),
        ("https://x.example/", {"q": ["{{ event.properties.half }}"] * 3}),
    ],
)
def test_an_event_cannot_make_a_url_too_long_to_send(url: str, query: dict[str, Any]):
    with pytest.raises(RenderError, match="the URL has more than 65,536 characters: "):
        rendered({"url": url, "query": query}, an_event({"long": "x" * 65_537, "half": "x" * 30_000}))
    assert len(rendered({"url": url, "query": query}, an_event({"long": "x" * 60_000, "half": "y"})).url)
    assert len(rendered({"url": "https://x.example/" + "x" * 70_000}).url) > 70_000, "that is the config's"
