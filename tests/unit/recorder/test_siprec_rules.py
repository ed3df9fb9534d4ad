"""Which sessions are recorded, whose they are, and which line is whose."""

import itertools
from dataclasses import replace

import pytest

from recorder.calls.rules.call_events import After
from recorder.calls.rules.siprec import (
    STAGE_TABLE,
    Remark,
    SentLines,
    SessionAction,
    SessionDecision,
    SessionPolicy,
    Stage,
    decide,
)
from recorder.calls.rules.transfer import TABLE, PartyStatus
from recorder.rules.policy import Direction, Extension
from recorder.rules.routing import EmergencyNumbers, Peer, PeerNotice
from sip.built_in_bridge import read
from sip.metadata import Metadata, MetadataStream, SessionParticipant
from sip.metadata_parser import parse
from tests.helpers.siprec_shapes import Call, Who, rfc

ALICE = Extension(number="2001", operator="alice", service="Revenues")
BOB = Extension(number="+441632962002", operator="bob", service="Revenues")
POLICY = SessionPolicy(
    extensions={one.number: one for one in (ALICE, BOB)}, emergency=EmergencyNumbers(), is_attested=True
)
ALL = replace(POLICY, fallback=Extension(number="", operator="sbc", service="Revenues"))
HEADERS = ("src", "srs")


def between(caller: str, officer: str) -> Metadata:
    call = Call(caller=Who(user=caller, name="A", label="1"), officer=Who(user=officer, name="B", label="2"))
    return parse(rfc(call).encode())


def of(
    caller: str, officer: str, labels: tuple[str | None, ...] = ("1", "2"), policy: SessionPolicy = POLICY
) -> SessionDecision:
    return decide(between(caller, officer), labels, dialled=HEADERS, policy=policy)


def test_the_officer_is_on_the_right_whatever_the_order_of_the_lines() -> None:
    for labels, sides in ((("1", "2"), (0, 1)), (("2", "1"), (1, 0)), ((None, "2", "1"), (2, 1))):
        found = of("01632960001", "2001", labels)
        assert found.closed is None
        assert (found.sides.left, found.sides.right) == sides
        assert not found.remarks


@pytest.mark.parametrize(
    ("aor", "operator"),
    [("2001", "alice"), ("+441632962002", "bob"), ("01632 962002", "bob"), ("00441632962002", "bob")],
)
def test_extensions_are_known_as_written_and_as_e164(aor: str, operator: str) -> None:
    nomination = of("01632960001", aor).nomination
    assert nomination is not None
    assert nomination.extension.operator == operator


@pytest.mark.parametrize("aor", ["12001", "20010", "+441632002001", "", "anonymous"])
def test_a_number_that_only_ends_alike_is_nobodys(aor: str) -> None:
    assert of("01632960001", aor).closed == "not_nominated"


def test_direction_and_numbers() -> None:
    for caller, officer, direction in (
        ("01632960001", "2001", Direction.INBOUND),
        ("2001", "01632960001", Direction.OUTBOUND),
        ("+441632962002", "2001", Direction.INTERNAL),
    ):
        found = of(caller, officer)
        assert found.nomination is not None
        assert (found.nomination.direction, found.caller, found.called) == (direction, caller, officer)
    marked = replace(between("1", "2001"), callers=frozenset({"p-2"}))
    assert decide(marked, ("1", "2"), dialled=HEADERS, policy=POLICY).caller == "2001", "the client says so itself"
    turned = decide(
        parse(
            rfc(Call(caller=Who(user="2001", name="", label="1"), officer=Who(user="5", name="", label="2"))).encode()
        ),
        ("1", "2"),
        dialled=("5", "2001"),
        policy=POLICY,
    )
    assert (turned.caller, turned.called) == ("5", "2001"), "From and To of the INVITE say it better than the order"


def test_what_is_not_permitted() -> None:
    assert of("999", "2001").closed == "emergency"
    assert of("1", "2999").closed == "not_nominated"
    assert of("1", "2001", policy=replace(POLICY, is_attested=False)).closed == "notice_not_attested"
    assert decide(None, ("1", "2"), dialled=("1", "2001"), policy=POLICY).closed == "no_metadata"
    assert of("999", "1", policy=ALL).closed == "emergency"


def test_all_sessions_nominated() -> None:
    nobody = decide(None, ("", ""), dialled=("1", "2"), policy=ALL)
    assert nobody.closed is None
    assert nobody.remarks == {Remark.WITHOUT_METADATA, Remark.NOT_NOMINATED, Remark.SIDES_BY_ORDER}
    by_headers = decide(None, ("", ""), dialled=("1", "2001"), policy=ALL)
    assert by_headers.nomination is not None
    assert by_headers.nomination.extension is ALICE
    assert of("1", "2001", policy=ALL).remarks == frozenset()


def test_lines_that_nobody_is_known_on() -> None:
    known = parse(
        rfc(Call(caller=Who(user="1", name="", label="1"), officer=Who(user="2001", name="", label="2"))).encode()
    )
    unknown = replace(known, sends={})
    found = decide(unknown, ("1", "2"), dialled=HEADERS, policy=POLICY)
    assert (found.sides.left, found.sides.right) == (0, 1)
    assert Remark.SIDES_BY_ORDER in found.sides.remarks
    assert not found.sides.are_known
    outbound = decide(replace(between("2001", "1"), sends={}), ("1", "2"), dialled=HEADERS, policy=POLICY)
    assert (outbound.sides.left, outbound.sides.right) == (1, 0), "the first to be named is on the first line"
    half = replace(known, sends={"p-2": ("s-2",)})
    found = decide(half, ("2", "1", "3"), dialled=HEADERS, policy=POLICY)
    assert (found.sides.left, found.sides.right) == (1, 0)
    assert found.sides.are_known


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_the_lines_that_are_sent_are_the_ones_recorded(count: int) -> None:
    """Whatever is known of four lines and however they are held: two sides, never one line on both."""
    known = between("01632960001", "2001")
    for speakers in itertools.product(("", "1", "2"), repeat=count):
        labels = tuple(f"l{at}" for at in range(count))
        streams = {label: MetadataStream(id=label, label=label) for label in labels}
        sends = {
            f"p-{who}": tuple(label for label, one in zip(labels, speakers, strict=True) if one == who) for who in "12"
        }
        metadata = replace(known, streams=streams, sends=sends)
        for held in itertools.product((False, True), repeat=count):
            now = frozenset(at for at in range(count) if not held[at])
            decision = decide(metadata, labels, dialled=HEADERS, policy=POLICY, sent=SentLines(now=now))
            sides = [at for at in (decision.sides.left, decision.sides.right) if at is not None]
            assert len(set(sides)) == len(sides) == min(count, 2)
            on_air = [speakers[at] for at in now]
            if len(now) == 2 and (on_air[0] != on_air[1] or not on_air[0]):
                assert set(sides) == now, (speakers, now)
            assert (Remark.MORE_LINES in decision.remarks) is (len(now) > 2)


def test_a_held_line_keeps_its_side() -> None:
    unknown = replace(between("01632960001", "2001"), sends={})
    for now in ({2, 3}, {2}, {3}, set()):
        sent = SentLines(now=frozenset(now), before=frozenset({2, 3}))
        found = decide(unknown, ("a", "b", "c", "d"), dialled=HEADERS, policy=POLICY, sent=sent).sides
        assert (found.left, found.right) == (2, 3)


def test_one_line() -> None:
    people = {"a": SessionParticipant(id="a", aors=("1",)), "b": SessionParticipant(id="b", aors=("2001",))}
    streams = {"s": MetadataStream(id="s", label="1")}
    for senders, sides, remark in (
        (("a", "b"), (0, None), Remark.MIXED),
        (("a",), (0, None), Remark.ONE_LINE),
        (("b",), (None, 0), Remark.ONE_LINE),
        ((), (0, None), Remark.MIXED),
    ):
        known = Metadata(participants=people, streams=streams, sends=dict.fromkeys(senders, ("s",)))
        found = decide(known, ("1",), dialled=HEADERS, policy=POLICY).sides
        assert (found.left, found.right) == sides
        assert found.remarks == {remark}


def test_a_built_in_bridge_says_it_in_from() -> None:
    uri = "<sip:2001@cucm;x-nearend;x-refci=7;x-nearendclusterid=C;x-nearendaddr=2001;x-farendaddr=01632960001>;tag=1"
    near, far = read(uri), read(uri.replace("x-nearend;", "x-farend;"))
    assert near is not None
    assert far is not None
    assert near.metadata.session_ids == far.metadata.session_ids == ("x-refci:7@C",)
    for one, sides in ((near, (None, 0)), (far, (0, None))):
        found = decide(one.metadata, ("1",), dialled=HEADERS, policy=POLICY)
        assert (found.closed, (found.sides.left, found.sides.right)) == (None, sides)
    assert read("<sip:2001@pbx>;tag=1") is None
    outside = uri.replace(">;tag=1", "").replace("cucm;", "cucm>;")
    assert (again := read(outside)) is not None
    assert again == near
    assert read("<sip:2001@pbx;x-refci=7>;tag=1") is None


def test_every_stage_and_verdict_is_decided() -> None:
    assert set(STAGE_TABLE) == set(itertools.product(Stage, (True, False)))
    assert {step for _, step in STAGE_TABLE.values()} == set(SessionAction)
    assert all(STAGE_TABLE[Stage.ENDED, one] == (Stage.ENDED, SessionAction.NOTHING) for one in (True, False))


def test_a_change_of_who_takes_part_is_judged_as_a_transfer_is() -> None:
    """Everybody in an attested session was told, so the rules of transfers leave two cases."""
    comes = {PartyStatus.NOMINATED: "2001", PartyStatus.TOLD: "01632960002", PartyStatus.EXEMPT: "999"}
    for stays, user in ((PartyStatus.NOMINATED, "+441632962002"), (PartyStatus.TOLD, "01632960001")):
        for standing, newcomer in comes.items():
            is_recorded = of(user, newcomer).closed is None
            assert is_recorded is (TABLE[stays, standing] is After.RECORD), (stays, standing)


def test_declarations_of_a_peer() -> None:
    good = Peer(
        name="sbc", networks=("192.0.2.0/24", "192.0.2.7/32"), siprec=True, notice=PeerNotice.ATTESTED,
        notice_owner="J. Smith", notice_date="2026-11-01", media_networks=("198.51.100.0/25", "198.51.100.128/25"),
    )  # fmt: skip
    assert good.problem is None
    assert good.media_from == ("192.0.2.0/24", "198.51.100.0/24")
    for changes, key in (
        ({"notice_owner": " "}, "notice_owner"),
        ({"notice_date": ""}, "notice_date"),
        ({"notice_date": "1.11.2026"}, "notice_date"),
        ({"all_sessions_nominated": True}, "siprec_service"),
        ({"media_networks": ("x",)}, "media_networks"),
        ({"media_networks": tuple(f"10.{i}.0.0/24" for i in range(40))}, "media_networks"),
    ):
        problem = replace(good, **changes).problem
        assert problem is not None
        assert problem[0] == key
