"""Options that collide with nobody's, and their short forms where these are free."""

import sys

import pytest

from guestnet.plugin import options

pytest_plugins = ["pytester"]

SHORT = ("--seed", "7", "--guest", "netns", "--stack=kernel-nat", "--keep", "on")
LONG = tuple(word.replace("--", "--guestnet-") for word in SHORT)
CHOSEN = """
def test_it(lab, request):
    description = lab.description
    assert (description.guest, description.stack) == ("netns", "kernel-nat")
    assert request.config.option.guestnet_seed == 7
"""
THEIRS = """
def pytest_addoption(parser):
    for name in ("seed", "stack", "guest", "report", "keep"):
        parser.addoption(f"--{name}", help="theirs")
    parser.addoption("--strict-environment", action="store_true")
"""


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """In a process of its own, as users have it."""
    return suite.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


@pytest.mark.parametrize("words", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_both_forms_say_the_same(
    suite: pytest.Pytester, words: tuple[str, ...], workers: tuple[str, ...]
) -> None:
    suite.makepyfile(CHOSEN)
    run(suite, *words, *workers).assert_outcomes(passed=1)


def test_they_can_stand_in_the_configuration(suite: pytest.Pytester) -> None:
    suite.makepyfile(CHOSEN)
    suite.makeini(f"[pytest]\naddopts = {' '.join(SHORT)} --report r\n")
    run(suite).assert_outcomes(passed=1)
    assert (suite.path / "r/report.html").is_file()


def test_they_can_stand_in_the_environment(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.makepyfile(CHOSEN)
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(SHORT))
    run(suite).assert_outcomes(passed=1)


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_project_keeps_its_own_options(suite: pytest.Pytester, workers: tuple[str, ...]) -> None:
    suite.makeconftest(suite.path.joinpath("conftest.py").read_text() + THEIRS)
    suite.makepyfile(
        CHOSEN
        + """
    assert request.config.getoption("--seed") == "theirs"
    assert request.config.getoption("--report") == "r"
    assert request.config.getoption("--strict-environment")
"""
    )
    theirs = ("--seed=theirs", "--report", "r", "--strict-environment")
    run(suite, *theirs, *LONG, *workers).assert_outcomes(passed=1)
    assert not (suite.path / "r").exists()


def test_a_plugin_keeps_its_own_options(suite: pytest.Pytester) -> None:
    suite.makepyfile(other_plugin=THEIRS, test_chosen=CHOSEN)
    for place in ("early", "late"):
        loaded = ("-p", "other_plugin") if place == "early" else ()
        if place == "late":
            suite.makeconftest(
                suite.path.joinpath("conftest.py").read_text() + '\npytest_plugins = ["other_plugin"]\n'
            )
        result = suite.run(
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *loaded, *LONG, "--seed", "theirs"
        )
        result.assert_outcomes(passed=1)


def test_a_conftest_that_is_loaded_late_keeps_its_own_options(suite: pytest.Pytester) -> None:
    """Below a folder whose name does not begin with "test": pytest finds it when it collects."""
    deep = suite.mkdir("suite")
    (deep / "conftest.py").write_text(THEIRS)
    (deep / "test_deep.py").write_text(CHOSEN)
    run(suite, *SHORT).assert_outcomes(passed=1)


def test_the_value_of_a_short_form_is_no_file(suite: pytest.Pytester) -> None:
    """Else a report that is there would keep pytest from finding the conftests of testpaths."""
    suite.makeini("[pytest]\ntestpaths = suite\n")
    deep = suite.mkdir("suite")
    (deep / "conftest.py").write_text("def pytest_addoption(parser): parser.addoption('--own')\n")
    (deep / "test_deep.py").write_text("def test_it(lab, request): assert request.config.option.own == 'x'\n")
    for _ in range(2):
        run(suite, "--own=x", "--report", "r").assert_outcomes(passed=1)


def test_the_image_is_the_runs_unless_the_scenario_names_one(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import pytest
        def test_plain(lab): assert lab.description.image == "tiny:trixie"
        @pytest.mark.lab(image="other")
        def test_own(lab): assert lab.description.image != "other"
    """)
    result = run(suite, "--image", "tiny:trixie")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["guestnet: * of tiny:trixie", "again: *::test_own * --image other"])


def test_the_command_of_a_scenario_is_in_the_words_of_its_project(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_red(lab): assert 0")
    run(suite).stdout.fnmatch_lines(["again: *::test_red --seed 1 --stack builtin --guest qemu"])
    suite.makeconftest(suite.path.joinpath("conftest.py").read_text() + THEIRS)
    run(suite).stdout.fnmatch_lines(["again: *::test_red --guestnet-seed 1 --guestnet-stack builtin *"])


@pytest.mark.parametrize(
    ("args", "rewritten", "without"),
    [
        (["--seed", "7", "a.py"], ["--guestnet-seed", "7", "a.py"], ["a.py"]),
        (["--seed=7"], ["--guestnet-seed=7"], []),
        (["--strict-environment", "a.py"], ["--guestnet-strict-environment", "a.py"], ["a.py"]),
        (["-k", "seed", "--seeds", "--", "--seed"], ["-k", "seed", "--seeds", "--", "--seed"], None),
        (["--guest", "netns"], ["--guest", "netns"], None),
        (["--seed"], ["--guestnet-seed"], []),
    ],
)
def test_words_are_rewritten(args: list[str], rewritten: list[str], without: list[str] | None) -> None:
    free = {"seed", "strict-environment"}
    assert options.rewritten(args, free) == rewritten
    assert options.without(args, free) == (args if without is None else without)
