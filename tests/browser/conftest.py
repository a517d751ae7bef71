"""Debian's chromium under Playwright; every page fails its test for a console error or a network request."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guestnet.report import build
from guestnet.system.programs import require
from tests.support import sample

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NO_PLAYWRIGHT = "playwright is not installed: pip install playwright"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)


# Not of the session: while Playwright's loop runs, other tests can't run one of theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    sync_api = pytest.importorskip("playwright.sync_api", reason=NO_PLAYWRIGHT)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context_options() -> dict[str, Any]:
    """Of the page's browser context; a test that needs others parametrizes this."""
    return {}


@pytest.fixture
def page(browser: "Browser", context_options: dict[str, Any]) -> Iterator["Page"]:
    context = browser.new_context(**{"viewport": {"width": 1360, "height": 900}} | context_options)
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: trouble.append(f"uncaught: {error}"))
    page.on("request", lambda request: trouble.extend(_remote(request.url)))
    yield page
    context.close()
    assert trouble == []


def _remote(url: str) -> list[str]:
    return [] if url.startswith(("file:", "blob:", "about:")) else [f"request: {url}"]


@pytest.fixture(scope="session")
def red_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = sample.realistic(tmp_path_factory.mktemp("red"))
    build(run)
    return run


@pytest.fixture(scope="session")
def large_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = sample.large(tmp_path_factory.mktemp("large"), 6_660)
    build(run)
    return run
