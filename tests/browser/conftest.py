"""One browser for each file."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright

from tests.helpers.chromium import chromium


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Playwright, Browser]]:
    """Not longer than a file: while it runs, no other test of this process can have an event loop."""
    with chromium() as both:
        yield both


@pytest.fixture(scope="module")
def browser(started: tuple[Playwright, Browser]) -> Browser:
    return started[1]
