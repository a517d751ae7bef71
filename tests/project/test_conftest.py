"""The rules of the root conftest: nothing is left behind, and no rung is left out in silence."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


PENDING = """loop = asyncio.new_event_loop()
            kept.append(loop.create_task(asyncio.sleep(9)))
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
"""


ROOT = Path(__file__).parents[2]


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder under the project's own conftest, which imports from tests/support."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest((ROOT / "conftest.py").read_text())
    return pytester


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("os.open('/dev/null', os.O_RDONLY)", "descriptor *: /dev/null"),
        ("kept.append(subprocess.Popen(['sleep', '60']))", "process *: sleep 60"),
        ("subprocess.run(['sh', '-c', 'sleep 61 &'])", "process *: sleep 61"),
        (PENDING, "pending <Task pending *sleep*"),
    ],
    ids=["descriptor", "child", "orphan", "task"],
)
def test_what_a_test_leaves_is_its_error(suite: pytest.Pytester, body: str, complaint: str) -> None:
    suite.makepyfile(
        f"""
        import asyncio, os, subprocess

        kept = []

        def test_it():
            {body}

        def test_next(): pass
        """
    )
    result = suite.runpytest_subprocess("-p", "no:guestnet")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines([f"the test left behind {complaint}"])


def test_a_tidy_test_and_wider_fixtures_are_left_alone(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import asyncio, os, subprocess

        import pytest

        @pytest.fixture(scope="module")
        def server():
            with subprocess.Popen(["sleep", "60"]) as process, open("/dev/null"):
                yield process
                process.kill()

        def test_it(server):
            subprocess.run(["true"], check=True)
            asyncio.run(asyncio.sleep(0))
            with open("/dev/null"):
                pass

        def test_ended_but_not_waited_for(server):
            subprocess.run(["sh", "-c", "sleep 0.1 &"], check=True)
        """
    )
    suite.runpytest_subprocess("-p", "no:guestnet").assert_outcomes(passed=2)


def test_a_rung_that_does_not_run_is_red_when_the_environment_must_be_whole(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.browser
        def test_report(): pytest.skip("no chromium")

        def test_other(): pytest.skip("not today")
        """
    )
    suite.runpytest_subprocess().assert_outcomes(skipped=2)
    strict = suite.runpytest_subprocess("--strict-environment")
    strict.assert_outcomes(skipped=1, failed=1)
    strict.stdout.fnmatch_lines(["a test of the rung browser did not run: *no chromium"])
