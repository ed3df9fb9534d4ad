"""Which recording sessions are recorded, who attests the notice, and when recording stops and resumes."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_reader
from storage.rows import row_from_json
from tests.helpers.exactness import kept_of
from tests.helpers.recorder_home import eventually
from tests.helpers.siprec_client import REQUIRE, Session
from tests.helpers.siprec_policy import METADATA, Site, document
from tests.helpers.siprec_shapes import RFC, Call, Who, packed
from tests.helpers.virtual.siprec import siprec_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with siprec_site(tmp_path_factory.mktemp("policy")) as (home, clients):
        yield Site(home, clients)


def plain(session: Session) -> tuple[bytes, str]:
    """The session's lines without metadata."""
    return session.sdp(), "application/sdp"


def kinds(row: dict[str, Any]) -> list[str]:
    return [one["kind"] for one in row["segments"]]


@pytest.mark.parametrize(
    ("peer", "officer", "reason", "extension"),
    [("unattested", "2001", "notice_not_attested", "2001"), ("sbc", "2999", "not_nominated", "")],
)
def test_what_is_not_permitted_is_answered_and_ends_as_blocked(
    site: Site, peer: str, officer: str, reason: str, extension: str
) -> None:
    before = site.files()
    session = site.session(peer, officer=officer)
    assert session.invite().status == 200
    session.talk_for(0.3)
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"], row["extension"], row["path"]) == ("blocked", reason, extension, None)
    assert row["notice"]["proof"] == ("attested" if peer == "sbc" else "none")
    assert site.files() == before
    if not extension:
        assert row["participants"] == []


def test_a_session_without_metadata_is_closed_until_an_update_names_who_takes_part(site: Site) -> None:
    session = site.session()
    assert session.invite(plain(session)).status == 200
    session.talk_for(0.4)
    known_s = time.monotonic()
    answer = session.ask("UPDATE", document(session), METADATA)
    assert (answer.status, answer.body, answer.value("Content-Type")) == (200, b"", "")
    session.talk_for(0.4)
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["extension"]) == ("recorded", "2001")
    left, right, _ = site.home.copy(row["id"])
    for channel, line in zip((left, right), session.lines, strict=True):
        kept = kept_of(channel, line.voice)
        assert kept.bytes_between(0, known_s) == 0
        assert kept.bytes_between(known_s, time.monotonic()) > 0


@pytest.mark.parametrize("method", ["INVITE", "INFO", "UPDATE"])
def test_metadata_alone_is_taken_by_every_method(site: Site, method: str) -> None:
    session = site.session()
    session.invite(plain(session))
    answer = session.ask(method, document(session), METADATA)
    assert (answer.status, answer.body) == (200, b"")
    assert site.live(session)["extension"] == "2001"
    session.bye()


def test_metadata_that_cannot_be_read_is_no_reason_to_refuse(site: Site) -> None:
    session = site.session()
    assert session.invite(packed(session.sdp(), "<!DOCTYPE x [<!ENTITY a 'b'>]><recording>&a;<broken")).status == 200
    session.talk_for(0.2)
    session.ask("UPDATE", document(session), METADATA)
    session.talk_for(0.2)
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    assert row["outcome"] == "recorded"
    assert "metadata_unreadable" in row["remarks"]


def test_metadata_with_a_wrong_tag_are_read_marked_and_counted(site: Site) -> None:
    before = site.home.health()["alarms"].get("siprec_metadata", 0)
    session = site.session()
    text = document(session).decode().replace("Bob Officer</name>", "Bob Officer</nme>")
    assert session.invite(packed(session.sdp(), text)).status == 200
    session.talk_for(0.3)
    assert session.ask("UPDATE", text.encode(), METADATA).status == 200
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["extension"], row["operator"]) == ("recorded", "2001", "alice")
    assert "metadata_repaired" in row["remarks"]
    assert site.home.health()["alarms"]["siprec_metadata"] == before + 1, "once a session"
    for channel, line in zip(site.home.copy(row["id"])[:2], session.lines, strict=True):
        assert kept_of(channel, line.voice).spans


def test_a_route_that_makes_no_sense_loses_no_session(site: Site) -> None:
    session = site.session()
    assert session.invite(headers=(*REQUIRE, "Route: <sip:host:remote_port;lr>")).status == 200
    session.talk_for(0.3)
    session.bye()
    assert site.home.row_of(session.call.caller.user)["outcome"] == "recorded"
    assert site.home.health()["signalling"]["mended"] >= 1


def test_never_named_ends_as_blocked(site: Site) -> None:
    session = site.session()
    session.origin = session.call.caller.user
    session.invite(plain(session))
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"]) == ("blocked", "no_metadata")


def test_a_dummy_party_gives_way_to_a_later_update(site: Site) -> None:
    session = site.session()
    real = session.call
    dummy = Who(user="Anonymous", name="ASBCE", label="2")
    session.call = Call(caller=real.caller, officer=dummy, session=real.session, group=real.group)
    session.invite()
    session.call = real
    session.ask("UPDATE", document(session, mode="partial"), METADATA)
    session.talk_for(0.3)
    session.bye()
    assert site.home.row_of(real.caller.user)["operator"] == "alice"


def test_all_sessions_nominated_needs_nobodys_name(site: Site) -> None:
    session = site.session("everything")
    session.origin = session.call.caller.user
    session.invite(plain(session))
    session.talk_for(0.3)
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["operator"], row["service"]) == ("recorded", "everything", "Revenues")
    assert {"without_metadata", "all_sessions_nominated", "sides_by_order"} < set(row["remarks"])


def test_a_peer_that_is_not_declared_is_refused(site: Site) -> None:
    session = site.session("undeclared")
    answer = session.invite()
    assert (answer.status, answer.value("Unsupported")) == (420, "siprec")
    assert site.home.health()["alarms"]["siprec_undeclared"] >= 1


def test_a_session_is_known_without_require(site: Site) -> None:
    for contact, headers in ((";+sip.src", ()), ("", ())):
        session = site.session()
        session.contact = contact
        body = plain(session) if contact else None
        assert "+sip.srs" in session.invite(body, headers).value("Contact")
        session.bye()


def test_a_transfer_is_a_change_of_who_takes_part(site: Site) -> None:
    session = site.session()
    session.invite()
    session.talk_for(0.3)
    call = session.call

    def assign_to(user: str) -> None:
        officer = Who(user=user, name=user, label="2")
        session.call = Call(caller=call.caller, officer=officer, session=call.session, group=call.group)
        assert session.ask("UPDATE", document(session), METADATA).status == 200
        session.talk_for(0.3)

    assign_to("2002")
    assign_to("2999")
    assert site.live(session)["state"] == "out_of_scope"
    away_s = time.monotonic()
    session.talk_for(0.3)
    back_s = time.monotonic()
    assign_to("2001")
    session.bye()
    row = site.home.row_of(call.caller.user)
    assert kinds(row) == ["recording", "recording", "out_of_scope", "recording"]
    assert [one["operator"] for one in row["segments"]] == ["alice", "bob", "", "alice"]
    assert row["operators"] == ["alice", "bob"]
    assert [[one["extension"] for one in part["officers"]] for part in row["segments"]] == [
        ["2001"], ["2002"], [], ["2001"],
    ]  # fmt: skip
    left, right, _ = site.home.copy(row["id"])
    for channel, line in zip((left, right), session.lines, strict=True):
        kept = kept_of(channel, line.voice)
        assert kept.bytes_between(away_s, back_s) == 0
        assert kept.bytes_between(back_s, time.monotonic()) > 0


def test_two_nominated_extensions_are_an_internal_call_of_the_one_that_was_called(site: Site) -> None:
    session = site.session(caller="2002", officer="2001")
    session.invite()
    session.talk_for(0.3)
    session.bye()
    row = eventually(lambda: site.home.rows(extension="2001", number="2002"), "it is filed")[0]
    assert (row["direction"], row["operator"], row["caller"], row["called"]) == ("internal", "alice", "2002", "2001")


def test_emergency_services_are_never_recorded(site: Site) -> None:
    session = site.session(caller="999")
    session.invite()
    session.bye()
    row = eventually(lambda: site.home.rows(number="999"), "it is filed")[0]
    assert (row["outcome"], row["reason"]) == ("blocked", "emergency")


def test_parts_of_one_group_are_linked(site: Site) -> None:
    first = site.session()
    first.invite()
    first.talk_for(0.2)
    first.bye()
    before = site.home.row_of(first.call.caller.user)
    second = site.session(names={"group": first.call.group})
    second.invite(headers=REQUIRE)
    second.talk_for(0.2)
    second.bye()
    assert site.home.row_of(second.call.caller.user)["related"] == [before["id"]]


def test_the_document_is_sealed_with_the_audio(site: Site) -> None:
    session = site.session()
    session.invite()
    session.talk_for(0.2)
    session.ask("UPDATE", f"<recording xmlns='{RFC}'><dataMode>partial</dataMode></recording>".encode(), METADATA)
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    reader = open_reader(Home(site.home.root), read_config(site.home.config), row_from_json(row))
    marks = [mark for mark in reader.marks() if mark["kind"] == "siprec_metadata"]
    assert marks[0]["xml"].strip() == document(session).decode().strip()
    assert "partial" in marks[1]["xml"]
