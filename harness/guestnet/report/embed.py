"""Data and code inside one HTML file, such that no octet of it can become markup.

Data blocks are base64 of zlib-deflated octets: the alphabet has no character that HTML cares about.
Scripts and styles are our own files; they are refused, not escaped, should one contain a closing tag.
"""

import base64
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

import msgspec

LEVEL: Final = 6
"""zlib's level: 9 gains 1 % of a capture and takes four times as long."""

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "(\.{1,2}/[\w./-]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=async function|function|class|const)", re.MULTILINE)
_DECLARED: Final = re.compile(r"^(?:async function|function|class|const|let) (\w+)", re.MULTILINE)
_CLOSING: Final = re.compile(r"</(script|style)|<!--", re.IGNORECASE)


def assets() -> Traversable:
    """The folder of scripts, styles and the template."""
    return resources.files("guestnet.report") / "assets"


def deflated(octets: bytes) -> str:
    """The text of a data block of the page."""
    return base64.b64encode(zlib.compress(octets, LEVEL)).decode()


def json_block(value: Any) -> str:
    """A data block that holds ``value`` as JSON. Raises TypeError for what JSON can't say."""
    return deflated(msgspec.json.encode(value))


def script_text(value: Any) -> str:
    """``value`` as JSON that may stand inside a script element: ``<``, ``>`` and ``&`` are escaped."""
    text = msgspec.json.encode(value).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def bundle(entry: str, files: Mapping[str, str]) -> str:
    """The module ``entry`` and all that it imports as one script, dependencies first.

    Modules import by relative path and name only, and top-level names are unique over all of them, so
    joining them is enough. Raises ValueError for an import of a file that is not there, files that import
    each other, a name that two files declare, or a closing tag.
    """
    done: dict[str, str] = {}

    def add(path: str, *importers: str) -> None:
        if path in done:
            return
        if path not in files:
            raise ValueError(f"no script {path}")
        if path in importers:
            raise ValueError(f"{path} imports itself by way of {importers[-1]}")
        for match in _IMPORT.finditer(files[path]):
            add(_resolve(path, match[1]), *importers, path)
        done[path] = _EXPORT.sub("", _IMPORT.sub("", files[path]))

    add(entry)
    twice = [
        name for name, count in Counter(_DECLARED.findall("\n".join(done.values()))).items() if count > 1
    ]
    if twice:
        raise ValueError(f"top-level names declared twice: {', '.join(twice)}")
    text = "\n".join(f"// --- {path} ---\n{body}" for path, body in done.items())
    return _inline(text)


def scripts() -> dict[str, str]:
    """Every script below ``assets`` by its path, ``dissect/tcp.js``."""
    return {path: file.read_text("utf-8") for path, file in _walk(assets(), "") if path.endswith(".js")}


def styles(*names: str) -> str:
    """The style sheets ``names`` as one. Raises ValueError for a closing tag."""
    return _inline("\n".join((assets() / name).read_text("utf-8") for name in names))


def digest(text: str) -> str:
    """The source expression by which a Content-Security-Policy allows ``text`` inline."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _inline(text: str) -> str:
    found = _CLOSING.search(text)
    if found:
        raise ValueError(f"{found[0]!r} can't stand in an inline script or style")
    return text


def _resolve(importer: str, target: str) -> str:
    parts = importer.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = f"{prefix}{entry.name}"
        found.extend(_walk(entry, f"{path}/") if entry.is_dir() else [(path, entry)])
    return found
