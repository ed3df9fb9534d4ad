"""Messages: stored by hash and version, refused where they cannot be played, noticed when altered."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.calls.notices import NAMES, SHIPPED, NoticeError, NoticeStore, install_shipped


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
