"""Host names by UTS 46, not transitional: every spelling of a name is one name, and no other one's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver.http.guard import check_url_literal
from pipeline.deliver.http.target import TargetError, parse_origin, parse_proxy
from pipeline.language.hosts import HostError, for_tls, to_ascii, to_unicode
from pipeline.match.operators.addresses import domain_operand, to_domain


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("straße.example", "xn--strae-oqa.example"),
        ("STRASSE.example", "strasse.example"),
        ("faß.de", "xn--fa-hia.de"),
        ("ẞ.de", "xn--zca.de"),
        ("βόλος.gr", "xn--nxasmm1c.gr"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("XN--Bcher-KVA.example", "xn--bcher-kva.example"),
        ("ｅｘａｍｐｌｅ．ｃｏｍ", "example.com"),
        ("example。com", "example.com"),
        ("example\u00ad.com", "example.com"),
        ("\u0915\u094d\u200d\u0937.example", "xn--11b2ezcw70k.example"),
        ("☃.net", "xn--n3h.net"),
        ("r3---sn-abc.example", "r3---sn-abc.example"),
        ("_hook.my_app.example", "_hook.my_app.example"),
        ("example.com.", "example.com."),
        ("127.0.0.1", "127.0.0.1"),
        ("FE80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_a_name_has_one_spelling(written: str, name: str) -> None:
    assert to_ascii(written) == name
    assert to_ascii(name) == name


@pytest.mark.parametrize(
    "written",
    [
        *("a..example", ".example", "", ".", "ex ample.com", "ex%61mple.com", "exa/mple.com", "a:b"),
        *("xn--a.example", "xn--.example", "xn--strasse-.example", "xn--zzzzzz9999.example"),
        *("a" * 64 + ".example", "ü" * 60 + ".example", "a." * 127 + "example"),
        *(
            "ex\u200dample.com",
            "\u0301a.com",
            "\u0660\u0661.com",
            "a\u2028b.com",
            "a\ufffdb.com",
            "xn--" + "a" * 9999,
        ),
    ],
)
def test_what_is_no_name_is_refused(written: str) -> None:
    with pytest.raises(HostError):
        to_ascii(written)


@given(st.text(max_size=30))
def test_any_text_is_a_name_in_ascii_or_refused(text: str) -> None:
    try:
        name = to_ascii(text)
    except HostError:
        return
    assert name.isascii()
    assert name == name.lower() == to_ascii(name)


@pytest.mark.parametrize(
    "host", ["１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "ｌocalhost", "0x7f.1", "2130706433"]
)
def test_no_spelling_of_an_address_passes_the_guard(host: str) -> None:
    origin, _ = parse_origin(f"http://{host}/")
    assert check_url_literal(origin.host) is not None


def test_the_dot_at_the_end_is_for_the_look_up_alone() -> None:
    origin, _ = parse_origin("https://Hooks.example.:8443/in")
    assert (origin.host, for_tls(origin.host)) == ("hooks.example.", "hooks.example")


def test_domains_in_conditions_are_compared_by_name() -> None:
    for written in ("x@Straße.example", "https://xn--strae-oqa.example/x", "STRAßE.example."):
        assert (
            to_domain(written)
            == to_unicode("straße.example")
            == domain_operand("xn--strae-oqa.example", None)
        )
    assert to_domain("x@strasse.example") == "strasse.example" != to_domain("x@straße.example")
    assert to_domain("x@ｅｘａｍｐｌｅ．ｃｏｍ") == "example.com"
    assert to_domain("x@xn--a.example") == "xn--a.example"  # no name, but what is written


@pytest.mark.parametrize(
    ("written", "url", "pair"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128/", None),
        ("HTTPS://Bücher.example", "https://xn--bcher-kva.example/", None),
        ("http://me:p%40ss@proxy.example:3128/", "http://proxy.example:3128/", "bWU6cEBzcw=="),
        ("http://me@proxy.example", "http://proxy.example/", "bWU6"),
        ("http://:pw@proxy.example", "http://proxy.example/", "OnB3"),
        ("http://me:a/b#c@d@proxy.example", "http://proxy.example/", "bWU6YS9iI2NAZA=="),
        ("http://m%C3%BC:%C3%9F@[::1]:8080", "http://[::1]:8080/", "bcO8OsOf"),
    ],
)
def test_a_proxy_is_read_with_its_user_and_password(written: str, url: str, pair: str | None) -> None:
    proxy = parse_proxy(written)
    assert (proxy.url, proxy.authorization) == (url, pair and f"Basic {pair}")


@pytest.mark.parametrize(
    "written",
    ["proxy:3128", "socks5://proxy:1080", "http://", "http://me:s3cr3t%00@proxy", "http://me:s3cr3t%ff@proxy",
     "http://me:s3cr3t@proxy/path", "http://me:s3cr3t@pro xy", "http://me:s3cr3t@proxy:99999"],
)  # fmt: skip
def test_what_is_no_proxy_is_refused_without_its_password(written: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse_proxy(written)
    assert "s3cr3t" not in str(caught.value)
