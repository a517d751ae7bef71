"""One HTTP request: what curl tells of it, and forms as a browser finds them."""

import pytest

from guestnet.scenario import web
from guestnet.scenario.forms import Form, read_form, read_link

LOGIN = """
<FORM action="/login" METHOD=post><input name="user"><input name=p type=password value="x&amp;y">
<input type="checkbox" name="accept" value="yes"><input type=submit></FORM><form action="/other">
"""
URL = "http://shop.example/a/b"


def test_what_curl_tells_is_read() -> None:
    told = web.told('{"http_code":302,"exitcode":0,"local_port":0}{"location":["/a","/b"],"X-Y":[""]}\n')

    assert told is not None
    assert (told.status, told.error, told.end("local")) == (302, "", None)
    assert told.headers == {"location": "/b", "x-y": ""}


def test_a_failure_is_curls_own_words_or_its_status() -> None:
    timed_out = web.told('{"http_code":0,"exitcode":28,"errormsg":"Connection timed out"}\n{}')
    silent = web.told('{"http_code":0,"exitcode":52,"errormsg":null}{}')

    assert timed_out is not None
    assert silent is not None
    assert (timed_out.status, timed_out.headers) == (0, {})
    assert timed_out.error == "curl: (28) Connection timed out"
    assert silent.error == "curl: (52) no words"


@pytest.mark.parametrize(
    "text", ["", "sh: curl: not found", "curl: option --x: is unknown", '{"http_code":200}']
)
def test_a_curl_that_told_nothing(text: str) -> None:
    assert web.told(text) is None


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
