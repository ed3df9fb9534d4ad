"""A nominated number on a call that is passed through is seen wherever it stands."""

from typing import Any

import pytest

from recorder.calls.rules.nomination_hints import has_nomination_hint
from recorder.rules.policy import Extension
from sip.events import CallOffered, LegId
from sip.options import Address

NOMINATED = {"2001": Extension(number="2001", operator="alice", service="Revenues")}


def offered(**changes: Any) -> CallOffered:
    values: dict[str, Any] = {
        "leg": LegId(1), "source": Address(host="192.0.2.1"), "request_user": "4711", "to_user": "4711",
        "from_user": "02079460000", "from_display": "2001", "asserted_user": None, "sip_call_id": "2001",
        "headers": (("X-Note", "<sip:2001@x>"), ("Diversion", "<sip:4712@x>;reason=2001")), "max_forwards": 70,
        "loop_marks": (), "body": None,
    }  # fmt: skip
    return CallOffered(**{**values, **changes})


def test_a_number_elsewhere_is_no_identity() -> None:
    assert not has_nomination_hint(offered(), NOMINATED)


@pytest.mark.parametrize(
    "change",
    [
        {"to_user": "2001"},
        {"to_user": "20-01"},
        {"headers": (("Diversion", "<sip:(20)01@x>"),)},
        {"from_user": "2001"},
        {"asserted_user": "2001"},
        {"headers": (("P-Asserted-Identity", '"A" <sip:2001@x>'),)},
        {"headers": (("P-Asserted-Identity", "<sip:1@x>"), ("p-asserted-identity", "<tel:2001;ext=1>"))},
        {"headers": (("Remote-Party-ID", "<sip:2001@x>;party=calling"),)},
        {"headers": (("DIVERSION", "<sip:%32001@x>;reason=unconditional"),)},
        {"headers": (("History-Info", "<sip:1@x>;index=1"), ("History-Info", "<sip:2001@x?Reason=SIP>;index=1.1"))},
    ],
)
def test_it_is_seen_in_every_header_that_names_somebody(change: dict[str, Any]) -> None:
    assert has_nomination_hint(offered(**change), NOMINATED)
