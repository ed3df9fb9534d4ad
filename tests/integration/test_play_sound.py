"""`recorder recordings play` through a sound device: which samples are heard, under which entries of the audit log."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer

from recorder.cli import copies
from recorder.cli.context import CommandContext
from recorder.cli.identity import people_of
from recorder.cli.playback import Playback
from recorder.cli.records import row_of
from recorder.common.clock import utc_now
from recorder.web.listening import Listen
from storage.audit import AuditLog
from storage.errors import AuditUnavailableError
from storage.types import RecordingId
from tests.helpers import export_shell
from tests.helpers.export_shell import Shell
from tests.helpers.recorder_home import recorder_home
from tests.helpers.sound_card import SoundCard

RATE = 8000
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundCard]:
    with SoundCard(tmp_path_factory.mktemp("card"), RATE) as card:
        yield card


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("play")
    with recorder_home(folder, is_started=False, next_hop="127.0.0.1:5099") as home:
        (out := folder / "out").mkdir()
        yield Shell(home, out)


def played(shell: Shell, recording: str, *words: str) -> Any:
    return shell.home.run("recordings", "play", recording, *words, "-C", str(shell.home.root))


def listened(shell: Shell, recording: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the audit entries of listening to a recording: act and details."""
    lines = (shell.home.root / "audit" / "audit.log").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [(e["act"], e["details"]) for e in entries if e["subject"] == recording and ".play" in e["act"]]


def exported(shell: Shell, recording: RecordingId) -> np.ndarray:
    target = shell.folder / f"{recording}.wav"
    shell.made(recording, "-o", str(target), "--format", "wav")
    samples, rate = soundfile.read(target, dtype="int16")
    assert rate == RATE
    return np.asarray(samples)


def test_every_sample_is_played_after_its_entry(shell: Shell, card: SoundCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_shell, "SECONDS", 2)
    monkeypatch.setattr(export_shell, "SEGMENTS", [])
    recording = shell.record("000081")
    wanted = exported(shell, recording)
    card.use(monkeypatch)
    since = card.now()
    write = AuditLog.append

    def append(self: AuditLog, **entry: Any) -> Any:
        if entry["act"] == "recording.play":
            raise AuditUnavailableError("the audit log cannot be written: the disk is full")
        return write(self, **entry)

    monkeypatch.setattr(AuditLog, "append", append)
    done = played(shell, recording, *shell.home.as_hearer())
    assert (done.returncode, "the disk is full; nothing was done" in done.stderr) == (1, True)
    monkeypatch.setattr(AuditLog, "append", write)
    assert not card.heard(since)[: card.now() - since].any(), "nothing is heard without the entry"

    def play() -> Any:
        done = played(shell, recording, *shell.home.as_hearer(), "--json")
        assert done.returncode == 0, done.stderr
        return done

    done = card.hear_all(wanted, play)
    assert json.loads(done.stdout) == {"recording": recording, "duration_s": 2.0, "withheld": []}
    *_, (begun, given), (ended, sent) = listened(shell, recording)
    assert (begun, ended) == ("recording.play", "recording.play.served")
    assert sent["spans"] == [{"from_s": 0.0, "to_s": 2.0}]
    assert given["request"] == sent["request"]
    assert sent["where"] == "shell"


def test_nobody_listens_without_grant_or_device(
    shell: Shell, card: SoundCard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recording = shell.record("000083")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = played(shell, recording, *shell.home.as_hearer())
    said = " ".join(done.stderr.split())
    assert (done.returncode, "no loudspeaker" in said, "recordings export" in said) == (1, True, True)
    assert not listened(shell, recording), "nobody has listened"
    done = played(shell, recording, *shell.home.as_manager("mo", "Revenues"))
    assert (done.returncode, "You need permission" in " ".join(done.stderr.split())) == (1, True)
    assert [act for act, _ in listened(shell, recording)] == ["recording.play.refused"]
    card.use(monkeypatch)
    done = played(shell, recording, "--speaker", "headset", *shell.home.as_hearer())
    assert (done.returncode, "no loudspeaker headset" in " ".join(done.stderr.split())) == (1, True)


def test_a_pause_on_the_terminal_and_a_lock_meanwhile(
    shell: Shell, card: SoundCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_shell, "SECONDS", 60)  # a busy machine may be slow to press a key
    monkeypatch.setattr(export_shell, "SEGMENTS", [])
    recording = shell.record("000084", started=utc_now().replace(microsecond=0) - timedelta(hours=2))
    screen, theirs = pty.openpty()
    words = ["recordings", "play", recording, *shell.home.as_hearer(), "-C", str(shell.home.root)]
    process = subprocess.Popen(
        [sys.executable, "-m", "recorder", *words], stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, **card.env, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)
    try:
        read_until(screen, "playing 0:00 / 1:00")
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), "it leaves no core file"
        os.write(screen, b"1")
        read_until(screen, "caller")
        os.write(screen, b" ")
        read_until(screen, "paused")
        order = ("--from", "0", "--to", "1", "--kind", "other", "--reason", "a name")
        done = shell.home.run(
            "recordings", "erase", recording, *order, *shell.home.as_admin(), "-C", str(shell.home.root)
        )
        assert done.returncode == 0, done.stderr
        os.write(screen, b" ")
        assert "locked" in read_until(screen, None)
        assert process.wait(PATIENCE_S) == 1
    finally:
        process.kill()
        process.wait()
        os.close(screen)
    (sent,) = [details for act, details in listened(shell, recording) if act == "recording.play.served"]
    (span,) = sent["spans"]
    assert span["from_s"] == 0.0
    assert 0 < span["to_s"] < 60


def test_who_lost_the_account_does_not_go_on(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = shell.record("000085")
    who = shell.home.as_officer("orla")
    shell.home.give_leave(recording, account="orla")
    context = CommandContext(shell.home.root)
    person = people_of(context.home).find("orla")
    assert person is not None
    playback = Playback(Silent(), needs_check=True)
    now = utc_now()
    listen = Listen(
        account="orla", recording=recording, reason="accuracy", until=now + timedelta(hours=1), request="1"
    )  # fmt: skip
    row = row_of(context, recording)
    copies._check_permission(context, row, person, listen, playback)
    assert not playback.needs_check
    disable = ("users", "disable", "orla", *shell.home.as_admin(), "-C", str(shell.home.root))
    assert shell.home.run(*disable).returncode == 0, who
    copies._check_permission(context, row, person, listen, playback)  # only after a pause or a skip
    playback.needs_check = True
    with pytest.raises(typer.Exit):
        copies._check_permission(context, row, person, listen, playback)
    monkeypatch.setattr(copies, "utc_now", lambda: now + timedelta(hours=1))
    playback.needs_check = False
    with pytest.raises(typer.Exit):
        copies._check_permission(context, row, person, listen, playback)


class Silent:
    """A copy of nothing."""

    rate_hz, frames = RATE, 0

    def part(self, first: int, end: int) -> Iterator[bytes]:
        raise AssertionError(f"nothing is read from {first} to {end}")


def read_until(screen: int, words: str | None) -> str:
    """Return what a terminal shows until it has some words, spaces told apart from nothing; None reads to the end."""
    shown, deadline = "", time.monotonic() + PATIENCE_S
    while words is None or words not in shown:
        assert time.monotonic() < deadline, shown
        try:
            shown = " ".join((shown + os.read(screen, 4096).decode(errors="replace")).split())
        except OSError:  # the program has ended
            assert words is None, shown
            return shown
    return shown
