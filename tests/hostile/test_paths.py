"""Values in a URL's path: none leaves its folder, also where a receiver decodes before it routes."""

from __future__ import annotations

from posixpath import normpath
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.errors import RenderError
from tests.render.rendering import a_user, an_event, compiled, rendered

URLS = (
    "https://x.example/contacts/{{ event.properties.v }}/notes",
    "https://x.example/{{ event.properties.v }}/notes",
    "https://x.example/contacts/{{ event.properties.v }}",
    "https://x.example/contacts/{{ event.properties.v | downcase }}/notes",
    "https://x.example/contacts/{% if true %}{{ event.properties.v }}{% endif %}/notes",
    "https://x.example/contacts/{% assign x = event.properties.v %}{{ x }}/notes",
)
CLIMBING = (
    *(
        "../admin/x",
        "x/../../admin/x",
        "/../admin/x",
        "/..",
        "./../admin/x",
        "/admin",
        "/",
        "//e.example",
    ),
    *("..\\admin", "a\\b", "\\", "a\x00b", "a\r\nb", "a\tb", "a\x7fb", "a\x85b", "a\x9fb", "\x1b[2J"),
)
WITHIN = ("..", ".", "..;x", ".;", "..;/../a")


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("value", CLIMBING)
def test_a_value_that_would_leave_its_folder_is_a_dead_letter(url: str, value: str) -> None:
    with pytest.raises(RenderError, match=r"begins with `/` or |of the URL's path"):
        rendered({"url": url}, an_event({"v": value}))


def test_a_slash_inside_a_value_is_data() -> None:
    made = rendered({"url": URLS[0]}, an_event({"v": "a/b?c#d %25"}))
    assert made.url == "https://x.example/contacts/a%2Fb%3Fc%23d%20%2525/notes"
    made = rendered({"url": "https://x.example/contacts/a-{{ event.properties.v }}"}, an_event({"v": "../x"}))
    assert made.url == "https://x.example/contacts/a-..%2Fx"


@pytest.mark.parametrize("value", WITHIN)
@pytest.mark.parametrize("rule", ["", " | url_path"])
def test_a_dot_segment_is_a_dead_letter_whatever_the_template_says(value: str, rule: str) -> None:
    url = f"https://x.example/a/{{{{ event.properties.v{rule} }}}}/b"
    with pytest.raises(RenderError, match=r"webhooks/w\.yaml"):
        rendered({"url": url}, an_event({"v": value}))


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/a%2F{{ event.properties.v }}/b",
        "https://x.example/a%5c{{ event.properties.v }}%5Cb",
        "https://x.example/.{{ event.properties.dot }}/b",
        "https://x.example/%2E{{ event.properties.dot }}/b",
        "https://x.example/{{ event.properties.dot }}{{ event.properties.dot }}",
    ],
)
def test_nor_do_values_make_one_with_the_text_around_them(url: str) -> None:
    with pytest.raises(RenderError, match="of the URL's path"):
        rendered({"url": url}, an_event({"v": "..", "dot": "."}))


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("a/b c", "/p/a/b%20c/q"),
        ("/pricing", "/p//pricing/q"),
        ("a?b#c%2F..", "/p/a%3Fb%23c%252F../q"),
        ("\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}/x", "/p/%EF%BC%8E%EF%BC%8E/x/q"),
        (5, "/p/5/q"),
    ],
)
def test_url_path_lets_several_segments_through(value: object, sent: str) -> None:
    url = "https://x.example/p/{{ event.properties.v | url_path }}/q"
    assert urlsplit(rendered({"url": url}, an_event({"v": value})).url).path == sent


@pytest.mark.parametrize(
    "call", ["url_path | append: '/../x'", "url_path | prepend: '/'", "url_path | replace: 'a', '..'"]
)
def test_what_another_filter_makes_of_it_is_judged_anew(call: str) -> None:
    url = f"https://x.example/p/{{{{ event.properties.v | {call} }}}}/q"
    with pytest.raises(RenderError, match="URL's path"):
        rendered({"url": url}, an_event({"v": "a/b"}))


def test_outside_of_a_path_it_is_a_text_like_others() -> None:
    made = rendered(
        {
            "url": "https://x.example/?q={{ event.properties.v | url_path }}",
            "body": {
                "a": "{{ event.properties.v | url_path }}",
                "b": "<{{ event.properties.v | url_path }}>",
            },
        },
        an_event({"v": "a b/c"}),
    )
    assert made.url == "https://x.example/?q=a%2520b%2Fc"
    assert made.body == b'{"a":"a%20b/c","b":"<a%20b/c>"}'


PIECES = st.lists(
    st.sampled_from(
        [".", "..", "/", "\\", "%2f", "%2e", "%5C", ";", "a", "\N{FULLWIDTH SOLIDUS}", "\x00", "?"]
    )
)
FOLDER, _ = compiled({"url": "https://x.example/in/{{ event.properties.v }}/out"})
SEVERAL, _ = compiled({"url": "https://x.example/in/{{ event.properties.v | url_path }}/out"})


@given(PIECES)
def test_no_mixture_leaves_its_folder(pieces: list[str]) -> None:
    for template in (FOLDER, SEVERAL):
        try:
            path = urlsplit(template.render(an_event({"v": "".join(pieces)}), a_user()).url).path
        except RenderError:
            continue
        seen = unquote(path).replace("\\", "/")
        assert normpath(seen).startswith("/in/")
        assert template is SEVERAL or path.count("/") == 3
