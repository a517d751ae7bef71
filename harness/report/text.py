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

_VISIBLE: Final[dict[int, str]] = (
    {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
    | {0x7F: "\u2421"}
    | {
        code: f"\u27e8U+{code:04X}\u27e9"
        for code in [*range(0x80, 0xA0), 0x2028, 0x2029, 0xFEFF, *map(ord, _BIDI)]
    }
    | dict.fromkeys(range(55296, 57344), "�")
)


def visible(text: str) -> str:
    """``text`` with control, direction and surrogate characters replaced by ones that can be seen."""
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_VISIBLE)


def terminal(text: str) -> str:
    """What a terminal would have shown of ``text``, roughly: no escapes, plain line ends."""
    return visible(_ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def first_line(text: str) -> str:
    """The first line that is not empty, without the white space around it."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
