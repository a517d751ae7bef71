"""Every result has ``ok``, and is true when it is."""

import pytest

import guestnet.scenario
from guestnet.core.result import Result
from guestnet.scenario.portal import Detection
from guestnet.scenario.results import (
    Answer,
    Attempt,
    Exchange,
    Page,
    Ping,
    Ran,
    Transfer,
)


def attempt(error: str) -> Attempt:
    return Attempt(host="shop.example", port=80, error=error, local=None, remote=None, seconds=0.1)


def transfer(status: int, error: str = "") -> Transfer:
    return Transfer(
        url="http://shop.example/", status=status, bytes=1, sha256="", expected="", seconds=1.0, error=error
    )


def answer(rcode: str, *records: str) -> Answer:
    return Answer(name="shop.example", rdtype="A", rcode=rcode, records=list(records), timed_out=not rcode)


def exchange(error: str) -> Exchange:
    return Exchange(sent=b"x", reply=b"", error=error, local=None, seconds=0.1)


def ping(sent: int, received: int) -> Ping:
    return Ping(host="shop.example", sent=sent, received=received)


def page(status: int, error: str = "") -> Page:
    return Page(url="http://shop.example/", status=status, error=error)


def ran(status: int) -> Ran:
    return Ran(command="true", status=status, stdout_bytes=b"", stderr_bytes=b"", seconds=0.1)


PAGE = page(204)
GOOD: list[Result] = [
    attempt(""), transfer(200), answer("NOERROR", "A 203.0.113.10"), exchange(""), ping(3, 3), page(204),
    ran(0), Detection(verdict="open", page=PAGE),
]  # fmt: skip
BAD: list[Result] = [
    attempt("ECONNREFUSED"), attempt("UNRESOLVED"), transfer(404), transfer(200, "timed out"), transfer(0),
    answer("NXDOMAIN"), answer("NOERROR"), answer(""), exchange("ECONNRESET"), ping(3, 2), ping(0, 0),
    page(302), page(0, "no"), page(200, "cut"), ran(1), ran(-9), Detection(verdict="captive", page=PAGE),
    Detection(verdict="offline", page=PAGE),
]  # fmt: skip


@pytest.mark.parametrize("result", GOOD, ids=repr)
def test_what_went_well_is_ok_and_true(result: Result) -> None:
    assert result.ok
    assert result


@pytest.mark.parametrize("result", BAD, ids=repr)
def test_what_did_not_is_neither(result: Result) -> None:
    assert not result.ok
    assert not result


def test_every_kind_of_result_is_here() -> None:
    exported = {getattr(guestnet.scenario, name) for name in guestnet.scenario.__all__}
    kinds = {each for each in exported if isinstance(each, type) and issubclass(each, Result)} - {Result}
    assert kinds == set(map(type, GOOD)) == set(map(type, BAD))
