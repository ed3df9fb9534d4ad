"""What processes do to a vault until they are killed: each act says on a pipe what it has begun and what is done.

What is said to be done must be true after the kill. What was only begun may be either.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from recorder.calls.filing import FOLDER, Filing
from recorder.calls.pause_register import REGISTER, read_states, write_states
from recorder.common.problems import ProblemError
from recorder.recordings.recovery import recover_all
from recorder.retention.holding import place_hold, release_hold, settle_holds
from recorder.rules.holds import HoldWish
from recorder.rules.pausing import PauseState
from storage.audit_reading import newest_first
from storage.erasures import new_order_id
from storage.recording import OpenRecording
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState, HoldKind
from storage.rows import row_from_json, time_to_json
from storage.tombstones import tombstones_of
from storage.types import RecordingHead, RecordingId, Search
from tests.crash.vault_site import CONFIG, DORA, SERVICE, VaultSite, block, ended_at, recording_id, started_at


@dataclass(frozen=True)
class Speaker:
    """The process's end of the pipe: takes a line of JSON."""

    tell: Callable[[bytes], object]

    def say(self, what: str, **facts: Any) -> None:
        self.tell(json.dumps({"what": what, **facts}).encode() + b"\n")


Act = Callable[[VaultSite, random.Random, Speaker], None]


def record(site: VaultSite, rng: random.Random, speaker: Speaker) -> None:
    """Record some calls, one after the other, as the daemon does; some are left open, some discarded."""
    for number in range(rng.randint(1, 3)):
        recording = recording_id(site.now + timedelta(seconds=10 * number), rng)
        speaker.say("beginning", id=recording)
        head = RecordingHead(
            id=recording, started_at=started_at(recording), operator_key="k7", index_row=row_of(recording, 0)
        )
        made = site.vault.create(head)
        speaker.say("begun", id=recording)
        seconds = _talk(made, rng, speaker)
        end = rng.random()
        if end < 0.75:
            _close(site, made, seconds, speaker)
        elif end < 0.9:
            _discard(site, made, speaker)


def row_of(recording: RecordingId, seconds: int) -> dict[str, Any]:
    """Return the row of a recording, in JSON form."""
    segments = [{"start_s": 0.0, "end_s": float(seconds), "kind": "recording", "reason": "", "by": ""}]
    return {
        "id": recording, "started_at": started_at(recording).isoformat(),
        "ended_at": ended_at(recording, seconds).isoformat(), "direction": "inbound", "extension": "2001",
        "operator": "a.officer", "service": SERVICE, "caller": "02079460000", "called": "2001",
        "outcome": "recorded", "reason": "ended", "segments": segments, "operator_key": "k7",
        "duration_s": float(seconds), "recorded_s": float(seconds),
    }  # fmt: skip


def _talk(made: OpenRecording, rng: random.Random, speaker: Speaker) -> int:
    seconds = rng.randint(1, 4)
    for second in range(seconds):
        made.append(block(made.id, second))
        speaker.say("appended", id=made.id, seconds=second + 1)
        if rng.random() < 0.3:
            made.update(row_of(made.id, second + 1))
        if rng.random() < 0.3:
            made.sync()
            speaker.say("synced", id=made.id, seconds=second + 1)
    return seconds


def _close(site: VaultSite, made: OpenRecording, seconds: int, speaker: Speaker) -> None:
    row = row_of(made.id, seconds)
    finished = made.close(row, is_complete=True)
    speaker.say("closed", id=made.id)
    filing = Filing(site.index, site.home.state / FOLDER, alarm=lambda what: speaker.say("alarm", alarm=what))
    filing.save(row_from_json({**row, "path": finished.path, "bytes": finished.bytes, "sha256": finished.sha256}))
    speaker.say("filed", id=made.id)


def _discard(site: VaultSite, made: OpenRecording, speaker: Speaker) -> None:
    register = site.home.state / REGISTER
    discarded = {"state": str(PauseState.DISCARDED), "reasons": [], "position_s": 0.0}
    speaker.say("discarding", id=made.id)
    write_states(register, {**read_states(register), made.id: discarded})
    speaker.say("discarded", id=made.id)
    made.discard()


def erase(site: VaultSite, rng: random.Random, speaker: Speaker) -> None:
    """Order a span of a recording to be erased, and carry out what is due."""
    rows = [
        row for row in site.index.find(Search(limit=1000))
        if row.path and row.duration_s >= 1 and not site.holds.keeping(row.id, site.now)
    ]  # fmt: skip
    if rows:
        row = rng.choice(sorted(rows, key=lambda one: one.id))
        start = rng.randrange(int(row.duration_s * 10)) / 10
        order = ErasureOrder(
            id=new_order_id(), recording=row.id, start_s=start, end_s=start + rng.choice((0.3, 1.0)),
            kind=ErasureKind.CARD_DATA, ordered_by="olive", ordered_at=site.now, state=ErasureState.CONFIRMED,
        )  # fmt: skip
        details = {
            "order": order.id, "start_s": order.start_s, "end_s": order.end_s, "kind": str(order.kind),
            "state": str(order.state), "at": time_to_json(order.ordered_at),
        }  # fmt: skip
        site.audit.append("erasure.ordered", order.ordered_by, row.id, details)
        site.erasures.place(order)
        speaker.say("ordered", id=row.id, order=order.id)
    for done in site.eraser.carry_out_due():
        speaker.say("carried out", id=done.recording, order=done.id, state=str(done.state))


def sweep(site: VaultSite, _rng: random.Random, speaker: Speaker) -> None:
    """Delete what is due."""
    state = site.sweeper.run()
    speaker.say("swept", at=site.now.isoformat(), counts=dict(state.counts))


def tend(site: VaultSite, _rng: random.Random, speaker: Speaker) -> None:
    """Do the key holder's daily work: re-seal, destroy the keys of epochs that are over."""
    site.epochs.ensure_epochs(site.now)
    tended = site.key_holder.maintain(wait=True)
    speaker.say("tended", problems=tended.problems, resealed=len(tended.resealed), destroyed=len(tended.destroyed))


def rotate(site: VaultSite, _rng: random.Random, speaker: Speaker) -> None:
    """Take new epoch keys; an hour later, which `tend` is told, everything is sealed to them anew."""
    site.epochs.rotate(site.now)
    speaker.say("rotated")


def hold(site: VaultSite, rng: random.Random, speaker: Speaker) -> None:
    """Hold one recording, and release another."""
    rows = sorted(row.id for row in site.index.find(Search(limit=1000)) if row.path)
    standing = sorted(site.holds.held_ids(site.now))
    if rows and len(standing) < 5:
        chosen = rng.choice(rows)
        wish = HoldWish(kind=HoldKind.SAR, reason="they asked for it", case_reference="S-1")
        try:
            placed = place_hold(site.hold_repositories, DORA, chosen, wish)
        except ProblemError:  # a sweep that was killed has logged the deletion and removed the file, not yet the row
            if not _has_logged_deletion(site, chosen):
                raise
        else:
            speaker.say("held", id=chosen, hold=placed.id)
    if standing and rng.random() < 0.3:
        for one in site.holds.keeping(rng.choice(standing), site.now):
            if one.released_at is None:
                speaker.say("releasing", id=one.recording, hold=one.id)
                release_hold(site.hold_repositories, DORA, one.id, reason="over")


def _has_logged_deletion(site: VaultSite, recording: str) -> bool:
    return any(one.id == recording for entry in newest_first(site.audit.path) for one in tombstones_of(entry))


def recover(site: VaultSite, _rng: random.Random, speaker: Speaker) -> None:
    """Do what daemon and console do when they start."""
    recovered = recover_all(site.home, CONFIG, site.now)
    for one in recovered:
        speaker.say("recovered", id=one.id, problem=one.problem)
    settle_holds(site.home.state, site.holds, site.audit)
    site.eraser.carry_out_due(wait=True)
    site.epochs.ensure_epochs(site.now)
    site.epochs.finish_destroying()
    speaker.say("started")


ACTS: dict[str, Act] = {
    "record": record, "erase": erase, "sweep": sweep, "tend": tend, "rotate": rotate, "hold": hold,
}  # fmt: skip
