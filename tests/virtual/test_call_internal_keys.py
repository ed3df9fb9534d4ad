"""Keys on a call between two nominated extensions: each officer's keys act for their own extension (issue 15)."""

from collections.abc import Iterator

import pytest

from audio import prompts
from recorder.access.pins import Costs, PinFile
from recorder.calls.key_acts import ACTS_WITHIN_S
from recorder.common.home import Home
from recorder.permissions import Person, Role
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from tests.helpers.exactness import times_heard
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.keying import Carrier, press, put_tone
from tests.helpers.recorder_home import contents, eventually
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import FRAME

PIN, WRONG = "274953", "385064"
EDITS = (
    ("look_back_s = 5.0", "look_back_s = 2.0"),
    ("erase_s = 3.0", "erase_s = 0.3"),
    ('manager_keys = "off"', 'manager_keys = "*9"'),
)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("internal"), edits=EDITS) as made:
        manager = Person(name="mary", display_name="Mary", roles=frozenset({Role.MANAGER}), teams=("Revenues",))
        PinFile(Home(made.home.root).pins, costs=Costs(passes=1, memory_kib=64)).set(manager, PIN)
        yield made


@pytest.fixture(scope="module")
def talks(lines: Exchange) -> Iterator[list[Talk]]:
    """Bob at 2002 calls Alice at 2001; a caller of Bob's, and one of Alice's, wait."""
    talks = [lines.call("2001", from_number="2002"), lines.call("2002"), lines.call("2001")]
    for talk in talks:
        talk.join()
        talk.talk_for(0.2)
    yield talks
    for talk in talks:
        talk.first.hang_up()
    eventually(lambda: not lines.home.calls(), "every call is over")
    for talk in talks:
        talk.left.hush()
        talk.right.hush()


def key(talk: Talk, keys: str, carrier: Carrier = Carrier.EVENT) -> None:
    """Press keys on the telephone of the officer who called."""
    for one in keys:
        press(talk.left, talk.first, one, carrier)


def states(lines: Exchange, talks: list[Talk]) -> list[str]:
    found = {call["caller"]: str(call["state"]) for call in lines.home.calls()}
    return [found[talk.number] for talk in talks]


def entries(lines: Exchange, talk: Talk, act: str) -> list[AuditEntry]:
    (call,) = [call["id"] for call in lines.home.calls() if call["caller"] == talk.number]
    return [one for one in AuditLog(lines.home.root / "audit").entries() if (one.subject, one.act) == (call, act)]


def wait_entry(lines: Exchange, talk: Talk, act: str, count: int) -> AuditEntry:
    found = eventually(lambda: entries(lines, talk, act)[count - 1 :], f"{act} is in the log {count} times")
    return found[0]


def test_a_caller_from_outside_has_no_keys(lines: Exchange, talks: list[Talk]) -> None:
    own = talks[1]
    key(own, "*1")
    eventually(lambda: own.right.heard_keys() == "*1", "they are the caller's to send")
    assert states(lines, talks) == ["recording"] * 3


@pytest.mark.parametrize("carrier", Carrier)
def test_the_keys_of_the_officer_who_called_act_for_their_own(
    lines: Exchange, talks: list[Talk], carrier: Carrier
) -> None:
    internal, own, colleagues = talks
    before = len(entries(lines, internal, "call.pause"))
    key(internal, "*1", carrier)
    eventually(lambda: states(lines, talks)[:2] == ["paused", "paused"], "bob's calls are paused")
    assert wait_entry(lines, internal, "call.pause", before + 1).actor == "officer:bob"
    assert wait_entry(lines, own, "call.pause", before + 1).actor == "officer:bob"
    eventually(lambda: times_heard(internal.left, prompts.paused_tone()) == before + 1, "bob hears that it is paused")
    assert times_heard(internal.right, prompts.paused_tone()) == 0, "alice did not ask for it"
    internal.talk_for(0.3)
    assert states(lines, [colleagues]) == ["recording"]
    assert internal.right.heard_keys() == ""
    assert internal.wait_second().requests("INFO") == []
    key(internal, "*2", carrier)
    eventually(lambda: states(lines, talks) == ["recording"] * 3, "the same keys resume what they paused")


def test_either_officer_resumes_what_the_other_paused_in_their_call(lines: Exchange, talks: list[Talk]) -> None:
    internal = talks[0]
    before = len(entries(lines, internal, "call.resume"))
    key(internal, "*1")
    eventually(lambda: states(lines, [internal]) == ["paused"], "bob pauses")
    internal.right.press("*2")
    eventually(lambda: states(lines, [internal]) == ["recording"], "alice resumes: it is her call too")
    assert wait_entry(lines, internal, "call.resume", before + 1).actor == "officer:alice"


def echoed(talk: Talk, keys: str) -> None:
    """Have the officer who was called sound keys that the other officer's telephone echoes."""
    for one in keys:
        put_tone(talk.left, one, at=talk.left.sent[-1][0] + 8 * FRAME)
        press(talk.right, talk.wait_second(), one, Carrier.TONE, at=talk.right.sent[-1][0] + 5 * FRAME)
        talk.talk_for(0.1)


def test_the_echo_of_an_officers_keys_on_the_other_line_is_nobodys_key(lines: Exchange, talks: list[Talk]) -> None:
    internal, own, _ = talks
    internal.talk_for(ACTS_WITHIN_S)  # the keys of the tests before count as a flood
    before, others = len(entries(lines, internal, "call.pause")), len(entries(lines, own, "call.pause"))
    echoed(internal, "*1")
    eventually(lambda: states(lines, [internal]) == ["paused"], "alice pauses")
    internal.talk_for(0.5)
    key(internal, "*2")
    eventually(lambda: states(lines, [internal]) == ["recording"], "and bob resumes")
    assert [one.actor for one in entries(lines, internal, "call.pause")[before:]] == ["officer:alice"]
    assert len(entries(lines, own, "call.pause")) == others, "bob keyed nothing that pauses"


def test_a_pin_is_counted_for_the_telephone_that_it_was_keyed_on(lines: Exchange, talks: list[Talk]) -> None:
    internal, own, colleagues = talks
    internal.talk_for(ACTS_WITHIN_S)  # the keys of the tests before count as a flood
    for tries in (1, 2, 3):
        key(internal, f"*9{WRONG}#")
        last = wait_entry(lines, internal, "call.opt_out.refused", tries)
    assert last.actor == "officer:bob"
    assert last.details["why"] == "the keys are locked"
    for one in f"*9{PIN}#":
        press(internal.right, internal.wait_second(), one, Carrier.EVENT)
    eventually(lambda: states(lines, [internal]) == ["opted_out"], "alice's telephone is not locked")
    assert states(lines, [own, colleagues]) == ["recording"] * 2
    assert internal.right.heard_keys() == internal.left.heard_keys() == ""
    for digits in (PIN, WRONG):
        assert digits not in lines.home.said
        assert not any(digits.encode() in content for _, content in contents(lines.home.root))
