"""Mailboxes are joined and not recorded, and the row says so; T.38 is never agreed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.exchange import Exchange, Talk
from tests.helpers.sip_peer import Answer, Media
from tests.helpers.transfers import expect_newcomer, refer, speakers, wait_told
from tests.helpers.virtual.exchange import exchange

T38 = b"m=image 49172 udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxRateManagement:transferredTCF\r\n"


class FaxMedia(Media):
    """Audio, and T.38 beside it."""

    def __bytes__(self) -> bytes:
        return super().__bytes__() + T38


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    edits = (
        ("numbers = []   ", 'numbers = ["5000"] # '),
        ('after_s = "off"                 # an answer', "after_s = 1.2 # an answer"),
    )
    with exchange(tmp_path_factory.mktemp("machines"), edits=edits) as made:
        yield made


def is_blocked(talk: Talk, reason: str) -> None:
    """End a call of which nothing may have been kept."""
    recording = talk.join()
    assert (talk.live or {})["state"] == reason
    talk.talk_for(0.4)
    row = talk.hang_up()
    assert (row["id"], row["outcome"], row["reason"], row["path"]) == (recording, "blocked", reason, None)
    assert [(s["kind"], s["reason"]) for s in row["segments"]] == [(reason, reason)]
    assert not list(talk.home.root.rglob(f"{recording}.*"))


@pytest.mark.parametrize("name", ["5000", "50-00", "(50)00"])
def test_a_mailbox_that_gives_its_name_is_not_recorded(lines: Exchange, name: str) -> None:
    named = (("P-Asserted-Identity", f"<sip:{name}@pbx>"),)
    is_blocked(lines.call(answer=Answer(after_s=0.05, headers=named)), "voicemail")


def test_whoever_answers_as_late_as_only_a_mailbox_does_is_not_recorded(lines: Exchange) -> None:
    is_blocked(lines.call(answer=Answer(after_s=1.5)), "voicemail")


@pytest.mark.parametrize("number", ["5000", "50-00"])
def test_a_call_that_is_transferred_to_a_mailbox_stops_being_recorded(lines: Exchange, number: str) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.4)
    box = expect_newcomer(talk, number)
    alice = talk.wait_second()
    refer(alice, number)
    leg = box.join()
    wait_told(alice, 200)
    talk.right.hush()
    talk.talk_for(0.3)
    row = talk.hang_up()
    leg.wait_ended()
    box.voice.hush()
    assert (row["outcome"], [s["kind"] for s in row["segments"]]) == ("recorded", ["recording", "voicemail"])
    _, right, _ = lines.home.copy(recording)
    assert speakers(right, (talk.right, box.voice)) == [talk.right]


def test_an_offer_of_t38_beside_audio_keeps_nothing_out_of_the_recording(lines: Exchange) -> None:
    talk = lines.expect("01632960999")
    media = FaxMedia(ip="127.0.0.1", port=talk.left.port)
    talk.first = lines.caller.invite(lines.home.sip, "2001", from_number=talk.number, media=media)
    talk.join()
    assert b"m=image 0 udptl t38" in talk.first.remote_body, "it is not agreed"
    talk.talk_for(0.4)
    row = talk.hang_up()
    assert (row["outcome"], [s["kind"] for s in row["segments"]]) == ("recorded", ["recording"])


def test_a_change_to_t38_is_refused_and_the_call_goes_on(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    body = b"v=0\r\no=peer 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" + T38
    talk.first.request("INVITE", body, "application/sdp")
    talk.first.wait_for(lambda c: c.replies_to("INVITE")[1:] == [488])
    talk.talk_for(0.3)
    assert talk.hang_up()["outcome"] == "recorded"


def test_an_extension_is_none_though_a_mailbox_is_another_spelling_of_it(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=(("numbers = []   ", 'numbers = ["20-02"] # '),)) as lines:
        for name in ("2002", "20-02"):
            talk = lines.call(answer=Answer(after_s=0.05, headers=(("P-Asserted-Identity", f"<sip:{name}@pbx>"),)))
            talk.join()
            talk.talk_for(0.4)
            row = talk.hang_up()
            assert (row["outcome"], row["operators"]) == ("recorded", ["bob"])
