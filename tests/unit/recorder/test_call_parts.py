"""Whose part of a call is whose: what may be asked for, what is shown of a row, and what is silent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recorder.permissions import Application, LocalUser, Person, Role
from recorder.recordings.call_timeline import timeline_of
from recorder.rules.call_parts import (
    TAIL_US,
    is_part,
    is_silent,
    is_withheld,
    may_hear,
    narrowed,
    officers_on,
    relation,
    seen_by,
    silenced,
    whole_for,
    withheld_of,
)
from recorder.rules.spans import US, Spans
from storage.spans import Span as Cut
from storage.spans import segments_without
from storage.types import Officer, Outcome, Participant, RecordingId, RecordingRow, Segment, SegmentKind

START = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ALICE = Officer(extension="2001", operator="Alice", team="Revenues")
BOB = Officer(extension="2002", operator="Bob", team="Benefits")
CARL = Officer(extension="2003", operator="Carl", team="")


def segment(
    start_s: float, end_s: float, *officers: Officer, kind: SegmentKind = SegmentKind.RECORDING, **more: str
) -> Segment:
    first = officers[0] if officers else Officer(extension="", operator="", team="")
    return Segment(
        start_s=start_s, end_s=end_s, kind=kind, operator=first.operator, extension=first.extension,
        officers=officers, **more,
    )  # fmt: skip


def row(*segments: Segment, **more: object) -> RecordingRow:
    end_s = segments[-1].end_s if segments else 60.0
    officers = dict.fromkeys(one for part in segments for one in part.officers)
    fields: dict[str, object] = {
        "operators": tuple(one.operator for one in officers), "extensions": tuple(one.extension for one in officers),
        "duration_s": end_s, "peaks": (b"\x09" * int(end_s * 10),) * 2, "path": "2026/x.rec", **more,
    }  # fmt: skip
    return RecordingRow(
        id=RecordingId("20261124T093000Z-2001-0a1b2c"), started_at=START, ended_at=START + timedelta(seconds=end_s),
        direction="inbound", extension="2001", operator="Alice", service="Revenues", caller="02079460000",
        called="2001", outcome=Outcome.RECORDED, reason="ended", team="Revenues", segments=segments,
        **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def person(name: str, *roles: Role, teams: tuple[str, ...] = ()) -> Person:
    return Person(name=name.lower(), display_name=name, roles=frozenset(roles), teams=teams, is_proven=True)


AN_OFFICER, BOB_HIMSELF = person("Alice", Role.OFFICER), person("Bob", Role.OFFICER)
RHEA = person("Rhea", Role.MANAGER, teams=("Revenues",))
BEN = person("Ben", Role.MANAGER, teams=("Benefits",))
BOTH = person("Bo", Role.MANAGER, teams=("Benefits", "Revenues"))
LENA, DORA, MIA = person("Lena", Role.TEAM_LEADER), person("Dora", Role.DPO), person("Mia", Role.MEMBER)

HANDED_OVER = row(segment(0, 12, ALICE), segment(12, 30, BOB), segment(30, 40, ALICE))
A_PARTS: Spans = ((0, 12 * US), (30 * US, 40 * US))
B_PARTS: Spans = ((12 * US, 30 * US),)


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (AN_OFFICER, A_PARTS), (RHEA, A_PARTS), (BOB_HIMSELF, B_PARTS), (BEN, B_PARTS), (BOTH, ((0, 40 * US),)),
        (person("Otto", Role.OFFICER), ()), (person("Hugo", Role.MANAGER, teams=("Housing",)), ()),
        (person("Nobody", Role.MANAGER, teams=("",)), ()), (person("Ian", Role.ICT), ()),
        (person("Bob", Role.ADMIN), ()),
        (person("Bob", Role.OFFICER, Role.MANAGER, teams=("Revenues",)), ((0, 40 * US),)),
        (LENA, None), (DORA, None), (MIA, ()),
    ],
    ids=lambda one: getattr(one, "name", ""),
)  # fmt: skip
def test_everybody_may_ask_for_their_part(who: Person, expected: Spans | None) -> None:
    assert may_hear(who, HANDED_OVER) == expected


def test_an_elected_member_asks_for_a_whole_call_on_their_grounds_only() -> None:
    assert may_hear(MIA, HANDED_OVER, is_as_member=True) is None
    assert may_hear(person("Bob", Role.OFFICER, Role.MEMBER), HANDED_OVER) == B_PARTS
    assert may_hear(BOB_HIMSELF, HANDED_OVER, is_as_member=True) == B_PARTS


def test_in_a_call_between_officers_both_have_all_of_it() -> None:
    internal = row(segment(0, 20, ALICE, BOB))
    for who in (AN_OFFICER, BOB_HIMSELF, RHEA, BEN):
        assert may_hear(who, internal) == ((0, 20 * US),)


def test_a_pause_in_their_part_is_part_of_it() -> None:
    paused = row(segment(0, 5, ALICE), segment(5, 8, BOB), segment(8, 11, BOB, kind=SegmentKind.PAUSED),
                 segment(11, 15, BOB))  # fmt: skip
    assert may_hear(BOB_HIMSELF, paused) == ((5 * US, 15 * US),)


@pytest.mark.parametrize("kind", [kind for kind in SegmentKind if kind is not SegmentKind.RECORDING])
def test_a_segment_in_which_nothing_was_recorded_gives_no_right(kind: SegmentKind) -> None:
    silent = row(segment(0, 5, ALICE), segment(5, 15, BOB, kind=kind))
    assert may_hear(BOB_HIMSELF, silent) == may_hear(BEN, silent) == ()


def test_an_officer_who_was_dialled_and_left_a_segment_of_no_length_has_no_part() -> None:
    """A PBX says with UPDATE who answered: the officer who was dialled has a segment of some hundredths of a second."""
    renamed = row(segment(0, 0.04, ALICE), segment(0.04, 20, BOB))
    assert may_hear(AN_OFFICER, renamed) == may_hear(RHEA, renamed) == ()
    assert officers_on(renamed) == (frozenset({"Bob"}), frozenset({"Benefits"}))
    assert relation(AN_OFFICER, renamed) == ("", "")
    assert relation(RHEA, renamed) == ("", "")
    assert relation(BEN, renamed) == ("", "Benefits")


def test_a_manager_of_no_team_answers_for_no_extension_without_one() -> None:
    alone = row(segment(0, 20, CARL))
    assert may_hear(person("Nobody", Role.MANAGER, teams=("",)), alone) == ()
    assert may_hear(person("Carl", Role.OFFICER), alone) == ((0, 20 * US),)


# --- rows of before


def before(*parts: Segment, **more: object) -> RecordingRow:
    """A row of a version that did not note the officers of a segment."""
    return row(*(replace(one, officers=()) for one in parts), **more)


def test_a_row_of_before_gives_rights_by_what_its_segments_say() -> None:
    old = before(segment(0, 12, ALICE), segment(12, 30, BOB), operators=("Alice", "Bob"), extensions=("2001", "2002"))
    assert may_hear(BOB_HIMSELF, old) == B_PARTS
    assert may_hear(RHEA, old) == ((0, 12 * US),)
    assert may_hear(BEN, old) == (), "of which team the second officer was then, it does not say"
    assert may_hear(LENA, old) is None


def test_a_row_of_one_officer_whose_segments_name_nobody_is_theirs() -> None:
    plain = [replace(segment(0, 12), kind=SegmentKind.RECORDING)]
    old = before(*plain, operators=("Alice",), extensions=("2001",))
    for who in (AN_OFFICER, RHEA):
        assert may_hear(who, old) == ((0, 12 * US),)
    assert may_hear(AN_OFFICER, before(operators=(), extensions=(), duration_s=12.0)) == ((0, 12 * US),)


def test_a_row_of_several_officers_whose_segments_name_nobody_is_no_ones() -> None:
    old = before(segment(0, 12), operators=("Alice", "Bob"), extensions=("2001", "2002"))
    for who in (AN_OFFICER, BOB_HIMSELF, RHEA, BEN):
        assert may_hear(who, old) == ()
    assert officers_on(old) == (frozenset({"Alice", "Bob"}), frozenset({"Revenues"})), "they know that it was there"
    assert narrowed(old, seen_by(AN_OFFICER, old)).peaks == (bytes(120), bytes(120))


def test_what_recovery_could_not_say_is_no_ones() -> None:
    cut_off = row(segment(0, 12, ALICE), segment(12, 30))
    assert may_hear(AN_OFFICER, cut_off) == ((0, 12 * US),)


# --- what is shown


def test_who_sees_all_of_a_row() -> None:
    for who in (LENA, DORA, person("Ian", Role.ICT), LocalUser(name="root"), Application(name="x", scopes=frozenset())):
        assert seen_by(who, HANDED_OVER) is None
    assert seen_by(BEN, HANDED_OVER, None) is None, "they have leave to hear all of it"
    assert seen_by(BEN, HANDED_OVER) == B_PARTS
    assert seen_by(MIA, HANDED_OVER, B_PARTS) == B_PARTS
    assert seen_by(MIA, HANDED_OVER) == ()
    assert narrowed(HANDED_OVER, None) is HANDED_OVER
    assert narrowed(HANDED_OVER, ((0, 40 * US),)) is HANDED_OVER


def test_a_call_of_which_nothing_was_kept_is_shown_as_it_is() -> None:
    nothing = row(path=None, operators=("Alice", "Bob"), peaks=(b"", b""))
    assert seen_by(RHEA, nothing) is None
    assert officers_on(nothing) == (frozenset({"Alice", "Bob"}), frozenset({"Revenues"}))


def test_what_is_shown_of_a_row_is_ones_own_part() -> None:
    whole = replace(
        HANDED_OVER,
        segments=(
            segment(0, 8, ALICE), segment(8, 12, ALICE, kind=SegmentKind.PAUSED, reason="agent", by="Alice"),
            segment(12, 30.05, BOB), segment(30.05, 40, ALICE),
        ),
        participants=tuple(
            Participant(name=name, address="", number="", role="", extension=number)
            for name, number in (("A", "2001"), ("B", "2002"), ("the caller", ""))
        ),
    )  # fmt: skip
    shown = narrowed(whole, seen_by(BEN, whole))
    assert [(one.start_s, one.end_s, one.kind, one.reason, one.by, one.operator) for one in shown.segments] == [
        (0.0, 12.0, SegmentKind.WITHHELD, "", "", ""), (12.0, 30.05, SegmentKind.RECORDING, "", "", "Bob"),
        (30.05, 40.0, SegmentKind.WITHHELD, "", "", ""),
    ]  # fmt: skip
    assert (shown.operator, shown.operators, shown.extensions) == ("Bob", ("Bob",), ("2002",))
    assert [one.name for one in shown.participants] == ["B", "the caller"]
    blank, heard = b"\x00" * 120, b"\x09" * 180
    assert shown.peaks == ((blank + heard + b"\x00" * 100),) * 2, "a tenth of which something is hidden is blank"
    assert is_part(shown)
    assert not is_part(whole)
    assert "Alice" not in " ".join(step.what for step in timeline_of(shown))
    assert [is_withheld(shown, *span) for span in ((0.0, 12.0), (11.0, 13.0), (31.0, None), (0.0, None))] == [
        True, False, True, False,
    ]  # fmt: skip


def test_what_is_silent() -> None:
    spans = [(one.start_s, one.end_s) for one in silenced(HANDED_OVER, B_PARTS)]
    assert spans == [(0.0, 12.0), (30.0, 40.0 + TAIL_US / US)]
    assert [(one.start_s, one.end_s) for one in silenced(HANDED_OVER, A_PARTS)] == [(12.0, 30.0)], "up to the very end"
    assert withheld_of(HANDED_OVER, B_PARTS) == [(0.0, 12.0), (30.0, 40.0)]
    assert silenced(HANDED_OVER, None) == ()
    assert withheld_of(HANDED_OVER, None) == []
    assert whole_for(HANDED_OVER, ((0, 40 * US),)) is None
    assert whole_for(HANDED_OVER, B_PARTS) == B_PARTS
    assert whole_for(row(), ()) == whole_for(row(duration_s=0.0), ()) == ()
    assert is_silent(B_PARTS, 0.0, 12.0)
    assert not is_silent(B_PARTS, 11.0, 13.0)
    assert not is_silent(None, 0.0, 12.0)
    assert is_silent((), 0.0, 40.0)


def test_what_was_erased_remains_whose_it_was() -> None:
    """Its officer may know that something of it is gone, and has no right to hear it."""
    erased = replace(
        HANDED_OVER,
        segments=segments_without(HANDED_OVER.segments, [Cut(start_s=12.0, end_s=30.0, reason="card_data", by="lena")]),
    )
    assert officers_on(erased) == officers_on(HANDED_OVER)
    assert may_hear(BEN, erased) == ()
    assert seen_by(BEN, erased) == B_PARTS
    assert may_hear(RHEA, erased) == A_PARTS


@pytest.mark.parametrize("duration_s", [12.3456, 12.346, 12.3449, 12.345])
def test_a_call_of_one_officer_is_all_theirs_however_its_length_is_rounded(duration_s: float) -> None:
    """The length of a row is rounded to a millisecond, the ends of its segments to a tenth of one."""
    ours = row(segment(0, 12.3456, ALICE), duration_s=duration_s)
    for one in (AN_OFFICER, RHEA):
        shown = narrowed(ours, seen_by(one, ours))
        assert not is_part(shown)
        assert whole_for(ours, may_hear(one, ours)) is None
    assert silenced(ours, may_hear(AN_OFFICER, ours)) == ()
    assert is_part(narrowed(row(segment(0, 12.3456, ALICE), duration_s=12.347), seen_by(AN_OFFICER, ours)))
