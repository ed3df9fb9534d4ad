"""Messages by service and language: a version that waits for its date begins without a reload, and rows say which."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from recorder.calls.notice_catalogue import NewNotice
from recorder.calls.notices import NoticeStore
from recorder.common.clock import utc_now
from tests.helpers.exactness import times_heard
from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import tone_file
from tests.helpers.virtual.exchange import exchange

LOOKS_S = 3.0
"""More than from one look of the daemon at the catalogue to the next."""
WELSH_S = 1.4


@pytest.fixture
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    edits = (("languages = []", 'languages = ["en", "cy"]'),)
    with exchange(tmp_path_factory.mktemp("notices"), edits=edits) as made:
        yield made


def test_a_message_in_a_second_language_begins_at_its_date(lines: Exchange) -> None:
    store = NoticeStore(lines.home.root / "notices")
    english, starts_at = store.load("first"), utc_now() + timedelta(seconds=60)
    sound = tone_file(lines.home.root / "welsh.wav", 900, WELSH_S)
    of = NewNotice(language="cy", service="Revenues", starts_at=starts_at)
    welsh = store.put("first", sound, by="sally", of=of)
    time.sleep(LOOKS_S)

    def heard(number: str) -> tuple[int, int, list[tuple[str, str, str]]]:
        talk = lines.call(number)
        talk.join()
        row = talk.hang_up()
        told = [(one["id"], one["language"], one["service"]) for one in row["notice"]["messages"]]
        assert row["notice"]["id"] == "+".join(id_ for id_, _, _ in told)
        assert row["notice"]["complete"] is True
        return times_heard(talk.left, english.prompt), times_heard(talk.left, welsh.prompt), told

    assert heard("2001") == (1, 0, [(english.id, "en", "Revenues")])
    time.sleep(60)
    assert heard("2001") == (1, 1, [(english.id, "en", "Revenues"), (welsh.id, "cy", "Revenues")])
    assert heard("3001") == (1, 0, [(english.id, "en", "Queue")])
    shown = lines.home.run("show", lines.home.rows()[0]["id"], *lines.home.as_admin(), "-C", str(lines.home.root))
    assert f"{english.id}\ten\t" in shown.stdout
    played = {(one["version"], one["language"]) for one in lines.home.health()["notices"] if one["name"] == "first"}
    assert played == {(english.version, "en"), (welsh.version, "cy")}


def test_what_cannot_be_loaded_leaves_the_former_message_in_use_and_raises_an_alarm(lines: Exchange) -> None:
    store = NoticeStore(lines.home.root / "notices")
    former = store.load("first")
    newer = store.put("first", tone_file(lines.home.root / "new.wav", 900, WELSH_S), by="sally")
    store.path_of(store.version("first", newer.version)).write_bytes(b"damaged")
    time.sleep(LOOKS_S)
    assert lines.home.health()["alarms"].get("notices_unusable") == 1
    talk = lines.call()
    talk.join()
    assert talk.hang_up()["notice"]["id"] == former.id
    store.use("first", former.version, service="", starts_at=None, by="sally")
    time.sleep(LOOKS_S)
    assert "notices_unusable" not in lines.home.health()["alarms"]
