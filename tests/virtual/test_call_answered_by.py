"""The party who answered is found by one rule, whether an UPDATE while it rings or the 200 names them."""

from collections.abc import Iterator

import pytest

from tests.helpers.exactness import kept_of
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer, Call, State
from tests.helpers.transfers import expect_newcomer, refer, speakers, wait_told
from tests.helpers.virtual.exchange import exchange

QUEUE = (
    'name = "Queue"\nnotice_when = "before_ring" ',
    'name = "Queue"\nnotice_when = "after_answer" ',
)
EARLY, IN_THE_200 = "early", "in the 200"
WAYS = pytest.mark.parametrize("way", [EARLY, IN_THE_200])


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    follows = ("follow_redirects = false", "follow_redirects = true")
    edits = (("numbers = []   ", 'numbers = ["5000"] # '), QUEUE, follows)
    with exchange(tmp_path_factory.mktemp("answered"), edits=edits) as made:
        yield made


def answered(lines: Exchange, way: str, name: str, number: str = "2001") -> tuple[Talk, str]:
    """Have somebody of another name answer; return the call once both are joined."""
    header = ("P-Asserted-Identity", f"<sip:{name}@pbx>")
    if way == IN_THE_200:
        talk = lines.call(number, answer=Answer(after_s=0.1, headers=(header,)))
    else:
        talk = lines.call(number, answer=Answer(after_s=0.5))
        rung = talk.wait_second()
        rung.request("UPDATE", headers=(header,))
        rung.wait_for(lambda call: call.replies_to("UPDATE") == [200])
    recording = talk.join()
    talk.talk_for(0.5)
    return talk, recording


@WAYS
def test_a_nominated_colleague_who_picks_up_has_the_call(lines: Exchange, way: str) -> None:
    talk, recording = answered(lines, way, "2002")
    row = talk.hang_up()
    assert (row["id"], row["outcome"], row["reason"]) == (recording, "recorded", "caller_hung_up")
    assert (row["operator"], row["operators"]) == ("bob", ["bob"]), "alice took no part in it"
    assert [(s["kind"], s["operator"], s["extension"]) for s in row["segments"]] == [("recording", "bob", "2002")]
    assert [one["id"] for one in lines.home.rows(operator="bob", number=talk.number)] == [recording]
    assert not lines.home.rows(operator="alice", number=talk.number)
    assert lines.home.rows(extension="2001", number=talk.number), "it was called there"


@WAYS
@pytest.mark.parametrize("number", ["2001", "3001"])
def test_whose_calls_are_not_recorded_is_not_recorded_and_no_failure(lines: Exchange, way: str, number: str) -> None:
    """Number 3001 rings before the notice, as a queue does."""
    before = lines.home.health()["alarms"].get("answered_elsewhere", 0)
    talk, recording = answered(lines, way, "4000", number)
    assert (live := talk.live) is not None
    assert live["state"] == "out_of_scope"
    assert lines.home.act("/api/extensions/2001/pause").status_code == 404, "it is no call of alice's"
    row = talk.hang_up()
    assert (row["id"], row["outcome"], row["reason"], row["path"]) == (recording, "blocked", "out_of_scope", None)
    assert [(s["kind"], s["operator"]) for s in row["segments"]] == [("out_of_scope", "")]
    assert not list(lines.home.root.rglob(f"{recording}.*"))
    assert lines.home.health()["alarms"]["answered_elsewhere"] == before + 1


@WAYS
@pytest.mark.parametrize("name", ["2001", "+441632962001", "anonymous", "ann"])
def test_another_form_of_the_number_or_none_is_who_was_dialled(lines: Exchange, way: str, name: str) -> None:
    talk, recording = answered(lines, way, name)
    row = talk.hang_up()
    assert (row["outcome"], row["operators"]) == ("recorded", ["alice"])
    left, right, _ = lines.home.copy(recording)
    assert kept_of(left, talk.left).spans
    assert speakers(right, (talk.right,)) == [talk.right]


@WAYS
def test_a_nominated_member_whose_number_ends_in_the_queue_s_has_the_call(
    tmp_path_factory: pytest.TempPathFactory, way: str
) -> None:
    """The queue 3001 and its member 01632963001 are both nominated, for different operators."""
    member = ('number = "2002"', 'number = "01632963001"')
    with exchange(tmp_path_factory.mktemp("suffix"), edits=(member,)) as lines:
        talk, _ = answered(lines, way, "01632963001", "3001")
        assert talk.hang_up()["operators"] == ["bob"]


@pytest.mark.parametrize(("name", "ends"), [("ann", "recording"), ("anonymous", "recording"),
                                            ("07700902001", "out_of_scope"), ("4000", "out_of_scope")])  # fmt: skip
def test_another_name_of_an_officer_in_a_call(lines: Exchange, name: str, ends: str) -> None:
    talk = lines.call(answer=Answer(after_s=0.1))
    talk.join()
    talk.talk_for(0.3)
    talk.wait_second().request("UPDATE", headers=(("P-Asserted-Identity", f"<sip:{name}@pbx>"),))
    talk.talk_for(0.3)
    row = talk.hang_up()
    assert row["segments"][-1]["kind"] == ends


NAMES_BOB = {
    "second value": (("P-Asserted-Identity", "<sip:01632960999@pbx>, <tel:2002>"),),
    "second line": (("P-Asserted-Identity", "<sip:01632960999@pbx>"), ("P-Asserted-Identity", "<sip:2002@pbx>")),
    "beside": (("P-Asserted-Identity", "<sip:01632960999@pbx>"), ("Remote-Party-ID", "<sip:2002@pbx>;party=called")),
    "alone": (("Remote-Party-ID", '"Bob; party=calling" <sip:2002@pbx>;party=called;privacy=off'),),
}
"""Ways of naming bob, whose extension is nominated, that the first P-Asserted-Identity does not tell."""


@pytest.mark.parametrize("way", NAMES_BOB)
@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_every_identity_that_is_asserted_in_a_call_counts(lines: Exchange, method: str, way: str) -> None:
    talk = lines.call(answer=Answer(after_s=0.1))
    talk.join()
    talk.talk_for(0.3)
    leg = talk.wait_second()
    body, kind = (bytes(leg.media), "application/sdp") if method == "INVITE" else (b"", "")
    leg.request(method, body, kind, NAMES_BOB[way])
    eventually(lambda: (talk.live or {}).get("operator") == "bob", "it is bob's call")
    talk.talk_for(0.3)
    row = talk.hang_up()
    assert (row["outcome"], row["operators"]) == ("recorded", ["alice", "bob"])
    if way != "alone":
        assert "01632960999" in row["numbers"]


@pytest.mark.parametrize("names", NAMES_BOB)
@WAYS
def test_every_identity_of_whoever_answers_counts(lines: Exchange, way: str, names: str) -> None:
    is_early, headers = way == EARLY, NAMES_BOB[names]
    talk = lines.call(answer=Answer(after_s=0.5, headers=() if is_early else headers))
    if is_early:
        talk.wait_second().request("UPDATE", headers=headers)
    talk.join()
    talk.talk_for(0.3)
    row = talk.hang_up()
    assert (row["outcome"], row["operators"]) == ("recorded", ["bob"])


def test_what_the_officers_side_says_of_the_other_party_names_no_officer(lines: Exchange) -> None:
    talk = lines.call(answer=Answer(after_s=0.1))
    talk.join()
    leg = talk.wait_second()
    leg.request("UPDATE", headers=(("Remote-Party-ID", "<sip:2002@pbx>;party=calling"),))
    leg.wait_for(lambda call: call.replies_to("UPDATE") == [200])
    talk.talk_for(0.3)
    assert talk.hang_up()["operators"] == ["alice"]


def test_one_of_several_names_alone_is_the_same_party(lines: Exchange) -> None:
    both = (("P-Asserted-Identity", "<sip:01632960999@pbx>, <tel:2001>"),)
    talk = lines.call(answer=Answer(after_s=0.1, headers=both))
    talk.join()
    leg = talk.wait_second()
    for value in ("<sip:01632960999@pbx>", "<tel:2001>", "<sip:01632960999@pbx>"):
        leg.request("UPDATE", headers=(("P-Asserted-Identity", value),))
        talk.talk_for(0.2)
    row = talk.hang_up()
    assert [(one["kind"], one["operator"]) for one in row["segments"]] == [("recording", "alice")]


def test_every_identity_of_an_outside_party_on_a_passed_call_raises_the_alarm(lines: Exchange) -> None:
    before = lines.home.health()["alarms"].get("nominated_passed", 0)
    talk = lines.call("4711", answer=Answer(after_s=0.05, headers=NAMES_BOB["second value"]))
    leg = talk.wait_second()
    leg.wait_for(lambda call: call.state is State.CONFIRMED)
    assert lines.home.health()["alarms"].get("nominated_passed", 0) == before + 1
    leg.request("UPDATE", headers=(("P-Asserted-Identity", "<sip:01632960998@pbx>, <tel:2001>"),))
    leg.wait_for(lambda call: call.replies_to("UPDATE") == [200])
    assert lines.home.health()["alarms"]["nominated_passed"] == before + 2
    talk.first.hang_up()


def test_the_200_has_the_last_word(lines: Exchange) -> None:
    named = (("P-Asserted-Identity", "<sip:2001@pbx>"),)
    talk = lines.call(answer=Answer(after_s=0.5, headers=named))
    rung = talk.wait_second()
    rung.request("UPDATE", headers=(("P-Asserted-Identity", "<sip:4000@pbx>"),))
    talk.join()
    talk.talk_for(0.3)
    row = talk.hang_up()
    assert (row["outcome"], row["operators"]) == ("recorded", ["alice"])


@WAYS
def test_a_mailbox_is_one_by_either_way(lines: Exchange, way: str) -> None:
    talk, _ = answered(lines, way, "5000")
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("blocked", "voicemail")


def joined_after_the_notice(talk: Talk, rung: Call) -> str:
    """Let the phone that rings be answered: the notice comes first, unrecorded; returns the recording that follows."""
    rung.wait_for(lambda call: call.state is State.CONFIRMED, 8)
    talk.right.listen_under(rung.remote_body)
    talk.right.talk(rung.remote_media)
    talk.wait_phase("notice, answered side held")
    assert (talk.live or {})["is_recorded"] is False
    return str(talk.wait_phase("joined")["id"])


@pytest.mark.parametrize(("way", "officer", "name"), [(EARLY, "2002", "bob"), (IN_THE_200, "3001", "carol")])
def test_a_colleague_who_is_not_nominated_is_told_before_an_officer_is_recorded_with_them(
    lines: Exchange, way: str, officer: str, name: str
) -> None:
    """An officer calls another one, and somebody picks up who has heard no notice."""
    header = ("P-Asserted-Identity", "<sip:4000@pbx>")
    in_200 = (header,) if way == IN_THE_200 else ()
    talk = lines.call("2001", from_number=officer, answer=Answer(after_s=0.5, headers=in_200))
    talk.begin()
    rung = talk.wait_second()
    if way == EARLY:
        rung.request("UPDATE", headers=(header,))
    recording = joined_after_the_notice(talk, rung)
    assert (talk.live or {})["operators_now"] == [name]
    talk.talk_for(0.5)
    talk.first.hang_up()
    rung.wait_ended()
    (row,) = eventually(
        lambda: [one for one in lines.home.rows(operator=name, extension="2001") if one["id"] == recording],
        "it is filed",
    )
    assert (row["outcome"], row["operators"]) == ("recorded", [name])
    assert row["notice"]["complete"] is True


def test_who_comes_during_the_notice_of_an_officer_is_not_recorded(lines: Exchange) -> None:
    talk = lines.call("3001", from_number="2001")
    talk.begin()
    rung = talk.wait_second()
    rung.wait_for(lambda call: call.state is State.CONFIRMED, 8)
    talk.wait_phase("notice, answered side held")
    rung.request("UPDATE", headers=(("P-Asserted-Identity", "<sip:4000@pbx>"),))
    talk.wait_phase("joined")
    talk.first.hang_up()
    rung.wait_ended()
    (row,) = eventually(lambda: lines.home.rows(number="2001", operator="alice", extension="3001"), "it is filed")
    assert (row["outcome"], row["reason"]) == ("blocked", "notice_not_heard"), "they heard none of it"


@pytest.mark.parametrize(
    ("to", "outcome", "operators"),
    [("2002", "recorded", ["bob"]), ("4000", "blocked", ["alice"]), ("phone-x7", "recorded", ["alice"])],
)
def test_a_diversion_is_a_call_to_whom_it_leads(lines: Exchange, to: str, outcome: str, operators: list[str]) -> None:
    """A 302 that the route follows, whose target names nobody when it answers."""
    contact = ("Contact", f"<sip:{to}@127.0.0.1:{lines.officer.address[1]}>")
    talk = lines.call(answer=Answer(status=302, headers=(contact,)))
    diverted = expect_newcomer(talk, to)
    talk.begin()
    leg = diverted.join()
    talk.wait_phase("joined")
    talk.talk_for(0.3)
    row = talk.hang_up()
    leg.wait_ended()
    diverted.voice.hush()
    assert (row["outcome"], row["operators"]) == (outcome, operators)


@WAYS
def test_a_queue_for_anybody_is_recorded_whoever_answers(tmp_path_factory: pytest.TempPathFactory, way: str) -> None:
    anybody = ('team = ""\nanswered_by = "nominated"', 'team = ""\nanswered_by = "anybody"')
    with exchange(
        tmp_path_factory.mktemp("anybody"), edits=(anybody, ("numbers = []   ", 'numbers = ["5000"] # '))
    ) as lines:
        talk, _ = answered(lines, way, "4000", "3001")
        talk.wait_second().request("UPDATE", headers=(("P-Asserted-Identity", "<sip:4000@pbx>"),))
        talk.talk_for(0.3)
        row = talk.hang_up()
        assert (row["outcome"], row["reason"], row["operators"]) == ("recorded", "caller_hung_up", ["carol"])
        assert row["numbers"] == ["4000"], "it is found by who answered"
        talk, _ = answered(lines, way, "2002", "3001")
        assert talk.hang_up()["operators"] == ["bob"], "who is nominated has it all the same"
        talk, _ = answered(lines, way, "5000", "3001")
        assert talk.hang_up()["reason"] == "voicemail"


def test_a_queue_for_anybody_is_that_queue_however_it_is_dialled(open_lines: Exchange) -> None:
    for number in ("30-01", "(30)01"):
        talk, _ = answered(open_lines, IN_THE_200, "4000", number)
        row = talk.hang_up()
        assert (row["outcome"], row["operators"], row["extension"]) == ("recorded", ["carol"], "3001")


ANYBODY = ('team = ""\nanswered_by = "nominated"', 'team = ""\nanswered_by = "anybody"')
MEMBER = ("P-Asserted-Identity", "<sip:4000@pbx>")


@pytest.fixture(scope="module")
def open_lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("open"), edits=(ANYBODY,)) as made:
        yield made


@WAYS
@pytest.mark.parametrize("place", ["called", "calling"])
def test_a_call_that_is_transferred_to_a_queue_for_anybody_is_recorded_whoever_answers(
    open_lines: Exchange, way: str, place: str
) -> None:
    """An officer hands the call to the queue; ``place`` says whether they were called or have called."""
    name, number = ("alice", "2001") if way == EARLY or place == "called" else ("bob", "2002")
    if place == "called":
        talk = open_lines.call("2001")
        recording, calling = talk.join(), talk.number
        officer = talk.wait_second()
    else:
        calling = f"0770090{number}"
        talk = open_lines.call(calling, from_number=number)
        recording = talk.join()
        officer = talk.first
    in_200 = (MEMBER,) if way == IN_THE_200 else ()
    queue = expect_newcomer(talk, "3001", calling=calling, answer=Answer(after_s=0.5, headers=in_200))
    refer(officer, "3001")
    rung = queue.wait()
    if way == EARLY:
        rung.request("UPDATE", headers=(MEMBER,))
    leg = queue.join()
    wait_told(officer, 200)
    talk.talk_for(0.5)
    leg.hang_up()
    for voice in (talk.left, talk.right, queue.voice):
        voice.hush()
    row = eventually(
        lambda: next((one for one in open_lines.home.rows(operator="carol") if one["id"] == recording), None),
        "it is filed",
    )
    assert [(s["kind"], s["operator"]) for s in row["segments"]] == [("recording", name), ("recording", "carol")]


def test_a_queue_for_anybody_may_answer_first_and_name_its_member_later(open_lines: Exchange) -> None:
    talk = open_lines.call("3001")
    talk.join()
    talk.talk_for(0.4)
    leg = talk.wait_second()
    leg.request("UPDATE", headers=(MEMBER,))
    talk.talk_for(0.4)
    assert (talk.live or {})["state"] != "out_of_scope"
    leg.request("UPDATE", headers=(("P-Asserted-Identity", "<sip:07700900456@pbx>"),))
    talk.talk_for(0.4)
    row = talk.hang_up()
    kinds = [s["kind"] for s in row["segments"]]
    assert (kinds[0], kinds[-1]) == ("recording", "out_of_scope"), "the member handed it to somebody else"
    assert {s["operator"] for s in row["segments"] if s["kind"] == "recording"} == {"carol"}


def test_a_phone_for_anybody_that_calls_and_names_somebody_else_is_left(open_lines: Exchange) -> None:
    talk = open_lines.call("07700900123", from_number="3001")
    talk.join()
    talk.talk_for(0.4)
    talk.first.request("UPDATE", headers=(MEMBER,))
    talk.talk_for(0.4)
    assert (talk.live or {})["state"] == "out_of_scope", "nobody answered a call to it"
    talk.first.hang_up()
    talk.first.wait_ended()
    for voice in (talk.left, talk.right):
        voice.hush()


@pytest.mark.parametrize("when", ["notice", "ringing after the notice"])
def test_a_caller_who_comes_in_the_place_of_another_before_the_answer_hears_the_notice(
    lines: Exchange, when: str
) -> None:
    """A colleague calls an officer, hears the notice, and hands the call over before the officer answers."""
    talk = lines.call(answer=Answer(after_s=0.8))
    talk.begin()
    talk.wait_phase(when)
    talk.first.request("UPDATE", headers=(("P-Asserted-Identity", "<sip:07700900777@pbx>"),))
    talk.first.wait_for(lambda call: call.replies_to("UPDATE") == [200])
    rung = talk.wait_second()
    recording = joined_after_the_notice(talk, rung)
    talk.talk_for(0.4)
    row = talk.hang_up()
    assert (row["id"], row["outcome"], row["notice"]["complete"]) == (recording, "recorded", True)
    assert lines.home.rows(number="07700900777")[0]["id"] == recording


def test_a_caller_who_comes_while_the_officer_is_held_is_not_recorded(lines: Exchange) -> None:
    talk = lines.call("3001", answer=Answer(after_s=0.1))
    talk.begin()
    talk.wait_phase("notice, answered side held")
    talk.first.request("UPDATE", headers=(("P-Asserted-Identity", "<sip:07700900778@pbx>"),))
    talk.wait_phase("joined")
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("blocked", "notice_not_heard"), "they heard only the end of it"
