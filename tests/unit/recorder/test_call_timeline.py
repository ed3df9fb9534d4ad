"""The steps of a call, and what people may know of what was done with its recording."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recorder.audit.history import history_of
from recorder.permissions import Person, Role
from recorder.recordings.call_timeline import timeline_of
from recorder.web.waveform import WIDTH, waveform_of
from storage.audit_entry import AuditEntry
from storage.rows import row_from_json, row_to_json
from storage.types import HeardNotice, NoticeProof, PlayedMessage, RecordingRow
from tests.helpers.storage_home import row

BEGAN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def span(start_s: float, end_s: float, kind: str, operator: str = "Ann", extension: str = "2001", **more: str) -> Any:
    fields = {"reason": "", "by": "", "operator": operator, "extension": extension, **more}
    return {"start_s": start_s, "end_s": end_s, "kind": kind, **fields}


def call(*spans: Any, **changes: Any) -> RecordingRow:
    end = spans[-1]["end_s"] if spans else 0.0
    ended_at = (BEGAN + timedelta(seconds=end)).isoformat()
    fields = {"segments": list(spans), "ended_at": ended_at, "duration_s": end, "reason": "hung_up", **changes}
    return row_from_json(row(**fields))


def test_who_had_the_call_and_what_became_of_the_recording() -> None:
    notice = NoticeProof(
        id="first.en", sha256="ab", started_at=BEGAN - timedelta(seconds=9), ended_at=BEGAN - timedelta(seconds=1),
        complete=True, proof="heard",
        messages=(
            HeardNotice(id="first/3", sha256="ab", language="en", service="Benefits"),
            HeardNotice(id="first/4", sha256="cd", language="cy", service="Benefits"),
        ),
    )  # fmt: skip
    of = call(
        span(0, 10, "recording"), span(10, 20, "paused", reason="agent,card_digits", by="Ann"),
        span(20, 30, "recording"), span(30, 40, "recording", "Bob", "2002"), span(40, 45, "out_of_scope", "", ""),
        span(45, 50, "recording", "Bob", "2002"),
    )  # fmt: skip
    steps = timeline_of(replace(of, notice=notice))
    assert [((step.at or BEGAN) - BEGAN).total_seconds() for step in steps] == [
        -9,
        -1,
        0,
        0,
        10,
        20,
        30,
        40,
        45,
        45,
        50,
    ]
    assert [step.what for step in steps] == [
        "The notice began (version 3, English; version 4, Welsh)",
        "The notice ended, heard in full",
        "Joined to Ann (2001)",
        "Recorded",
        "Paused (by the officer, card details keyed), by Ann",
        "Recorded again",
        "Transferred to Bob (2002)",
        "With somebody whose calls are not recorded",
        "Back with Bob (2002)",
        "Recorded again",
        "The call ended: recorded, hung up",
    ]
    assert [step.at_s for step in steps][:3] == [None, None, 0.0]


@pytest.mark.parametrize(
    ("spans", "told"),
    [
        # A span without an officer: it is not known who had the call, and nobody transferred it.
        ((span(0, 9, "recording"), span(9, 12, "lost", "", ""), span(12, 20, "recording")), ["Joined to Ann (2001)"]),
        ((span(0, 9, "recording", ""), span(9, 20, "paused")), ["Joined to 2001"]),
        ((span(0, 9, "recording"), span(9, 20, "paused", "Ann", "")), ["Joined to Ann (2001)"]),
        # After an erasure.
        ((span(0, 9, "recording"), span(9, 12, "erased", "", ""), span(12, 20, "recording")), ["Joined to Ann (2001)"]),
        ((span(0, 9, "erased", "", ""), span(9, 20, "recording")), ["Joined", "With Ann (2001)"]),
        # A transfer that an erasure hides is one all the same.
        (
            (span(0, 9, "recording"), span(9, 12, "erased", "", ""), span(12, 20, "recording", "Bob", "2002")),
            ["Joined to Ann (2001)", "Transferred to Bob (2002)"],
        ),
        (
            (span(0, 9, "recording"), span(9, 20, "recording", "", "2002")),
            ["Joined to Ann (2001)", "Transferred to 2002"],
        ),
    ],
)  # fmt: skip
def test_nobody_is_transferred_to_where_it_is_not_known_who_had_the_call(
    spans: tuple[Any, ...], told: list[str]
) -> None:
    words = ("Joined", "Transferred", "With", "Back")
    assert [step.what for step in timeline_of(call(*spans)) if step.what.startswith(words)] == told


def test_each_second_message_is_a_step_of_its_own_with_its_own_time() -> None:
    notice = NoticeProof(
        id="first.en", sha256="ab", started_at=BEGAN - timedelta(seconds=20), ended_at=BEGAN - timedelta(seconds=12),
        complete=True, proof="heard", second_message=True,
    )  # fmt: skip
    by_key = PlayedMessage(
        started_at=BEGAN - timedelta(seconds=12), ended_at=BEGAN - timedelta(seconds=4), complete=True
    )
    asked = PlayedMessage(started_at=BEGAN + timedelta(seconds=5), by="ann")
    of = replace(call(span(0, 9, "recording")), notice=notice, second_messages=(by_key, asked))
    of = row_from_json(json.loads(json.dumps(row_to_json(of))))
    assert [(step.what, step.at_s) for step in timeline_of(of)] == [
        ("The notice began", None),
        ("The notice ended, heard in full", None),
        ("The second message began, as the caller asked by a key", None),
        ("The second message ended, heard in full", None),
        ("Joined to Ann (2001)", 0.0),
        ("Recorded", 0.0),
        ("The second message began, as ann asked; it was not heard in full", 5.0),
        ("The call ended: recorded, hung up", None),
    ]


def test_of_an_older_call_it_is_not_known_when_the_second_message_was_played() -> None:
    notice = NoticeProof(
        id="first.en", sha256="ab", started_at=BEGAN - timedelta(seconds=9), ended_at=BEGAN - timedelta(seconds=1),
        complete=True, proof="heard", second_message=True,
    )  # fmt: skip
    steps = timeline_of(replace(call(span(0, 9, "recording")), notice=notice))
    assert [(step.what, step.at) for step in steps][1:3] == [
        ("The notice ended, heard in full", notice.ended_at),
        ("The second message was played", None),
    ]


def test_a_notice_that_was_not_heard_and_a_call_of_which_nothing_was_kept() -> None:
    notice = NoticeProof(
        id="first.en", sha256="ab", started_at=BEGAN, ended_at=BEGAN + timedelta(seconds=2), complete=False,
        proof="none",
    )  # fmt: skip
    of = replace(call(outcome="blocked", reason="notice_not_heard"), notice=notice, ended_at=BEGAN)
    assert [step.what for step in timeline_of(of)] == [
        "The notice began", "The call ended: not recorded, recording notice not heard",
        "The notice ended, not heard in full",
    ]  # fmt: skip


def test_a_waveform_has_both_sides_and_marks_what_was_not_recorded() -> None:
    of = call(span(0, 50, "recording"), span(50, 75, "paused"), span(75, 100, "erased"), path="a.rec")
    assert waveform_of(of) is None, "no peaks are known"
    peaks = bytes(100 for _ in range(1000)), bytes([255] * 500 + [0] * 500)
    shape = waveform_of(replace(of, peaks=peaks))
    assert shape is not None
    assert [(band.x, band.width, band.segment.kind) for band in shape.bands] == [
        (500, 250, "paused"), (750, 250, "erased")
    ]  # fmt: skip
    assert (shape.length_s, WIDTH) == (100, 1000)
    assert shape.right.count("L") == 999, "a top and a bottom of each bar"
    assert shape.right.startswith("M0.0 124.0L2.0 124.0"), "loud at first"
    assert "L998.0 179.5" in shape.right, "silent at last"
    assert waveform_of(replace(of, peaks=peaks, path=None)) is None


def person(name: str, role: Role) -> Person:
    return Person(name=name, display_name=name, roles=frozenset({role}))


def entry(number: int, act: str, actor: str, subject: str = "r1", /, **details: Any) -> AuditEntry:
    at = f"2026-11-24T10:{number:02}:00Z"
    return AuditEntry(
        number=number, at=at, act=act, actor=actor, subject=subject, details=details, previous="", hash=""
    )


LOG = [
    entry(1, "call.pause", "ann"),
    entry(2, "request.ask", "ann", "q1", category="complaint", leave="listen"),
    entry(3, "request.granted", "lead", "q1", account="ann"),
    entry(4, "recording.view", "ann"),
    entry(5, "recording.view", "ann"),
    entry(6, "recording.play", "ann", request="q1"),
    entry(7, "recording.play.opened", "ann", request="q1"),
    entry(8, "recording.play.served", "ann", spans=[{"from_s": 0.0, "to_s": 75.0}]),
    entry(9, "hold.place", "rhea"),
    entry(10, "recording.play", "ict", break_glass=True),
    entry(11, "access.refused", "other", act="recording.play"),
]


@pytest.mark.parametrize(
    ("who", "role", "own", "seen"),
    [
        ("dpo", Role.DPO, (), [11, 10, 9, 8, 6, 5, 3, 2, 1]),
        ("lead", Role.TEAM_LEADER, (), [10, 8, 6, 3, 2]),
        ("ann", Role.OFFICER, ("q1",), [8, 6, 5, 3, 2, 1]),
        ("rhea", Role.MANAGER, (), [9]),
        ("other", Role.OFFICER, (), [11]),
    ],
)
def test_a_history_is_told_as_far_as_somebody_may_know(
    who: str, role: Role, own: tuple[str, ...], seen: list[int]
) -> None:
    found = history_of(person(who, role), LOG, own)
    assert [int(deed.at[14:16]) for deed in found] == seen


def test_a_history_says_what_was_done() -> None:
    said = {deed.actor + ": " + deed.what: deed.times for deed in history_of(person("dpo", Role.DPO), LOG)}
    assert said == {
        "ann: Paused the recording": 1,
        "ann: Asked to listen: answering a complaint": 1,
        "lead: Granted the request of ann": 1,
        "ann: Looked at its details": 2,
        "ann: Listened, with permission": 1,
        "ann: Was sent the audio from 0:00 to 1:15": 1,
        "rhea: Was about to place a legal hold": 1,
        "ict: Listened without approval (break-glass)": 1,
        "other: Was refused: listen to a recording": 1,
    }
