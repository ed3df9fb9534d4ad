"""Which headers cross, and what a peer outside may know."""

import pytest

from sip.header_policy import identity_in, passed_on, without_private
from sip.message import RawMessage


def message(*headers: tuple[str, str]) -> RawMessage:
    return RawMessage(method="INVITE", status=None, start_line="INVITE sip:x SIP/2.0", headers=headers, body=b"")


@pytest.mark.parametrize(
    "name",
    [
        "Via", "Record-Route", "Route", "Contact", "User-Agent", "Server", "Allow", "Supported", "Require", "Warning",
        "Authorization", "Proxy-Authorization", "WWW-Authenticate", "Subject", "Organization", "Call-Info", "Path",
        "Session-Expires", "RSeq", "X-Recorder-Via", "X-FS-Support",
        "x-fs-display-number", "X-FS-Lazy-Attended-Transfer", "Geolocation", "Call-ID", "From", "To",
    ],
)  # fmt: skip
def test_what_tells_of_one_side_stays_there(name: str) -> None:
    assert passed_on(message((name, "secret"))) == ()


def test_identity_and_history_cross_in_order() -> None:
    headers = (
        ("Diversion", "<sip:1@x>, <sip:2@x>;reason=busy"),
        ("P-Asserted-Identity", '"A, B" <sip:3@x>'),
        ("history-info", "<sip:4@x>;index=1"),
        ("X-Case", "17"),
    )
    assert passed_on(message(*headers)) == (
        ("Diversion", "<sip:1@x>"),
        ("Diversion", "<sip:2@x>;reason=busy"),
        *headers[1:],
    )


@pytest.mark.parametrize("privacy", ["id", "user;id", "critical; ID"])
def test_privacy_holds_outside(privacy: str) -> None:
    found = identity_in(
        (("P-Asserted-Identity", "<sip:1@x>"), ("Remote-Party-ID", "<sip:1@x>"), ("Privacy", privacy), ("X-A", "1"))
    )
    assert without_private(found) == (("Privacy", privacy),)


def test_without_privacy_all_is_told() -> None:
    found = (("P-Asserted-Identity", "<sip:1@x>"), ("Privacy", "none"))
    assert without_private(found) == found
