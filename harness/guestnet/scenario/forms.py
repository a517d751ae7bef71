"""Forms and links of an HTML page, as a browser finds them."""

from html.parser import HTMLParser
from urllib.parse import urljoin

import msgspec


class Form(msgspec.Struct, frozen=True):
    """A form: where it goes to, and its fields with the values that they have on the page."""

    action: str
    fields: dict[str, str]
    boxes: dict[str, str]
    """Of checkboxes, the value when ticked."""


def read_form(page: str, url: str) -> Form | None:
    """The first form of ``page``, which was at ``url``."""
    reader = _Reader()
    reader.feed(page)
    if reader.action is None:
        return None
    return Form(urljoin(url, reader.action), reader.fields, reader.boxes)


def read_link(page: str, url: str) -> str | None:
    """Where the first link of ``page`` leads to."""
    reader = _Reader()
    reader.feed(page)
    return None if reader.link is None else urljoin(url, reader.link)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self._is_open = False
        self.link: str | None = None
        self.fields: dict[str, str] = {}
        self.boxes: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and self.action is None:
            self.action = given.get("action", "")
            self._is_open = True
        elif tag == "a" and self.link is None:
            self.link = given.get("href")
        elif tag == "input" and "name" in given and self._is_open:
            if given.get("type") == "checkbox":
                self.boxes[given["name"]] = given.get("value", "on")
            else:
                self.fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._is_open &= tag != "form"
