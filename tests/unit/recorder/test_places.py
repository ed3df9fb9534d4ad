"""Every file of a home has a row that says what it may hold; anything else has none."""

import re
from pathlib import Path

import pytest

from recorder.common.home import Home
from tests.helpers.data_inventory import HOME_PLACES, OUTSIDE_PLACES, Content, place_of

CONTAINER = "recordings/2026/11/25/72e3035e0bcaed93/20261125T034732Z-2001-2a8b58"


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        (f"{CONTAINER}.rec", Content.SEALED_AUDIO),
        (f"{CONTAINER}.part", Content.SEALED_AUDIO),
        ("recordings/2026/11/25/72e3035e0bcaed93/.new-00ff", Content.SEALED_AUDIO),
        ("keys/sealed/2026-11/20261125T034732Z-2001-2a8b58.key", Content.KEYS),
        ("keys/sealed/2026-11/.new-00ff", Content.KEYS),
        ("index.sqlite-wal", Content.METADATA),
        ("people.sqlite-journal", Content.METADATA),
        ("audit/texts.sqlite", Content.METADATA),
        ("state/pauses.journal", Content.METADATA),
        ("state/.new-00ff", Content.METADATA),
        ("notices/catalogue.json", Content.MESSAGES),
        ("recorder.log", Content.LOG),
    ],
)
def test_a_known_file_has_its_row(path: str, holds: Content) -> None:
    place = place_of(path)
    assert place is not None, path
    assert place.holds is holds


@pytest.mark.parametrize(
    "path",
    [
        f"{CONTAINER}.wav",
        f"{CONTAINER}.rec.bak",
        "recordings/20261125T034732Z-2001-2a8b58.rec",
        "recordings/2026/11/25/a/b/20261125T034732Z-2001-2a8b58.rec",
        "core",
        "core.1234",
        "private/2026-11.key.txt",
        "state/audio.raw",
        "index.sqlite-backup",
        "spool/.new-00ff",
        "../home/recorder.log",
        "",
    ],
)
def test_any_other_file_has_none(path: str) -> None:
    assert place_of(path) is None


def test_every_path_that_a_home_names_is_a_row_or_a_folder_of_one() -> None:
    home = Home(Path("/home-of-it"))
    named = [name for name, value in vars(Home).items() if isinstance(value, property)]
    assert len(named) > 8
    for name in named:
        path = getattr(home, name).relative_to(home.root).as_posix()
        is_folder = any(place.pattern.startswith(f"{path}/") for place in HOME_PLACES)
        assert is_folder or place_of(path) is not None, name


def test_nothing_in_a_home_holds_audio_in_the_clear() -> None:
    assert not [place.pattern for place in HOME_PLACES if place.holds is Content.PLAIN_AUDIO]
    assert [place.pattern for place in OUTSIDE_PLACES if place.holds is Content.PLAIN_AUDIO]


def test_patterns_are_unique_and_absolute_outside_only() -> None:
    patterns = [place.pattern for place in (*HOME_PLACES, *OUTSIDE_PLACES)]
    assert len(set(patterns)) == len(patterns)
    assert not [place.pattern for place in HOME_PLACES if place.pattern.startswith("/")]
    assert not [place.pattern for place in OUTSIDE_PLACES if not re.match("/", place.pattern)]


def test_every_place_is_in_the_documentation() -> None:
    text = Path("docs/security.md").read_text()
    table = text[text.index("<!-- places: begin -->") : text.index("<!-- places: end -->")]
    year, month, day = "[0-9][0-9][0-9][0-9]", "[0-9][0-9]", "[0-9][0-9]"
    wanted = []
    for place in (*HOME_PLACES, *OUTSIDE_PLACES):
        if place.note.startswith("of "):  # what SQLite keeps beside a file
            continue
        shown = place.pattern.replace(f"{year}-{month}", "YYYY-MM").replace(f"{year}/{month}/{day}", "YYYY/MM/DD")
        passing = " (passing)" if place.is_passing else ""
        wanted.append(f"| `{shown}` | {place.holds} | {', '.join(place.writers)} | {place.note}{passing} |")
    assert [row for row in table.splitlines() if row.startswith("| `")] == wanted
