import tomllib
from collections.abc import Iterator

import pytest

from guestnet.world.profiles.toml_lines import line_of

TEXT = '''# a comment with [brackets] and "quotes
name = "x" # [not.a.table]

[plain]
a = 1
"b.c" = [ 1, "]", # ]
   2 ]
d.e = { f = 1, g = [
  { h = 'a"b', i = """
three
\\"""lines""" },
  { h = 2 }], j = 2020-01-01 10:00:00 }

[ plain . deeper ]
k = true

[[many]]
a = 1
[[many]]
a = 2
[many.sub]
b = 3
[[many.subs]]
c = 4
[[many.subs]]
c = \'\'\'
'multi\'\'\'
d = 5
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("name",), 2),
        (("plain",), 4),
        (("plain", "a"), 5),
        (("plain", "b.c"), 6),
        (("plain", "b.c", 1), 6),
        (("plain", "b.c", 2), 7),
        (("plain", "d"), 8),
        (("plain", "d", "e", "f"), 8),
        (("plain", "d", "e", "g", 0, "i"), 9),
        (("plain", "d", "e", "g", 1, "h"), 12),
        (("plain", "d", "e", "j"), 12),
        (("plain", "deeper", "k"), 15),
        (("many", 0, "a"), 18),
        (("many", 1), 19),
        (("many", 1, "a"), 20),
        (("many", 1, "sub", "b"), 22),
        (("many", 1, "subs", 0, "c"), 24),
        (("many", 1, "subs", 1, "d"), 28),
    ],
)
def test_every_key_and_element_has_its_line(place: tuple[str | int, ...], line: int) -> None:
    assert line_of(TEXT, place) == line


def test_what_is_missing_is_at_the_table_that_should_have_it() -> None:
    assert line_of(TEXT, ("plain", "deeper", "missing")) == 14
    assert line_of(TEXT, ("nowhere",)) == 1


def test_the_scanner_sees_the_places_that_tomllib_sees() -> None:
    def leaves(value: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from leaves(inner, (*place, key))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                yield from leaves(inner, (*place, index))
        else:
            yield place

    places = list(leaves(tomllib.loads(TEXT)))
    lines = [line_of(TEXT, place) for place in places]

    assert lines == sorted(lines)
    assert all(
        line_of(TEXT, place) != line_of(TEXT, place[:1])
        for place in places
        if place[0] == "many" and place[1]
    )
