"""The plugin as the author of a suite sees it. The labs are fakes (conftest.py)."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from guestnet.report import model

pytest_plugins = ["pytester"]

def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return suite.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def seeds_of(result: pytest.RunResult) -> list[str]:
    return re.findall(r"seed=(\d+)", result.stdout.str())


def test_a_marker_says_what_lab_it_is(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest
        pytestmark = pytest.mark.lab(profile="corp", mtu=1400)

        @pytest.mark.lab(guests=2, mtu=9000)
        def test_it(lab):
            description = lab.description
            assert (description.profile, description.guests, description.mtu) == ("corp", 2, 9000)
            assert (description.stack, description.guest) == ("builtin", "qemu")
            assert description.scenario.endswith("::test_it")
        """
    )
    run(suite).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "complaint"),
    [
        (
            "profil='plain'",
            "*test_x.py:3: @pytest.mark.lab has no key 'profil': it takes seed, stack, guest, profile, *",
        ),
        ("'plain'", "*test_x.py:3: @pytest.mark.lab takes no positional argument ('plain'): name it: *"),
        ("guests='two'", "*test_x.py:3: @pytest.mark.lab(guests='two') can't be: *"),
        ("guests=-1", "*test_x.py:3: @pytest.mark.lab(guests=-1) can't be: *"),
        ("guest='vax'", "*test_x.py:3: @pytest.mark.lab(guest='vax') can't be: *"),
        ("stack=7", "*test_x.py:3: stack=7 can't be: give a name or a list of names*"),
    ],
)
def test_an_impossible_marker_is_told_with_its_place(
    suite: pytest.Pytester, marker: str, complaint: str
) -> None:
    suite.makepyfile(test_x=f"import pytest\n\n@pytest.mark.lab({marker})\ndef test_it(lab): pass\n")
    suite.makepyfile(test_y="def test_other(lab): pass\n")
    result = run(suite, "--continue-on-collection-errors")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([complaint])
    assert "Traceback" not in result.stdout.str()


def test_why_a_lab_takes_long_is_said_at_once(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from guestnet import plugin

        def test_it(request):
            plugin._say(request.config, "making what proxies need")
            print("captured")
        """
    )
    result = suite.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    result.stderr.fnmatch_lines(["guestnet: making what proxies need"])
    assert "captured" not in result.stdout.str()


def test_seeds_are_stable_and_each_scenario_has_its_own(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        def test_one(lab): print(f"seed={lab.description.seed}")
        def test_two(lab): print(f"seed={lab.description.seed}")
        """
    )
    first, again, other = (run(suite, "-rP", "--seed", seed) for seed in ("7", "7", "8"))
    first.stdout.fnmatch_lines(["guestnet: seed 7, *"])
    assert len(set(seeds_of(first))) == 2
    assert seeds_of(first) == seeds_of(again)
    assert not set(seeds_of(first)) & set(seeds_of(other))
    assert seeds_of(run(suite, "-rP", "--seed", "7", "-k", "two")) == seeds_of(first)[1:]


def test_a_random_seed_is_printed_so_that_it_can_be_given(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_one(lab): print(f'seed={lab.description.seed}')")
    result = run(suite, "-rP", "--seed", "random")
    printed = re.search(r"guestnet: seed (\d+),", result.stdout.str())
    assert printed is not None
    assert seeds_of(run(suite, "-rP", "--seed", printed[1])) == seeds_of(result)


def test_several_stacks_make_a_test_each_with_the_seed_of_the_scenario(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("port", [80, 81])
        def test_it(lab, port): print(lab.description.stack, port, f"seed={lab.description.seed}")

        @pytest.mark.lab(stack="slirp")
        def test_of_one_stack(lab): assert lab.description.stack == "slirp"
        """
    )
    both = run(suite, "-rP", "--stack", "builtin,kernel-nat", "--stack", "builtin")
    both.assert_outcomes(passed=4, skipped=1)
    alone = run(suite, "-rP", "--stack", "kernel-nat", "-k", "test_it")
    alone.assert_outcomes(passed=2, deselected=1)
    assert sorted(seeds_of(both)) == sorted(seeds_of(alone) * 2)
    assert len(set(seeds_of(alone))) == 2


def test_what_a_scenario_needs_and_the_run_has_not_is_a_skip_with_a_reason(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.lab(needs=["ipv6", "tcp"])
        def test_capability(lab): pass

        @pytest.mark.lab(keepalive=5)
        def test_field(lab): pass

        @pytest.mark.lab(guest="qemu")
        def test_guest(lab): pass

        @pytest.mark.lab(profile="absent")
        def test_environment(lab): pass
        """
    )
    result = run(suite, "-rs", "--guest", "netns")
    result.assert_outcomes(skipped=4)
    said = result.stdout.str()
    assert "the stack builtin has no ipv6" in said
    assert "the stack builtin has no keepalive" in said
    assert "it needs a qemu guest; this run asks for netns" in said
    assert "no dnsmasq here: apt-get install dnsmasq-base" in said


def test_what_a_stack_can_not_do_is_a_skip_even_in_a_strict_environment(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        from guestnet.core.errors import CapabilityMissing

        @pytest.fixture
        def captured(lab): raise CapabilityMissing("the stack slirp has no capture")

        def test_fixture(captured): pass

        def test_body(lab): raise CapabilityMissing("the stack slirp has no flow-events")
        """
    )
    result = run(suite, "-rs", "--strict-environment")
    result.assert_outcomes(skipped=2)
    said = result.stdout.str()
    assert "the stack slirp has no capture" in said
    assert "the stack slirp has no flow-events" in said


def test_in_a_strict_environment_what_is_missing_is_an_error(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        from guestnet.core.errors import EnvironmentMissing

        @pytest.mark.lab(profile="absent")
        def test_lab(lab): pass

        def test_body(lab): raise EnvironmentMissing("no tshark")
        """
    )
    run(suite).assert_outcomes(skipped=2)
    run(suite, "--strict-environment").assert_outcomes(errors=1, failed=1)


def test_a_lab_that_can_not_start_is_the_error_of_its_test_alone(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.lab(profile="broken")
        def test_broken(lab): pass

        def test_fine(lab): pass
        """
    )
    result = run(suite)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["the lab ended at once: see lab.log", "again: *test_broken*"])


FOUR = """
import pytest

def test_green(lab):
    '''All is well.'''

def test_red(lab): assert lab.description.mtu == 1

@pytest.mark.lab(profile="broken")
def test_error(lab): pass

@pytest.mark.lab(needs="ipv6")
def test_skipped(lab): pass

def test_without_a_lab(): pass
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_report_has_every_scenario_once(suite: pytest.Pytester, workers: tuple[str, ...]) -> None:
    suite.makepyfile(test_four=FOUR)
    result = suite.runpytest_subprocess("--report", "out/r", "--seed", "3", *workers)
    folder = suite.path / "out" / "r"
    kept = model.load(folder)

    assert {scenario.id.rpartition("::")[2]: scenario.outcome for scenario in kept.scenarios} == {
        "test_green": "passed", "test_red": "failed", "test_error": "error", "test_skipped": "skipped",
    }  # fmt: skip
    assert kept.seed == 3
    assert kept.ended is not None
    assert kept.ended > kept.started
    green, red = (next(s for s in kept.scenarios if s.id.endswith(name)) for name in ("green", "red"))
    assert green.doc == "All is well."
    assert "assert 1500 == 1" in red.longrepr
    assert red.message.endswith("assert 1500 == 1")
    assert (folder / green.folder / "journal.jsonl").is_file()
    assert '"level":"error"' in (folder / red.folder / "journal.jsonl").read_text()
    assert kept.machine["accelerator"] == "tcg"
    result.stdout.fnmatch_lines(
        [
            "4 scenarios on qemu/tcg with builtin: 1 error, 1 failed, 1 passed, 1 skipped",
            "report: out/r/*.html",
        ]
    )
    (html,) = folder.glob("*.html")
    assert "test_red" in html.read_text()


def test_a_report_has_a_files_scenarios_one_after_the_other(suite: pytest.Pytester) -> None:
    """In whatever order they were run."""
    two = "def test_one(lab): pass\ndef test_two(lab): pass\n"
    suite.makepyfile(test_dns=two, test_tcp=two)
    run(suite, "test_tcp.py::test_two", "test_dns.py", "test_tcp.py::test_one", "--report", "r")
    assert [scenario.id for scenario in model.load(suite.path / "r").scenarios] == [
        "test_dns.py::test_one", "test_dns.py::test_two", "test_tcp.py::test_two", "test_tcp.py::test_one",
    ]  # fmt: skip


def test_the_command_that_the_record_gives_runs_the_scenario_again(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_four=FOUR)
    run(suite, "--report", "first", "--seed", "11", "--stack", "builtin,slirp")
    first = next(
        s for s in model.load(suite.path / "first").scenarios if "red" in s.id and s.variant.stack == "slirp"
    )
    words = first.rerun.split()
    assert words[1:3] == ["-m", "pytest"]
    run(suite, *words[3:], "--report", "second")
    (second,) = model.load(suite.path / "second").scenarios
    assert (second.seed, second.variant.stack, second.outcome) == (first.seed, "slirp", "failed")


@pytest.mark.parametrize(
    ("keep", "left"),
    [("on", {"green", "red"}), ("retain-on-failure", {"red"}), ("off", set[str]())],
)
@pytest.mark.parametrize("report", [True, False], ids=["report", "no-report"])
def test_artifacts_stay_as_asked(suite: pytest.Pytester, keep: str, left: set[str], report: bool) -> None:
    suite.makepyfile(test_it="def test_green(lab): pass\ndef test_red(lab): assert 0\n")
    base = suite.path / "base"
    where = ("--report", "report") if report else ()
    run(suite, "--keep", keep, "--basetemp", str(base), *where)
    folders = ((suite.path / "report") if report else base).glob("scenarios/*")
    assert {path.name.split("_")[1].split("-")[0] for path in folders} == left


def test_a_lab_that_died_under_a_scenario_does_not_stop_the_run(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.lab(profile="dying")
        def test_dying(lab): assert lab is None

        def test_fine(lab): pass
        """
    )
    run(suite).assert_outcomes(passed=1, failed=1)


def test_junit_properties_point_at_the_artifacts(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_it(lab): pass")
    run(suite, "--report", "r", "--junit-xml", "junit.xml")
    found = re.search(r'name="guestnet.artifacts" value="([^"]+)"', (suite.path / "junit.xml").read_text())
    assert found is not None
    assert (Path(found[1]) / "journal.jsonl").is_file()


def test_a_suite_without_labs_is_left_alone(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_plain(): pass")
    result = run(suite)
    result.assert_outcomes(passed=1)
    assert "scenario" not in result.stdout.str()


def test_the_plugin_loads_nothing_heavy(suite: pytest.Pytester) -> None:
    suite.makeconftest("")
    suite.makepyfile(
        """
        import sys

        def test_it():
            # Not asyncio: from Python 3.14 on pytest brings it, by way of pdb.
            heavy = {"numpy", "dns", "jinja2", "tornado", "scapy", "pyroute2", "click", "rich"}
            assert not heavy & set(sys.modules)
        """
    )
    suite.runpytest_subprocess("-p", "no:hypothesispytest", "-p", "no:playwright").assert_outcomes(passed=1)


def test_what_the_plugin_imports_is_light() -> None:
    """Every pytest of the environment imports it, with scenarios or without."""
    code = "import sys, guestnet.plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "guestnet.plugin.recorder" in loaded
    assert not {"numpy", "pyroute2", "asyncio", "jinja2", "filelock"} & loaded
    ours = {name.split(".")[1] for name in loaded if name.startswith("guestnet.")}
    assert ours == {"core", "plugin"}


def test_an_error_of_ours_shows_the_authors_line_and_one_sentence(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from guestnet.core.time import duration
        from guestnet.core.errors import DescriptionError
        from guestnet.plugin.settings import read_marks

        def test_misuse(lab): duration("forty")

        def theirs(): raise DescriptionError("their own")

        def test_through_a_helper(lab): theirs()

        def test_bug(lab): read_marks([None], "here")
        """
    )
    result = run(suite, "--color=no")
    misuse, helper, bug = re.split(r"\n_+ test_\w+ _+\n", result.stdout.str())[1:]
    assert "> " in misuse
    assert 'duration("forty")' in misuse
    assert "core/time.py" not in misuse
    assert "def theirs(): raise" in helper
    assert "plugin/settings.py" in bug, "a bug is shown whole"
    assert "core/time.py" in run(suite, "--full-trace", "-k", "misuse").stdout.str()
