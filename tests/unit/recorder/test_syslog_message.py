"""A syslog message has what is on the allow-list, and nothing else of an entry."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.common.syslog_format import framed
from recorder.forwarding.syslog_message import damaged_message, details_of, message_of, subject_of
from storage.audit_entry import AuditEntry

RECORDING = "20261125T034732Z-2001-2a8b58"
NUMBER, CARD = "+441632960555", "4929123412341234"
RFC_5424 = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<time>\S+) (?P<host>\S+) (?P<app>\S+) - (?P<id>[!-~]{1,32}) "
    r'(?P<data>(?:\[[!-<>-Z^-~]{1,32}(?: [a-z_]{1,32}="(?:\\["\\\]]|[^"\\\]])*")*\])+) (?P<text>[ -~]*)'
)


def entry(**changes: Any) -> AuditEntry:
    fields: dict[str, Any] = {
        "number": 12, "at": "2026-11-25T03:47:39.123456Z", "act": "call.pause", "actor": "alice", "subject": RECORDING,
        "details": {"state": "paused", "reasons": ["agent"]}, "previous": "0" * 64, "hash": "ab" * 32,
    }  # fmt: skip
    return AuditEntry(**{**fields, **changes})


def test_a_message_is_rfc_5424_with_the_entry_as_structured_data() -> None:
    assert message_of(entry(), "rec1").decode() == (
        "<109>1 2026-11-25T03:47:39.123456Z rec1 recorder - call.pause "
        f'[entry@32473 n="12" act="call.pause" actor="alice" subject="{RECORDING}" hash="{"ab" * 32}"]'
        f'[details@32473 reasons="agent" state="paused"] call.pause by alice on {RECORDING}'
    )
    assert RFC_5424.fullmatch(message_of(entry(), "rec1").decode())


def test_a_refusal_is_a_warning_and_a_damaged_line_an_alert() -> None:
    assert message_of(entry(act="access.refused"), "r").startswith(b"<108>1 ")
    damaged = damaged_message(4711, "2026-11-25T03:47:39Z", "r").decode()
    assert damaged.startswith("<105>1 2026-11-25T03:47:39Z r recorder - audit.damaged [entry@32473 offset=")
    assert RFC_5424.fullmatch(damaged)


@pytest.mark.parametrize("at", ["2026-11-25T03:47:39Z x\n<105>1", "yesterday", "\u00e9", ""])
def test_a_time_that_is_none_is_left_out(at: str) -> None:
    message = message_of(entry(at=at), "r").decode()
    assert message.startswith("<109>1 - r recorder - call.pause ")
    assert RFC_5424.fullmatch(message)


def test_octets_are_counted() -> None:
    assert framed(b"<109>1 x") == b"8 <109>1 x"


@pytest.mark.parametrize(
    ("subject", "sent"),
    [
        (RECORDING, RECORDING),
        ("SAR-2026-0007", "SAR-2026-0007"),
        ("3f2a91b07c44d1e0", "3f2a91b07c44d1e0"),
        ("alice", "alice"),
        (NUMBER, "[12 digits]"),
        ("01632960555", "[11 digits]"),
        (f"sip:{NUMBER}@x", "sip:[12 digits]@x"),
        ("", ""),
        ("0161.496.0000", "[11 digits]"),
        ("0161_496_0000", "[11 digits]"),
        ("0161 496 0000", "[11 digits]"),
        ("*21*01632#960555#", "*[13 digits]#"),
        ("tel:+44/1632/960555", "tel:[12 digits]"),
        ("0161\u00a0496\u20130000", "[11 digits]"),
    ],
)
def test_subjects(subject: str, sent: str) -> None:
    assert subject_of(subject) == sent


@pytest.mark.parametrize(
    "details",
    [
        {"number": NUMBER, "caller": "Ms A. Caller", "text": "any", "query": {"number": NUMBER}},
        {"why": "She said 4929", "where": "Ms Caller", "reasons": [f"x{CARD}"], "state": 4929123412341234},
        {"order": "4929123412341234", "happened_at": "yesterday", "late": "yes", "roles": ["a"] * 17},
        {"reasons": [{"number": NUMBER}], "changed": None, "what": ["ok", 3]},
        {"form": "smith", "requester": "j.smith", "why": "rang.0161.496.0000"},
    ],
)
def test_details_that_are_not_listed_or_of_another_form_are_left_out(details: dict[str, Any]) -> None:
    assert details_of(details) == {}


def test_details_on_the_list() -> None:
    details = {"late": True, "happened_at": "2026-11-25T03:47:39Z", "order": "00aa11bb", "roles": ["dpo", "ict"]}
    assert details_of(details) == {
        "late": "true", "happened_at": "2026-11-25T03:47:39Z", "order": "00aa11bb", "roles": "dpo,ict",
    }  # fmt: skip


_JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=30) | st.integers() | st.just(NUMBER) | st.just(CARD),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
_NAMES = st.sampled_from(["why", "state", "reasons", "order", "late", "happened_at", "caller"]) | st.text(max_size=10)


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=40), st.dictionaries(_NAMES, _JSON, max_size=5))
def test_whatever_an_entry_holds_the_message_is_well_formed_and_has_no_number(
    actor: str, subject: str, act: str, details: dict[str, Any]
) -> None:
    odd = entry(actor=f"{actor}{NUMBER}", subject=f"{subject}{CARD}", act=act or "x", details=details)
    message = message_of(odd, "host name\n").decode("ascii")
    assert RFC_5424.fullmatch(message), message
    assert NUMBER[1:] not in message
    assert CARD not in message
