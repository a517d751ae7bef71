"""Looking into a built report without a browser."""

import base64
import json
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class Page(HTMLParser):
    """Elements, their attributes and text, as a browser's parser would see them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text("utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self._open: dict[str, str | None] | None = None
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self._open = dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is None:
            self.text += data
        else:
            self.scripts.append((self._open, data))

    def ids(self, kind: str) -> list[str]:
        """``id`` of each element of a class, in order."""
        found = (
            attributes for _, attributes in self.elements if kind in (attributes.get("class") or "").split()
        )
        return [attributes.get("id") or "" for attributes in found]

    def block(self, name: str) -> bytes:
        """The octets of a data block."""
        (text,) = [text for attributes, text in self.scripts if attributes.get("id") == name]
        return zlib.decompress(base64.b64decode(text))

    def data(self, index: int = 0) -> Any:
        """The JSON of scenario ``index``."""
        return json.loads(self.block(f"data-{index}"))
