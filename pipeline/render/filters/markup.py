"""Extracts text from HTML."""

from __future__ import annotations

from html.parser import HTMLParser


class _Stripper(HTMLParser):
    """Collects the text outside tags, scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.kept: list[str] = []
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.depth += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.depth = max(0, self.depth - (tag in ("script", "style")))

    def handle_data(self, data: str) -> None:
        if not self.depth:
            self.kept.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")


def outside_tags(text: str) -> str:
    """Return the text without tags, scripts and styles.

    The parser is quadratic on broken markup such as a long row of "<!".
    """
    stripper = _Stripper()
    stripper.feed(text)
    stripper.close()
    return "".join(stripper.kept)
