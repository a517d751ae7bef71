"""On which line of a TOML text a key is: tomllib does not tell.

A scanner of TOML 1.0 that knows its structure but not its values. It relies on the text being valid: tomllib
has read it before.
"""

import re
from typing import Final

Place = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}\n#]*")
_STRING: Final = re.compile(
    r'''
    """ (?: [^"\\] | \\. | "(?!"") )* "{3,5}
    | '{3} (?: [^'] | '(?!'') )* '{3,5}
    | " (?: [^"\\\n] | \\. )* "
    | ' [^'\n]* '
    ''',
    re.DOTALL | re.VERBOSE,
)


def line_of(text: str, place: Place) -> int:
    """The line, from 1, of the key or list element at ``place`` in the valid TOML ``text``.

    When the text has no such place, the line of the innermost table or list that should have it.
    """
    lines = _Scanner(text).scan()
    for length in range(len(place), 0, -1):
        if place[:length] in lines:
            return lines[place[:length]]
    return 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[Place, int] = {}
        self._elements: dict[Place, int] = {}
        """How many elements each array of tables has so far."""

    def scan(self) -> dict[Place, int]:
        """The line of every key and list element."""
        table: Place = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Place:
        many = self._text.startswith("[[", self._at)
        start = self._at
        self._at += 2 if many else 1
        keys = self._dotted()
        self._at += 2 if many else 1
        place: Place = ()
        for key in keys[:-1]:
            place = self._last((*place, key))
        place = (*place, keys[-1])
        if many:
            self._note(place, start)
            self._elements[place] = self._elements.get(place, 0) + 1
        place = self._last(place)
        self._note(place, start)
        return place

    def _last(self, place: Place) -> Place:
        """In an array of tables, a header's key means its last element."""
        return (*place, self._elements[place] - 1) if place in self._elements else place

    def _pair(self, table: Place) -> None:
        start = self._at
        place = table
        for key in self._dotted():
            place = (*place, key)
            self._note(place, start)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(place)

    def _dotted(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            quoted = self._text[self._at] in "\"'"
            match = (_STRING if quoted else _BARE_KEY).match(self._text, self._at)
            assert match is not None, "tomllib lets only valid TOML through"
            keys.append(match[0][1:-1] if quoted else match[0])
            self._at = match.end()
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _value(self, place: Place) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._list(place)
        elif opening == "{":
            self._inline_table(place)
        else:
            string = _STRING.match(self._text, self._at)
            if string is not None:
                self._at = string.end()
            else:
                self._skip(_SCALAR)

    def _list(self, place: Place) -> None:
        self._at += 1
        index = 0
        while self._text[self._skip(_BLANK)] != "]":
            self._note((*place, index), self._at)
            self._value((*place, index))
            index += 1
            if self._text[self._skip(_BLANK)] == ",":
                self._at += 1
        self._at += 1

    def _inline_table(self, place: Place) -> None:
        self._at += 1
        while self._text[self._skip(_BLANK)] != "}":
            self._pair(place)
            if self._text[self._skip(_BLANK)] == ",":
                self._at += 1
        self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self._at)
        assert match is not None, "the pattern matches the empty text"
        self._at = match.end()
        return self._at

    def _note(self, place: Place, at: int) -> None:
        self._lines.setdefault(place, self._text.count("\n", 0, at) + 1)
