import json
import re

import pytest

from guestnet.report.embed import assets, bundle, script_text, scripts, styles


def test_modules_follow_what_they_import_once_each() -> None:
    files = {
        "main.js": 'import { a } from "./lib/a.js";\nimport { b } from "./b.js";\nconst used = a + b;\n',
        "b.js": 'import { a } from "./lib/a.js";\nexport const b = a;\n',
        "lib/a.js": 'import { c } from "../c.js";\nexport const a = c;\n',
        "c.js": "export const c = 1;\n",
        "unused.js": "export const unused = 1;\n",
    }

    text = bundle("main.js", files)

    assert re.findall(r"^// --- (.*) ---$", text, re.MULTILINE) == ["c.js", "lib/a.js", "b.js", "main.js"]
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a.js": 'import { b } from "./b.js";\n'}, "no script b.js"),
        (
            {"a.js": 'import { b } from "./b.js";\n', "b.js": 'import { a } from "./a.js";\n'},
            "a.js imports itself by way of b.js",
        ),
        (
            {"a.js": 'import { b } from "./b.js";\nconst x = 1;\n', "b.js": "export function x() {}\n"},
            "twice: x",
        ),
        ({"a.js": 'const x = "</script>";\n'}, "can't stand in"),
        ({"a.js": "// <!-- old\n"}, "can't stand in"),
    ],
)
def test_what_would_break_the_page_is_refused(files: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        bundle("a.js", files)


def test_every_script_of_the_report_is_reached_from_its_entry() -> None:
    text = bundle("main.js", scripts())

    assert set(re.findall(r"^// --- (.*) ---$", text, re.MULTILINE)) == set(scripts())


def test_json_in_a_script_element_has_no_markup() -> None:
    value = {"</script>": ["<!--", "&amp;", "\u2028"]}

    text = script_text(value)

    assert not re.search(r"[<>&]", text)
    assert json.loads(text) == value


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two #rrggbb colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    light, dark = styles("tokens.css").split("@media")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark))
    grounds = ["ground", "surface", "sunken", "hover", "chosen"]
    pairs = [
        (text, ground) for text in ("text", "dim", "accent", "good", "bad", "warning") for ground in grounds
    ]
    pairs += [
        (text, ground) for text in ("tcp", "udp", "dns", "dhcp", "http", "arp", "icmp") for ground in grounds
    ]
    pairs += [(tone, f"{tone}-ground") for tone in ("good", "bad", "warning", "dim")] + [
        ("mark-text", "mark")
    ]

    weak = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}

    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}


def test_assets_come_with_the_package() -> None:
    assert (assets() / "report.html.jinja").is_file()
