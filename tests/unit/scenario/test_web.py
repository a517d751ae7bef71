"""One HTTP request: curl's words, what it prints, and forms as a browser finds them."""

import pytest

from guestnet.scenario.forms import Form, read_form, read_link
from guestnet.scenario.results import Ran
from guestnet.scenario.web import curl, read

LOGIN = """
<FORM action="/login" METHOD=post><input name="user"><input name=p type=password value="x&amp;y">
<input type="checkbox" name="accept" value="yes"><input type=submit></FORM><form action="/other">
"""
URL = "http://shop.example/a/b"


def ran(stdout: bytes, status: int = 0, stderr: bytes = b"") -> Ran:
    return Ran(command="curl", status=status, stdout_bytes=stdout, stderr_bytes=stderr, seconds=0.1)


def test_a_page_is_head_and_body() -> None:
    page = read(
        URL, ran(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX: \r\n\r\nHTTP/ is\r\n\r\nno head here")
    )

    assert (page.status, page.ok, page.error) == (200, True, "")
    assert page.headers == {"content-type": "text/plain", "x": ""}
    assert page.text == "HTTP/ is\r\n\r\nno head here"


def test_what_comes_before_the_last_head_does_not_count() -> None:
    page = read(URL, ran(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"))

    assert (page.status, page.location, page.body) == (302, "/x", b"")
    assert not page.ok


def test_no_answer_is_curls_own_words() -> None:
    page = read(URL, ran(b"", 28, b"curl: (28) Connection timed out\n"))

    assert (page.status, page.error, page.location) == (0, "curl: (28) Connection timed out", "")
    assert read(URL, ran(b"", 52)).error == "curl ended with 52"


def test_part_of_a_page_is_not_ok() -> None:
    page = read(URL, ran(b"HTTP/1.1 200 OK\r\n\r\nhal", 18, b"curl: (18) transfer closed"))

    assert (page.status, page.body, page.ok) == (200, b"hal", False)


def test_every_wish_is_an_option() -> None:
    words = curl(
        URL, data={"a": "b c"}, proxy="http://p:3128", trusts_input=True, to="10.0.0.1", timeout=2.5, family=6
    )
    plain = curl(URL, data=None, proxy="", trusts_input=False, to="", timeout=5, family=0)

    for option, value in (
        ("--data-urlencode", "a=b c"), ("--proxy", "http://p:3128"), ("--cacert", "/proc/self/fd/0"),
        ("--connect-to", "::10.0.0.1:"), ("--max-time", "2.5"),
    ):  # fmt: skip
        assert words[words.index(option) + 1] == value
        assert option == "--max-time" or option not in plain
    empty = curl(URL, data={}, proxy="", trusts_input=False, to="", timeout=5, family=0)
    assert empty[empty.index("--data") + 1] == ""
    assert "--data" not in plain
    assert "--ipv6" in words
    assert words[-1] == plain[-1] == URL


@pytest.mark.parametrize(
    ("page", "form"),
    [
        ("<p>no form", None),
        (
            LOGIN,
            Form("http://shop.example/login", {"user": "", "p": "x&y"}, {"accept": "yes"}),
        ),
        ("<form><input type=checkbox name=c></form>", Form(URL, {}, {"c": "on"})),
        ('<form action="http://10.0.0.1/x">', Form("http://10.0.0.1/x", {}, {})),
        ("<input name=a><form><input name=b></form><input name=c>", Form(URL, {"b": ""}, {})),
        ("<form><input name=a></form><form action=/y><input name=b></form>", Form(URL, {"a": ""}, {})),
    ],
)
def test_the_first_form_of_a_page_is_found(page: str, form: Form | None) -> None:
    assert read_form(page, URL) == form


def test_the_first_link_of_a_page_is_found() -> None:
    assert read_link('<a name="x"></a><a href="../c?d=1&amp;e">', URL) == "http://shop.example/c?d=1&e"
    assert read_link("<p>", URL) is None
