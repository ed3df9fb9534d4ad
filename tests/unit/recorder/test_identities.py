"""Numbers that a call is found by."""

from recorder.calls.rules.identities import MOST, Identities, numbers_in
from recorder.calls.siprec.rows import further_numbers
from sip.metadata import MAX_OBJECTS, SessionParticipant


def test_each_number_is_kept_once_and_in_order() -> None:
    found = Identities()
    assert found.add(("2001", "07700900123", "2001"))
    assert not found.add(("2001", "", "Anonymous"))
    assert found.numbers == ("2001", "07700900123")


def test_there_is_a_bound() -> None:
    found = Identities()
    assert found.add(map(str, range(MOST + 5)))
    assert len(found.numbers) == MOST
    assert not found.add(("2001",))


def test_what_a_peer_claims_makes_room_for_who_is_on_the_call() -> None:
    found = Identities()
    found.add(("2001", "caller"))
    found.add((f"9{at}" for at in range(MOST * 2)), is_claim=True)
    assert len(found.numbers) == MOST
    assert found.add(("2002",))
    assert found.add(("07700900123",))
    assert not found.add(("1234",), is_claim=True)
    kept = found.numbers
    assert (len(kept), kept[:3], kept[-2:]) == (MOST, ("2001", "caller", "90"), ("2002", "07700900123"))


def test_a_claim_that_turns_out_true_is_kept() -> None:
    found = Identities()
    found.add(("2002",), is_claim=True)
    assert not found.add(("2002",))
    found.add(("2002",), is_claim=True)
    found.add(map(str, range(3000, 3000 + MOST)))
    assert "2002" in found.numbers


def test_what_is_too_long_for_a_number_is_none() -> None:
    found = Identities()
    assert found.add(("1" * 80,))
    assert not found.add(("1" * 81,))


def test_headers_name_parties() -> None:
    headers = (
        ("P-Asserted-Identity", '"Ann" <sip:2001@pbx>'),
        ("Remote-Party-ID", "<sip:2002@pbx>;party=calling"),
        ("Diversion", "<tel:+441632960555>;reason=no-answer"),
        ("History-Info", "<sip:2003@pbx>;index=1"),
        ("Alert-Info", "<http://pbx/sip:4000@ring>"),
    )
    assert list(numbers_in(headers)) == ["2001", "2002", "+441632960555", "2003"]


def test_each_value_of_a_line_names_a_party() -> None:
    headers = (
        ("P-Asserted-Identity", '"Ann, Revenues" <sip:2001@pbx>, <tel:+441632960555>'),
        ("Diversion", "<sip:2002@pbx>;reason=no-answer, <sip:2003@pbx>;reason=unconditional"),
    )
    assert list(numbers_in(headers)) == ["2001", "+441632960555", "2002", "2003"]


def test_everybody_in_a_large_conference_is_found() -> None:
    everyone = [
        SessionParticipant(id=f"p{at}", aors=(f"sip:{3000 + at}@pbx", f"tel:+44163296{at:04d}"))
        for at in range(MAX_OBJECTS)
    ]
    numbers = further_numbers(everyone)
    assert len(numbers) == MAX_OBJECTS
    listed = {someone.users[0] for someone in everyone[:64]}
    assert {someone.users[0] for someone in everyone} <= listed.union(numbers)
    assert numbers[-1] == "+441632960063", "and further numbers, as far as there is room"


def test_every_address_of_a_participant_is_found() -> None:
    someone = SessionParticipant(id="p1", aors=("sip:2001@pbx", "tel:+441632960201", "sip:07700900123@pbx"), name="Ann")
    assert further_numbers([someone, someone]) == ("+441632960201", "07700900123")
