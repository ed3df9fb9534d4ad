"""One browser for the whole session of a worker, and only shown to asyncio while a test of this folder runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.helpers.chromium import HANGS_MS, Chromium

expect.set_options(timeout=HANGS_MS)
_chromium = pytest.StashKey[Chromium]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a test of this folder, its fixtures included, drive the browser that an earlier one started."""
    running = item.session.stash.get(_chromium, None)
    if running is not None and Path(__file__).parent in item.path.parents:  # pytest calls this for every test
        running.show()
    try:
        return (yield)
    finally:
        Chromium.hide()


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest) -> Iterator[Chromium]:
    running = request.session.stash[_chromium] = Chromium()
    yield running
    running.close()


@pytest.fixture(scope="session")
def browser(chromium: Chromium) -> Browser:
    return chromium.browser
