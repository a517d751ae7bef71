"""Hostile text made harmless before it reaches a page.

Guest output, host names and packets may hold terminal escapes, control characters, or direction overrides
that make a line read as what it is not. Markup needs no care here: the template escapes and the scripts
only ever set text.
"""

import re
from typing import Final

# ECMA-48: CSI sequences, OSC strings up to BEL or ST, and two-character escapes.
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_a-z=>78])")
_BIDI: Final = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

_HIDDEN: Final = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, *map(ord, _BIDI)]
_VISIBLE: Final = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in _HIDDEN
    if chr(code) not in "\n\t"
} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def visible(text: str) -> str:
    """``text`` with control and direction characters written as ``\\x1b`` and ``\\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_VISIBLE)


def terminal(text: str) -> str:
    """What a terminal would have shown of ``text``, roughly: no escapes, plain line ends."""
    return visible(_ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def first_line(text: str) -> str:
    """The first line that is not empty, without the white space around it."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
