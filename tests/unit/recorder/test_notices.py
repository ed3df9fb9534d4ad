"""Messages: stored by hash and version, refused where they cannot be played, noticed when altered."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from audio.types import Codec
from recorder.calls.announcements import MessageChoice, load_announcements
from recorder.calls.call_services import Sounds
from recorder.calls.notice_catalogue import NewNotice
from recorder.calls.notices import NAMES, SHIPPED, NoticeError, NoticeStore, install_shipped
from recorder.common.home import Home
from recorder.common.serial_executor import SerialExecutor
from recorder.config.settings import Config
from recorder.rules.notice_schedule import NoticeState
from recorder.service.reloading import Reloader


def sound(path: Path, *, hz: float = 440.0, seconds: float = 0.5) -> Path:
    times = np.arange(int(8000 * seconds)) / 8000
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hz * times), 8000)
    return path


@pytest.fixture
def store(tmp_path: Path) -> NoticeStore:
    return NoticeStore(tmp_path / "notices")


def test_what_is_set_is_loaded(store: NoticeStore, tmp_path: Path) -> None:
    source = sound(tmp_path / "hello.wav")
    put = store.put("first", source, by="os:test")
    loaded = store.load("first")
    assert (loaded.version, loaded.sha256) == (1, put.sha256)
    assert loaded.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert loaded.prompt.duration_s == pytest.approx(0.5, abs=0.05)


def test_the_newest_version_is_in_use_and_the_old_one_stays(store: NoticeStore, tmp_path: Path) -> None:
    old = store.put("first", sound(tmp_path / "a.wav"), by="os:test")
    new = store.put("first", sound(tmp_path / "b.flac", hz=880), by="os:test")
    other = store.put("second", sound(tmp_path / "c.wav", hz=660), by="os:test")
    assert (new.version, other.version) == (2, 1)
    assert store.load("first").sha256 == new.sha256
    assert [entry.sha256 for entry in store.versions()] == [old.sha256, new.sha256, other.sha256]
    assert (tmp_path / "notices" / f"{old.sha256}.wav").exists()


def test_the_catalogue_says_who_and_when(store: NoticeStore, tmp_path: Path) -> None:
    store.put("first", sound(tmp_path / "a.wav"), by="os:test")
    entry = store.versions()[0]
    assert entry.set_by == "os:test"
    assert entry.as_json()["set_at"].endswith("Z")
    assert entry.duration_s == pytest.approx(0.5, abs=0.05)


def test_a_message_that_is_not_there_says_what_to_do(store: NoticeStore) -> None:
    with pytest.raises(NoticeError, match="no message 'first'; set one with `recorder notices import first FILE`"):
        store.load("first")


def test_what_is_no_sound_changes_nothing(store: NoticeStore, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound at all")
    with pytest.raises(NoticeError, match="message 'first': "):
        store.put("first", bad, by="os:test")
    assert store.versions() == []


def test_an_altered_file_is_noticed(store: NoticeStore, tmp_path: Path) -> None:
    put = store.put("first", sound(tmp_path / "a.wav"), by="os:test")
    sound(tmp_path / "notices" / f"{put.sha256}.wav", hz=500)
    with pytest.raises(NoticeError, match="altered since it was set; set it again"):
        store.load("first")


def test_a_file_that_is_gone_is_noticed(store: NoticeStore, tmp_path: Path) -> None:
    put = store.put("first", sound(tmp_path / "a.wav"), by="os:test")
    (tmp_path / "notices" / f"{put.sha256}.wav").unlink()
    with pytest.raises(NoticeError, match="message 'first': "):
        store.load("first")


def test_the_shipped_messages_are_ready(store: NoticeStore) -> None:
    install_shipped(store)
    for name in NAMES:
        assert store.load(name).prompt.duration_s > 10
        assert (SHIPPED / f"{name}.en.txt").read_text().strip()


# --- dates, services, languages and words

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


class Day:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def day() -> Day:
    return Day()


@pytest.fixture
def dated(tmp_path: Path, day: Day) -> NoticeStore:
    return NoticeStore(tmp_path / "notices", now=day)


def test_a_version_waits_for_its_date_and_its_words_are_kept(dated: NoticeStore, day: Day, tmp_path: Path) -> None:
    old = dated.put("first", sound(tmp_path / "a.wav"), by="sally")
    of = NewNotice(language="en", service="Benefits", starts_at=NEW_YEAR, text=" Mae'r alwad hon... \n")
    new = dated.put("first", sound(tmp_path / "b.wav", hz=880), by="sally", of=of)
    assert dated.load("first", service="Benefits").version == old.version
    day.now = NEW_YEAR
    assert dated.load("first", service="Benefits").version == new.version
    assert dated.load("first", service="Revenues").version == old.version
    assert dated.text_of(dated.version("first", new.version)) == "Mae'r alwad hon...\n"
    assert dated.text_of(dated.version("first", old.version)) == ""


def test_a_former_version_is_brought_back_and_a_date_is_given_up(dated: NoticeStore, day: Day, tmp_path: Path) -> None:
    dated.put("first", sound(tmp_path / "a.wav"), by="sally")
    day.now += timedelta(hours=1)
    dated.put("first", sound(tmp_path / "b.wav", hz=880), by="sally")
    day.now += timedelta(hours=1)
    dated.use("first", 1, service="", starts_at=None, by="dora")
    assert dated.load("first").version == 1
    dated.use("first", 2, service="", starts_at=NEW_YEAR, by="dora")
    dated.use("first", 2, service="", starts_at=NEW_YEAR + timedelta(days=1), by="dora")
    coming = [one for one in dated.periods(day.now) if one.state is NoticeState.COMING]
    assert [one.use.starts_at for one in coming] == [NEW_YEAR + timedelta(days=1)], "the second date replaces the first"
    dated.withdraw("first", 2, service="")
    shown = [(one.use.version, one.use.set_by, one.state.value) for one in dated.periods(day.now)]
    assert shown == [(1, "sally", "past"), (2, "sally", "past"), (1, "dora", "in_force")]
    with pytest.raises(NoticeError, match="version 2 of message 'first' does not wait for a date"):
        dated.withdraw("first", 2, service="")


def test_of_changes_within_one_second_the_last_counts(dated: NoticeStore, tmp_path: Path) -> None:
    for hz in (440, 880):
        dated.put("first", sound(tmp_path / f"{hz}.wav", hz=hz), by="sally")
    dated.use("first", 1, service="", starts_at=None, by="sally")
    assert dated.load("first").version == 1
    assert dated.put("first", sound(tmp_path / "660.wav", hz=660), by="sally").version == 3
    assert dated.load("first").version == 3


def test_what_callers_heard_is_not_rewritten(dated: NoticeStore, tmp_path: Path) -> None:
    past = NewNotice(starts_at=NOW - timedelta(days=1))
    with pytest.raises(NoticeError, match="is past: what callers heard until now stays as it was"):
        dated.put("first", sound(tmp_path / "a.wav"), by="sally", of=past)
    assert dated.versions() == []
    dated.put("first", sound(tmp_path / "a.wav"), by="sally")
    with pytest.raises(NoticeError, match="is past"):
        dated.use("first", 1, service="", starts_at=NOW - timedelta(days=1), by="sally")
    with pytest.raises(NoticeError, match="no version 2 of message 'first'; `recorder notices list`"):
        dated.use("first", 2, service="", starts_at=None, by="sally")


def test_a_catalogue_of_before_is_read(dated: NoticeStore, tmp_path: Path) -> None:
    put = dated.put("first", sound(tmp_path / "a.wav"), by="sally")
    catalogue = tmp_path / "notices" / "catalogue.json"
    (entry,) = json.loads(catalogue.read_text())
    kept = ("name", "version", "sha256", "file", "duration_s", "set_at", "set_by")
    catalogue.write_text(json.dumps([{key: entry[key] for key in kept}]))
    (version,) = dated.versions()
    assert (version.language, version.uses[0].starts_at, version.uses[0].service) == ("en", NOW, "")
    assert dated.load("first").sha256 == put.sha256
    catalogue.write_text("[3]")
    with pytest.raises(NoticeError, match="cannot be read"):
        dated.versions()


def choice(*languages: str) -> MessageChoice:
    return MessageChoice(first="first", second=None, languages={"Benefits": languages}, default=("en",))


def test_languages_are_played_one_after_the_other(dated: NoticeStore, day: Day, tmp_path: Path) -> None:
    english = dated.put("first", sound(tmp_path / "a.wav", seconds=1), by="sally")
    of = NewNotice(language="cy", starts_at=NEW_YEAR)
    welsh = dated.put("first", sound(tmp_path / "b.wav", hz=880, seconds=1), by="sally", of=of)
    loaded = load_announcements(dated, choice("cy", "en"), day.now)
    assert loaded.of("Benefits", NOW).first.id == english.id
    assert loaded.missing("Benefits", NOW) == [("first", "cy")]
    both = loaded.of("Benefits", NEW_YEAR).first
    assert (both.id, both.sha256) == (f"{welsh.id}+{english.id}", f"{welsh.sha256}+{english.sha256}")
    assert [(one.language, one.service) for one in both.heard] == [("cy", "Benefits"), ("en", "Benefits")]
    for codec in Codec:
        heard, first, second = (one.audio[codec] for one in (both.prompt, welsh.prompt, english.prompt))
        assert (heard.startswith(first), heard.endswith(second)) == (True, True)
        assert len(heard) - len(first) - len(second) == 0.6 * 8000, "the pause between them"
    assert loaded.of("Benefits", NEW_YEAR).second is None
    assert loaded.of("Benefits", NOW - timedelta(days=400)).first.id == english.id, "a clock that was set back"


def test_a_clock_that_is_set_back_after_loading_leaves_nobody_untold(
    dated: NoticeStore, day: Day, tmp_path: Path
) -> None:
    put = dated.put("first", sound(tmp_path / "a.wav"), by="sally", of=NewNotice(starts_at=NEW_YEAR))
    day.now = NEW_YEAR
    assert load_announcements(dated, choice("en"), day.now).of("Benefits", NOW).first.id == put.id


def test_a_service_without_any_message_is_refused_in_words(dated: NoticeStore, day: Day, tmp_path: Path) -> None:
    dated.put("first", sound(tmp_path / "a.wav"), by="sally")
    with pytest.raises(NoticeError, match=r"no message 'first' in Welsh for Benefits; .* first FILE --language cy`"):
        load_announcements(dated, choice("cy"), day.now)


def test_whatever_is_wrong_with_changed_messages_is_an_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms: dict[str, bool] = {}
    services = SimpleNamespace(config=Config(), set_alarm=alarms.__setitem__)
    reloader = Reloader(
        Home(tmp_path), services, *[None] * 3, manager=None, used=lambda: None,  # type: ignore[arg-type]
    )  # fmt: skip
    executor = SerialExecutor("filing")
    Home(tmp_path).notices.mkdir(parents=True)
    (Home(tmp_path).notices / "catalogue.json").write_text("[]")

    def load(*_: object) -> Sounds:
        raise MemoryError

    monkeypatch.setattr("recorder.service.reloading.load_sounds", load)
    reloader.watch_notices(executor)
    executor.close()
    assert alarms == {"notices_unusable": True}
