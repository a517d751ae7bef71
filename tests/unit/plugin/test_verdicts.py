"""The report says of a scenario what pytest says of it, whatever becomes of it."""

import signal

import pytest

from guestnet.report import model

pytest_plugins = ["pytester"]

MIXED = """
import pytest

from guestnet.core.errors import CapabilityMissing

@pytest.fixture
def skips_afterwards(lab):
    yield
    pytest.skip("nothing to tidy")

@pytest.fixture
def can_not_look_afterwards(lab):
    yield
    raise CapabilityMissing("the stack slirp has no flow-events")

@pytest.fixture
def fails_afterwards(lab):
    yield
    raise RuntimeError("still busy")

@pytest.fixture
def skips_before():
    pytest.skip("not on Sundays")

def test_passed(lab): pass
def test_passed_then_skipped(lab, skips_afterwards): pass
def test_passed_then_not_seen(lab, can_not_look_afterwards): pass
def test_passed_then_broken(lab, fails_afterwards): pass
def test_passed_then_both(lab, can_not_look_afterwards, fails_afterwards): pass
def test_failed_then_skipped(lab, skips_afterwards): assert 0, "first"
def test_failed_then_broken(lab, fails_afterwards): assert 0, "first"
def test_skipped(lab): pytest.skip("not here")
def test_skipped_before_its_lab(skips_before, lab): pass

@pytest.mark.skip(reason="bug 7")
def test_skipped_by_a_marker(lab): pass

@pytest.mark.xfail(reason="bug 42")
def test_known_to_fail(lab): assert 0

@pytest.mark.xfail(reason="bug 43", strict=False)
def test_known_to_fail_and_passes(lab): pass

@pytest.mark.xfail(reason="bug 44", strict=True)
def test_known_to_fail_and_must(lab): pass

@pytest.mark.xfail(reason="bug 45", run=False)
def test_known_to_hang(lab): pass

def test_of_subtests(lab, subtests):
    with subtests.test("here"): pass
    with subtests.test("not here"): pytest.skip("no IPv6")

def test_of_a_red_subtest(lab, subtests):
    with subtests.test("red"): assert 0, "inner"
    with subtests.test("not here"): pytest.skip("no IPv6")
"""

EXPECTED = {
    "passed": ("passed", ""),
    "passed_then_skipped": ("passed", "its teardown was skipped: nothing to tidy"),
    "passed_then_not_seen": ("passed", "its teardown was skipped: the stack slirp has no flow-events"),
    "passed_then_broken": ("error", "RuntimeError: still busy"),
    "passed_then_both": ("error", "ExceptionGroup: errors while tearing down*"),
    "failed_then_skipped": ("failed", "AssertionError: first"),
    "failed_then_broken": ("failed", "AssertionError: first"),
    "skipped": ("skipped", "not here"),
    "skipped_before_its_lab": ("skipped", "not on Sundays"),
    "skipped_by_a_marker": ("skipped", "bug 7"),
    "known_to_fail": ("xfailed", "bug 42"),
    "known_to_fail_and_passes": ("xpassed", "bug 43"),
    "known_to_fail_and_must": ("failed", "[XPASS(strict)] bug 44"),
    "known_to_hang": ("xfailed", "[NOTRUN] bug 45"),
    "of_subtests": ("passed", ""),
    "of_a_red_subtest": ("failed", "AssertionError: inner"),
}

AGAIN = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    "Once again what fails, as plugins do that are made for it."
    from _pytest.runner import runtestprotocol

    for attempt in (1, 2):
        item.attempt = attempt
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        again = attempt == 1 and any(report.failed for report in reports)
        for report in reports:
            if again and report.failed:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if not again:
            return True

def pytest_report_teststatus(report):
    return ("rerun", "R", "RERUN") if report.outcome == "rerun" else None
"""


def name(scenario: model.ScenarioResult) -> str:
    return scenario.id.rpartition("::")[2].removeprefix("test_")


def results(suite: pytest.Pytester) -> dict[str, model.ScenarioResult]:
    return {name(scenario): scenario for scenario in model.load(suite.path / "r").scenarios}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_each_verdict_is_pytests(
    suite: pytest.Pytester, workers: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    suite.makepyfile(MIXED)
    result = suite.runpytest_subprocess("-p", "no:cacheprovider", "--report", "r", *workers)
    told = results(suite)

    assert set(told) == set(EXPECTED)
    for scenario, (outcome, message) in EXPECTED.items():
        assert told[scenario].outcome == outcome, scenario
        assert told[scenario].message.startswith(message.rstrip("*")), scenario
        assert message.endswith("*") or told[scenario].message == message
    assert told["of_subtests"].subtests == [
        model.Subtest(name="[not here]", outcome="skipped", message="no IPv6")
    ]
    assert [part.outcome for part in told["of_a_red_subtest"].subtests] == ["failed", "skipped"]
    assert "assert 0" in told["known_to_fail"].longrepr
    result.stdout.fnmatch_lines(
        [
            "16 scenarios on qemu*: 2 error, 4 failed, 4 passed, 3 skipped, 2 xfailed, 1 xpassed",
            "3 scenarios did not run:",
            "  1 × not here",
        ]
    )


def test_the_page_tells_them_apart(suite: pytest.Pytester) -> None:
    suite.makepyfile(MIXED)
    suite.runpytest_inprocess("-p", "no:cacheprovider", "--report", "r")
    page = (suite.path / "r/report.html").read_text()
    for outcome in ("xfailed", "xpassed", "skipped", "error", "failed", "passed"):
        assert f'<span class="badge {outcome}">{outcome}</span>' in page
    assert 'data-verdict="xfailed"' in page
    assert "Subtest [red]: AssertionError: inner" in page
    assert '<span class="doc">bug 42</span>' in page, "why it is known to fail, not how it did"
    assert 'data-verdict="interrupted"' not in page, "there is none"


@pytest.mark.parametrize("keep", ["on", "retain-on-failure"])
def test_what_was_run_again_says_so_and_has_the_first_attempts_evidence(
    suite: pytest.Pytester, keep: str
) -> None:
    suite.makeconftest(suite.path.joinpath("conftest.py").read_text() + AGAIN)
    suite.makepyfile(
        """
        def test_green_at_last(lab, request):
            lab.note(f"attempt {request.node.attempt}")
            assert request.node.attempt == 2

        def test_red(lab): assert 0

        def test_green(lab): pass
        """
    )
    result = suite.runpytest_inprocess("-p", "no:cacheprovider", "--report", "r", "--keep", keep)
    told = results(suite)

    assert {each: told[each].outcome for each in told} == {
        "green_at_last": "passed", "red": "failed", "green": "passed"
    }  # fmt: skip
    (first,) = told["green_at_last"].attempts
    assert (first.outcome, first.message) == ("failed", "assert 1 == 2")
    assert "attempt 1" in (suite.path / "r" / first.folder / "journal.jsonl").read_text()
    if keep == "on":
        assert "attempt 2" in (suite.path / "r" / told["green_at_last"].folder / "journal.jsonl").read_text()
    assert [each.outcome for each in told["red"].attempts] == ["failed"]
    assert told["green"].attempts == []
    result.stdout.fnmatch_lines(
        [
            "3 scenarios on qemu/tcg with builtin: 1 failed, 2 passed",
            "run again: *::test_green_at_last: failed, then passed",
            "run again: *::test_red: failed, then failed",
        ]
    )
    assert "Attempt 1: assert 1 == 2" in (suite.path / "r/report.html").read_text()


INTERRUPTED = """
import os
import signal

import pytest

@pytest.fixture
def slow(lab):
    if {where!r} == "set-up":
        os.kill(os.getpid(), signal.SIGINT)
    yield
    if {where!r} == "teardown" or {again}:
        os.kill(os.getpid(), signal.SIGINT)

def test_before(lab): pass

def test_it(slow):
    if {where!r} == "call":
        os.kill(os.getpid(), signal.{number})

def test_never(lab): pass
"""


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("where", ["set-up", "call", "teardown"])
def test_an_interrupted_scenario_is_told_as_that(suite: pytest.Pytester, where: str, again: bool) -> None:
    suite.makepyfile(INTERRUPTED.format(where=where, again=again, number="SIGINT"))
    # What runs in the background of a shell ignores SIGINT, and so would pytest.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = suite.runpytest_subprocess("-p", "no:cacheprovider", "--report", "r", "--keep", "off")
    finally:
        signal.signal(signal.SIGINT, before)
    told = results(suite)

    assert {each: told[each].outcome for each in told} == {"before": "passed", "it": "interrupted"}
    assert told["it"].message.startswith("interrupted in its ")
    assert (suite.path / "r" / told["it"].folder / "journal.jsonl").is_file(), "whatever --keep says"
    assert told["it"].files == ["journal.jsonl"]
    assert model.load(suite.path / "r").ended is not None
    assert '<span class="badge interrupted">' in (suite.path / "r/report.html").read_text()
    if not (again and where == "call"):
        assert result.ret == pytest.ExitCode.INTERRUPTED
        result.stdout.fnmatch_lines(["2 scenarios on qemu/tcg with builtin: 1 interrupted, 1 passed"])


def test_a_killed_run_leaves_what_it_had_and_the_next_one_starts_afresh(suite: pytest.Pytester) -> None:
    suite.makepyfile(INTERRUPTED.format(where="call", again=False, number="SIGKILL"))
    result = suite.runpytest_subprocess("-p", "no:cacheprovider", "--report", "r")
    assert result.ret == -signal.SIGKILL
    run = model.load(suite.path / "r")
    assert run.ended is None
    assert {name(each): each.outcome for each in run.scenarios} == {"before": "passed", "it": "interrupted"}

    suite.runpytest_subprocess("-p", "no:cacheprovider", "--report", "r", "-k", "never")

    assert [path.name.partition("-")[0] for path in (suite.path / "r/scenarios").iterdir()] == ["test_never"]


def test_a_scenario_whose_worker_died_is_red(suite: pytest.Pytester) -> None:
    suite.makepyfile(INTERRUPTED.format(where="call", again=False, number="SIGKILL"))
    suite.runpytest_subprocess("-p", "no:cacheprovider", "--report", "r", "-n", "1").assert_outcomes(
        passed=2, failed=1
    )
    assert results(suite)["it"].outcome == "failed"
    assert "crashed" in results(suite)["it"].message


def test_a_fixture_of_the_same_name_makes_no_scenario(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.fixture
        def lab(): return "chemistry"

        def test_it(lab): assert lab == "chemistry"
        """
    )
    result = suite.runpytest_inprocess("-p", "no:cacheprovider", "--report", "r", "--stack", "builtin,slirp")
    result.assert_outcomes(passed=1)
    assert results(suite) == {}


def test_a_variant_stands_beside_the_name_of_its_scenario(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("way", ["builtin", "up-builtin"])
        @pytest.mark.lab(profile="office", image="tiny")
        def test_it(lab, way): pass
        """
    )
    suite.runpytest_inprocess("-p", "no:cacheprovider", "--report", "r", "--stack", "builtin,slirp")
    both = model.load(suite.path / "r").scenarios
    suite.runpytest_inprocess("-p", "no:cacheprovider", "--report", "r")
    alone = model.load(suite.path / "r").scenarios

    assert {scenario.variant.id for scenario in both} == {
        "builtin/qemu/tiny/office", "slirp/qemu/tiny/office"
    }  # fmt: skip
    assert sorted(scenario.id for scenario in both) == sorted([scenario.id for scenario in alone] * 2)
    assert {(scenario.id, scenario.seed) for scenario in both} == {
        (scenario.id, scenario.seed) for scenario in alone
    }
    assert len({scenario.seed for scenario in alone}) == 2
    assert sorted(name(scenario) for scenario in alone) == ["it[builtin]", "it[up-builtin]"]


PLAIN, RUN = (), ("--guestnet-needs-guests",)
ABSENT = "@pytest.mark.lab(profile='absent')\ndef test_it(lab): pass\n"
INCAPABLE = "@pytest.mark.lab(needs='ipv6')\ndef test_it(lab): pass"


@pytest.mark.parametrize(
    ("body", "words", "status", "said"),
    [
        (ABSENT, PLAIN, 0, "no dnsmasq here: apt-get install dnsmasq-base"),
        (ABSENT, RUN, 2, "no dnsmasq here: apt-get install dnsmasq-base"),
        (ABSENT + "def test_red(lab): assert 0", RUN, 1, "no dnsmasq here: apt-get install dnsmasq-base"),
        ("def test_it(lab): raise EnvironmentMissing('no dig')", RUN, 0, "no dig"),
        (INCAPABLE, RUN, 0, "the stack builtin has no ipv6"),
    ],
)
@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_what_did_not_run_is_told_and_counts_where_guests_are_asked_for(
    suite: pytest.Pytester,
    body: str,
    words: tuple[str, ...],
    status: int,
    said: str,
    workers: tuple[str, ...],
) -> None:
    suite.makepyfile(f"import pytest\nfrom guestnet.core.errors import EnvironmentMissing\n{body}\n")
    result = suite.runpytest_subprocess("-q", "-p", "no:cacheprovider", *words, *workers)
    assert result.ret == status
    result.stdout.fnmatch_lines([f"1 scenario did not run: {said}"])


def test_what_a_red_scenario_printed_is_kept(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import logging, sys

        def test_red(lab):
            print("about to ask")
            print("oh", file=sys.stderr)
            logging.warning("late")
            assert 0

        def test_green(lab):
            print("all is well")
        """
    )
    suite.runpytest_subprocess("-p", "no:cacheprovider", "--report", "r")
    told = results(suite)

    assert [title for title, _ in told["red"].printed] == [
        "Captured stdout call", "Captured stderr call", "Captured log call",
    ]  # fmt: skip
    assert [text for _, text in told["red"].printed[:2]] == ["about to ask\n", "oh\n"]
    assert "late" in told["red"].printed[2][1]
    assert told["green"].printed == []
