"""Refusals because of a setting of the PBX or the trunk: each raises an alarm that names the setting."""

from collections.abc import Iterator

import pytest

from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer, Media
from tests.helpers.transfers import expect_newcomer, refer, wait_told
from tests.helpers.virtual.exchange import exchange

G729 = ((18, "G729/8000"), (101, "telephone-event/8000"))


class FaxOnly(Media):
    """An answer with T.38 in the place of audio."""

    def __bytes__(self) -> bytes:
        audio, end = super().__bytes__().split(b"m=audio", 1)
        return audio + b"m=audio 0" + end[end.index(b" RTP") :] + b"m=image 49172 udptl t38\r\n"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("settings")) as made:
        yield made


def alarms(lines: Exchange, name: str) -> int:
    return int(lines.home.health()["alarms"].get(name, 0))


@pytest.mark.parametrize(
    ("status", "name", "reason"),
    [
        (488, "media_refused", "codec_refused"),
        (606, "media_refused", "codec_refused"),
        (401, "account_refused", "refused_401"),
        (407, "account_refused", "refused_407"),
    ],
)
def test_a_refusal_of_the_second_side_after_the_notice(lines: Exchange, status: int, name: str, reason: str) -> None:
    before = alarms(lines, name)
    talk = lines.call(answer=Answer(status=status, after_s=0.05))
    talk.begin()
    row = eventually(lambda: lines.home.rows(number=talk.number), "it is filed")[0]
    assert (row["outcome"], row["reason"]) == ("no_conversation", reason)
    assert alarms(lines, name) == before + 1
    said = "the recorder offered: PCMA, PCMU over plain RTP" if name == "media_refused" else f"refused with {status}"
    assert said in lines.home.said


@pytest.mark.parametrize("kind", [FaxOnly, Media])
def test_an_answer_that_cannot_be_used(lines: Exchange, kind: type[Media]) -> None:
    before = alarms(lines, "media_refused")
    media = kind(ip="127.0.0.1", port=9, formats=G729)
    talk = lines.call(answer=Answer(after_s=0.05, media=media))
    talk.begin()
    row = eventually(lambda: lines.home.rows(number=talk.number), "it is filed")[0]
    assert (row["outcome"], row["reason"]) == ("no_conversation", "codec_refused")
    assert alarms(lines, "media_refused") == before + 1


def test_a_person_who_is_busy_is_no_setting(lines: Exchange) -> None:
    before = lines.home.health()["alarms"]
    talk = lines.call(answer=Answer(status=486, after_s=0.05))
    talk.begin()
    eventually(lambda: lines.home.rows(number=talk.number), "it is filed")
    assert lines.home.health()["alarms"] == before


def test_an_offer_without_a_codec_of_ours_is_refused_before_the_notice(lines: Exchange) -> None:
    before = alarms(lines, "caller_media_refused")
    talk = lines.call(media={"formats": G729})
    talk.first.wait_ended()
    assert talk.first.status == 488
    assert talk.second is None
    row = lines.home.row_of(talk.number)
    assert (row["outcome"], row["reason"], row["notice"]["started_at"]) == ("no_conversation", "codec_refused", None)
    assert alarms(lines, "caller_media_refused") == before + 1
    assert "offers none of PCMA, PCMU, G722 over RTP or SRTP" in lines.home.said


@pytest.mark.parametrize(("status", "name"), [(488, "media_refused"), (401, "account_refused")])
def test_a_newcomer_who_is_refused_for_a_setting(lines: Exchange, status: int, name: str) -> None:
    talk = lines.call()
    talk.join()
    before = alarms(lines, name)
    expect_newcomer(talk, "2002", answer=Answer(status=status, after_s=0.05))
    refer(talk.wait_second(), "2002")
    wait_told(talk.wait_second(), status)
    assert alarms(lines, name) == before + 1
    talk.hang_up()


@pytest.mark.parametrize("when", ["while it rings", "in the call"])
def test_a_passed_call_that_names_a_nominated_extension_is_alarmed_once(lines: Exchange, when: str) -> None:
    before = alarms(lines, "nominated_passed")
    talk = lines.call("4711", answer=Answer(after_s=0.5))
    leg = talk.wait_second()
    if when == "in the call":
        talk.first.wait_confirmed()
    for name in ("2001", "4000", "2001"):
        leg.request("UPDATE", headers=(("P-Asserted-Identity", f"<sip:{name}@pbx>"),))
    leg.wait_for(lambda call: call.replies_to("UPDATE") == [200, 200, 200])
    assert alarms(lines, "nominated_passed") == before + 1
    talk.first.wait_confirmed()
    talk.first.hang_up()
    talk.first.wait_ended()
