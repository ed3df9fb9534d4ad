"""Which targets of a 3xx response a call may follow."""

import time

import pytest

from recorder.calls.redirects import redirections


def test_targets_come_best_first_and_only_with_an_address() -> None:
    contacts = '"Ann, sip:9" <sip:2002@192.0.2.1:5062;transport=tcp>;q=0.5, sip:2003@192.0.2.2, <sip:2004@pbx.example>'
    found = redirections((("Contact", contacts), ("Contact", "<tel:2005>"), ("Contact", "<sip:192.0.2.3>")))
    assert [(one.user, str(one.target.host), one.target.port) for one in found] == [
        ("2003", "192.0.2.2", 5060), ("2002", "192.0.2.1", 5062),
    ]  # fmt: skip


@pytest.mark.parametrize("unit", ["sip: ", "sip:;", "<sip:", "sip::"])
def test_a_contact_of_any_content_takes_no_time(unit: str) -> None:
    began_s = time.process_time()
    assert redirections([("Contact", unit * 12_000)]) == []
    assert time.process_time() - began_s < 0.3
