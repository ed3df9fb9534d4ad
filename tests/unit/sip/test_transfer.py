"""What a REFER asks for: only a number and a dialog come out of it, whatever is put in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.identity import Identity, asserted_user, asserted_users
from sip.message import RawMessage
from sip.transfer import Replaces, TransferError, parse_refer, parse_replaces, replaces_of, sipfrag
from tests.helpers.extent import CHARACTERS

DIALOG = Replaces(call_id="a7@pbx", to_tag="ours", from_tag="theirs")


def message(*headers: tuple[str, str]) -> RawMessage:
    return RawMessage(method="REFER", status=None, start_line="REFER sip:x SIP/2.0", headers=headers, body=b"")


def refer(value: str, *more: tuple[str, str]) -> RawMessage:
    return message(("Refer-To", value), *more)


@pytest.mark.parametrize(
    "value",
    [
        "<sip:2002@pbx>",
        "sip:2002@pbx",
        '"Bob, in Benefits" <sip:2002@pbx:5070;transport=udp>',
        "<SIP:2002;phone-context=x@pbx;method=INVITE>",
        "<sip:%32002:secret@pbx>",
        "<sip:2002@pbx?Subject=hello&Route=%3Csip:evil%3E&X-Recorder-Via=me>",
    ],
)
def test_the_number_and_nothing_else(value: str) -> None:
    found = parse_refer(refer(value))
    assert (found.user, found.replaces, found.wants_progress) == ("2002", None, True)


@pytest.mark.parametrize(
    "value",
    [
        "<sip:2002@pbx?Replaces=a7%40pbx%3Bto-tag%3Dours%3Bfrom-tag%3Dtheirs>",
        "<sip:2002@pbx?replaces=a7@pbx;from-tag=theirs;to-tag=ours>",
        "<sip:2002@pbx?Subject=x&Replaces=a7%40pbx%3bfrom-tag%3dtheirs%3bto-tag%3dours>",
    ],
)
def test_the_dialog_that_the_new_call_takes_the_place_of(value: str) -> None:
    assert parse_refer(refer(value)).replaces == DIALOG


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 400),
        ((("Refer-To", "<sip:1@a>, <sip:2@a>"),), 400),
        ((("Refer-To", "<sip:1@a>"), ("Refer-To", "<sip:2@a>")), 400),
        ((("Refer-To", "<sip:2002@pbx"),), 400),
        ((("Refer-To", "<sip:2002@pbx?Replaces=x&Replaces=y>"),), 400),
        ((("Refer-To", "<sip:2002@pbx?Replaces=nothing>"),), 400),
        ((("Refer-To", "<sips:2002@pbx>"),), 416),
        ((("Refer-To", "<tel:2002>"),), 416),
        ((("Refer-To", "<http://pbx/2002>"),), 416),
        ((("Refer-To", ""),), 400),
        ((("Refer-To", "<sip:2002%2F@pbx>"),), 404),
        ((("Refer-To", "<sip:2002%26x@pbx>"),), 404),
        ((("Refer-To", "<sip:pbx>"),), 404),
        ((("Refer-To", "<sip:@pbx>"),), 404),
        ((("Refer-To", "<sip:2002@pbx;method=BYE>"),), 603),
    ],
)
def test_what_is_refused(headers: tuple[tuple[str, str], ...], status: int) -> None:
    with pytest.raises(TransferError) as caught:
        parse_refer(message(*headers))
    assert caught.value.status == status


@pytest.mark.parametrize(("value", "wants"), [("false", False), ("False;x=1", False), ("true", True), ("", True)])
def test_whoever_wants_no_progress_says_so(value: str, wants: bool) -> None:
    assert parse_refer(refer("<sip:2002@pbx>", ("Refer-Sub", value))).wants_progress is wants


@pytest.mark.parametrize(
    "value",
    ["", "a7", "a7;to-tag=x", "a7;to-tag=x;to-tag=y;from-tag=z", ";to-tag=x;from-tag=y", "a b;to-tag=x;from-tag=y",
     "a7;to-tag=;from-tag=y", "a7;to-tag=x y;from-tag=z"],
)  # fmt: skip
def test_a_replaces_that_names_no_dialog(value: str) -> None:
    with pytest.raises(TransferError) as caught:
        parse_replaces(value)
    assert caught.value.status == 400


def test_a_replaces_is_written_as_it_is_read() -> None:
    early = Replaces(call_id="x", to_tag="1", from_tag="2", is_early_only=True)
    for one in (DIALOG, early):
        assert parse_replaces(str(one)) == one
    assert replaces_of(message()) is None
    assert replaces_of(message(("Replaces", str(DIALOG)))) == DIALOG
    with pytest.raises(TransferError):
        replaces_of(message(("Replaces", str(DIALOG)), ("Replaces", str(early))))


@given(st.text(CHARACTERS, max_size=60))
def test_no_text_gets_out_of_its_line_or_breaks_anything_else(text: str) -> None:
    for value in (text, f"<sip:{text}@pbx>", f"<sip:2002@pbx?{text}>", f"<sip:2002@pbx?Replaces={text}>"):
        try:
            found = parse_refer(refer(value))
        except TransferError as error:
            assert 400 <= error.status < 700
            continue
        assert found.user
        assert not set(found.user + str(found.replaces or "")) & set("\r\n\0")


def test_a_fragment_is_one_status_line() -> None:
    assert sipfrag(486, "Busy\r\nX: y") == b"SIP/2.0 486 Busy  X: y\r\n"


@pytest.mark.parametrize("written", ["2002%3bx", "2002%3Bphone-context=x", "2002%3apw", "%32002;x=y"])
def test_the_number_of_a_refer_ends_at_an_escaped_delimiter(written: str) -> None:
    assert parse_refer(refer(f"<sip:{written}@pbx>")).user == "2002"


# --- who is at the other end


def test_every_asserted_value_counts() -> None:
    invite = message(
        ("P-Asserted-Identity", '"Alice, Revenues" <sip:+441632960001@pbx>, <tel:2001>'),
        ("p-asserted-identity", "<sip:2001@pbx>, <sip:2002@pbx>"),
        ("Remote-Party-ID", "<sip:2003@pbx>;party=calling"),
        ("Remote-Party-ID", "<sip:2004@pbx>; Party=Called"),
    )
    assert asserted_users(invite) == ("+441632960001", "2001", "2002", "2003")
    assert asserted_user(invite) == "+441632960001"


def asserted(user: str, claimed: str = "2001") -> RawMessage:
    return message(("From", f"<sip:{claimed}@pbx>;tag=1"), ("P-Asserted-Identity", f"<sip:{user}@pbx>"))


def claims(user: str) -> RawMessage:
    return message(("From", f"<sip:{user}@pbx>;tag=1"))


def test_another_name_is_seen_once() -> None:
    known = Identity(claimed="2001")
    user, known = known.seen_in(asserted("2002"))
    assert user == "2002"
    assert known.seen_in(asserted("2002")) == (None, known)
    user, _ = known.seen_in(asserted("2001"))
    assert user == "2001", "back again"


def several(*headers: tuple[str, str], claimed: str = "2001") -> RawMessage:
    return message(("From", f"<sip:{claimed}@pbx>;tag=1"), *headers)


PAI, RPID = "P-Asserted-Identity", "Remote-Party-ID"


def test_a_further_name_that_is_new_is_another_party() -> None:
    known = Identity.of(several((PAI, "<sip:600@pbx>, <tel:2001>")))
    assert known.names == ("600", "2001")
    for told in ("<tel:2001>", "<sip:600@pbx>", "<tel:2001>, <sip:600@pbx>"):
        assert known.seen_in(several((PAI, told))) == (None, known), "one of the same names"
    user, later = known.seen_in(several((PAI, "<sip:600@pbx>, <tel:2002>")))
    assert (user, later.names) == ("600", ("600", "2002"))


def test_a_remote_party_id_alone_names_a_party_too() -> None:
    known = Identity(claimed="2001")
    assert known.seen_in(several((RPID, "<sip:2002@pbx>;party=calling")), is_called=True) == (None, known)
    user, later = known.seen_in(several((RPID, "<sip:2002@pbx>;party=called")), is_called=True)
    assert (user, later.names) == ("2002", ("2002",))
    assert known.seen_in(several((RPID, "<sip:2002@pbx>;party=called")))[0] is None
    user, later = known.seen_in(several((RPID, "<sip:2002@pbx>"), claimed="2003"))
    assert (user, later.names) == ("2003", ("2003", "2002")), "a From that has changed goes before it"


def test_a_request_that_asserts_nothing_takes_nothing_back() -> None:
    _, known = Identity(claimed="2001").seen_in(asserted("2002"))
    assert known.seen_in(claims("2001")) == (None, known)
    assert known.seen_in(claims("2003"))[0] == "2003", "From may change (RFC 4916)"


def test_the_first_word_of_who_is_there_is_no_change() -> None:
    answer = RawMessage(
        method="INVITE", status=200, start_line="SIP/2.0 200 OK", body=b"",
        headers=(("P-Asserted-Identity", "<sip:+441632962001@pbx>"),),
    )  # fmt: skip
    user, known = Identity(claimed="2001").answered_by(answer)
    assert user == "+441632962001"
    assert known.seen_in(asserted("+441632962001"))[0] is None
    assert Identity.of(asserted("2002")) == Identity(asserted="2002", claimed="2001")
