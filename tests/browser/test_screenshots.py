"""Takes the pictures of docs/screenshots: the pages of `PAGES`, for each role that has them.

`make screenshots` writes them into docs; a test writes them into its own folder.
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from docs.make_screenshots import file_name, pictures
from recorder.permissions import Role
from tests.helpers.chromium import person
from tests.helpers.console_site import Console
from tests.helpers.sample_site import BY_ROLE, CASE, NOW, SHOWN, sample_site

WIDTH, MOST_HEIGHT, MOST_BYTES, COLOURS = 1280, 1600, 100_000, 64
PAGES = {
    "live": "/live",
    "agent": "/agent",
    "search": "/recordings",
    "recording": f"/recordings/{SHOWN}",
    "requests": "/requests",
    "case": f"/cases/{CASE}",
    "audit": "/audit",
    "overview": "/overview",
}
"""Path of each page."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with sample_site(tmp_path_factory.mktemp("sample")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    chosen = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


def take(page: Page, name: str, role: Role, folder: Path) -> Path:
    """Take the picture of a page, in a palette."""
    path = PAGES[name]
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == 200, f"{role} has no {path}"
    page.wait_for_load_state()
    whole = Image.open(io.BytesIO(page.screenshot(full_page=True, animations="disabled")))
    picture = folder / file_name(name, role)
    shot = whole.crop((0, 0, whole.width, min(whole.height, MOST_HEIGHT)))  # a long list goes on as it began
    shot.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)
    return picture


def check(picture: Path) -> None:
    with Image.open(picture) as image:
        assert (image.width, image.mode) == (WIDTH, "P")
    assert picture.stat().st_size < MOST_BYTES, picture.name


def test_a_picture_of_one_page(browser: Browser, site: Console, folder: Path) -> None:
    with person(browser, site.url, BY_ROLE[Role.DPO].account) as page:
        check(take(page, "overview", Role.DPO, folder))


@pytest.mark.long
@pytest.mark.parametrize("role", Role)
def test_the_pictures_of_a_role(browser: Browser, site: Console, folder: Path, role: Role) -> None:
    with person(browser, site.url, BY_ROLE[role].account) as page:
        page.clock.set_fixed_time(NOW)
        for name in (name for name, of in pictures() if of is role):
            check(take(page, name, role, folder))
