"""Key presses from event packets, control sequences, digits in INFO bodies."""

import itertools

import pytest

from audio.dtmf import (
    CONTROL_TABLE,
    HOLD_NS,
    KEYS,
    NORTEL_DIGITS,
    SECRET_WAIT_NS,
    ControlAction,
    ControlInput,
    ControlMatcher,
    ControlState,
    InfoDigitError,
    SecretKeyed,
    info_body,
    parse_info_digit,
)
from tests.reference.dtmf import EventTracker, KeyPressed, KeyReleased, Press, is_echo
from tests.reference.rtp import TelephoneEvent


def event(code: int, duration: int, *, is_end: bool = False) -> TelephoneEvent:
    return TelephoneEvent(event=code, is_end=is_end, volume=10, duration=duration)


def test_one_press_of_many_packets_is_one_key() -> None:
    tracker = EventTracker()
    assert tracker.receive(1, 800, event(5, 160)) == [KeyPressed(key="5", timestamp=800)]
    assert tracker.receive(1, 800, event(5, 480)) == []
    assert tracker.receive(1, 800, event(5, 320)) == [], "reordered: the duration does not shrink"
    ended = tracker.receive(1, 800, event(5, 400, is_end=True))
    assert ended == [KeyReleased(key="5", timestamp=800, duration=480)]
    assert tracker.receive(1, 800, event(5, 480, is_end=True)) == []
    assert tracker.receive(1, 800, event(5, 160)) == [], "late packets of an event that is over"


def test_the_same_key_twice_is_two_and_another_ssrc_is_another_event() -> None:
    tracker = EventTracker()
    tracker.receive(1, 800, event(5, 160))
    assert tracker.receive(1, 1600, event(5, 160)) == [
        KeyReleased(key="5", timestamp=800, duration=160),
        KeyPressed(key="5", timestamp=1600),
    ], "all end packets lost"
    assert KeyPressed(key="5", timestamp=1600) in tracker.receive(2, 1600, event(5, 160))


def test_two_keys_may_share_a_timestamp() -> None:
    tracker = EventTracker()
    tracker.receive(1, 800, event(5, 160), is_marked=True, is_newer=True)
    tracker.receive(1, 800, event(5, 400, is_end=True), is_newer=True)
    assert tracker.receive(1, 800, event(5, 400, is_end=True), is_newer=True) == [], "the end again"
    assert tracker.receive(1, 800, event(7, 160)) == [], "by its number it is not of this moment"
    assert tracker.receive(1, 800, event(7, 160), is_newer=True) == [KeyPressed(key="7", timestamp=800)]
    assert tracker.receive(1, 800, event(7, 160), is_marked=True, is_newer=True) == [], "it has not ended"
    tracker.receive(1, 800, event(7, 400, is_end=True), is_newer=True)
    assert tracker.receive(1, 800, event(7, 160), is_marked=True, is_newer=True) == [KeyPressed(key="7", timestamp=800)]


def test_a_single_end_packet_is_a_whole_press_and_codes_that_are_no_keys_nothing() -> None:
    tracker = EventTracker()
    assert tracker.receive(1, 8, event(10, 800, is_end=True)) == [
        KeyPressed(key="*", timestamp=8),
        KeyReleased(key="*", timestamp=8, duration=800),
    ]
    assert tracker.receive(1, 16, event(16, 800)) == []


def test_every_pair_of_the_control_table_is_decided() -> None:
    assert set(CONTROL_TABLE) == set(itertools.product(ControlState, ControlInput))


@pytest.mark.parametrize(
    ("keys", "actions"),
    [
        ("5", [ControlAction.PASS]),
        ("1", [ControlAction.PASS]),
        ("*1", [ControlAction.HOLD, ControlAction.SWALLOW]),
        ("*5", [ControlAction.HOLD, ControlAction.REPLAY_AND_PASS]),
        ("**1", [ControlAction.HOLD, ControlAction.REPLAY_AND_HOLD, ControlAction.SWALLOW]),
        ("*12", [ControlAction.HOLD, ControlAction.SWALLOW, ControlAction.PASS]),
    ],
)
def test_control_sequences(keys: str, actions: list[ControlAction]) -> None:
    matcher = ControlMatcher(frozenset({"*1", "*2"}))
    assert [action for key in keys for action in matcher.press(key, 0)] == actions


def test_a_star_waits_a_second_and_a_half() -> None:
    matcher = ControlMatcher(frozenset({"*1"}))
    matcher.press("*", 100)
    assert matcher.wait(100 + HOLD_NS - 1) == ()
    assert matcher.wait(100 + HOLD_NS) == (ControlAction.REPLAY,)
    assert matcher.wait(100 + 2 * HOLD_NS) == ()
    matcher.press("*", 0)
    assert matcher.press("1", HOLD_NS) == (ControlAction.REPLAY, ControlAction.PASS), "too late is no sequence"
    assert matcher.state is ControlState.IDLE


def test_double_star_can_be_a_sequence() -> None:
    matcher = ControlMatcher(frozenset({"**"}))
    assert matcher.press("*", 0) + matcher.press("*", 1) == (ControlAction.HOLD, ControlAction.SWALLOW)


def test_control_sequences_have_one_form() -> None:
    for wrong in ("1", "*", "11", "*12", "*x"):
        with pytest.raises(ValueError, match="one key"):
            ControlMatcher(frozenset({wrong}))


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/DTMF-Relay; charset=x", b"duration = 100\nsignal = *\n", "*"),
        ("application/dtmf-relay", b"Signal=11\r\n", "#"),
        ("application/dtmf", b"7", "7"),
        ("application/dtmf", b" d\r\n", "D"),
        ("application/dtmf", b"10", "*"),
        (NORTEL_DIGITS, b"p=Digit-Collection\r\ny=Digits\r\ns=success\r\nd=5\r\n", "5"),
        ("Application/vnd.NortelNetworks.Digits", b"y=Digits\nd = #\n", "#"),
        ("text/plain", b"7", None),
        ("application/media_control+xml", b"", None),
    ],
)
def test_info_digits(kind: str, body: bytes, key: str | None) -> None:
    assert parse_info_digit(kind, body) == key


@pytest.mark.parametrize(
    "body", [b"", b"Signal=", b"Signal=4929\r\n", b"4929", b"\xff\xfe", b"1" * 300, b"Signal", b"d=", b"d=4929"]
)
def test_bad_info_bodies_are_refused_without_quoting_them(body: bytes) -> None:
    for kind in ("application/dtmf-relay", "application/dtmf", NORTEL_DIGITS):
        with pytest.raises(InfoDigitError) as caught:
            parse_info_digit(kind, body)
        assert "4929" not in str(caught.value)


@pytest.mark.parametrize("kind", ["application/dtmf-relay", "Application/DTMF", NORTEL_DIGITS])
def test_an_info_that_says_a_key_is_read_as_that_key(kind: str) -> None:
    assert {key: parse_info_digit(kind, info_body(kind, key)) for key in KEYS} == {key: key for key in KEYS}


def test_there_are_sixteen_keys() -> None:
    assert len(set(KEYS)) == 16


def keyed(keys: str) -> tuple[list[ControlAction], list[SecretKeyed]]:
    """Key into a matcher with *1 for control and *9 for secrets; returns all actions and all entries."""
    matcher = ControlMatcher(frozenset({"*1"}), frozenset({"*9"}))
    actions: list[ControlAction] = []
    entries = []
    for i, key in enumerate(keys):
        actions += matcher.press(key, i)
        entries += [entry] if (entry := matcher.take_secret()) else []
    assert matcher.take_secret() is None
    return actions, entries


@pytest.mark.parametrize(
    ("keys", "digits"),
    [("*92468#", "2468"), ("*9#", ""), ("*9123456789012#", "123456789012"), ("**92468#", "2468"), ("*9191#", "191")],
)
def test_a_secret_entry_is_withheld_and_taken_once(keys: str, digits: str) -> None:
    actions, entries = keyed(keys)
    entry = actions[actions.index(ControlAction.SECRET) :]
    assert set(entry[:-1]) == {ControlAction.SECRET}
    assert entry[-1] is ControlAction.SECRET_ENDED
    assert entries == [SecretKeyed(prefix="*9", digits=digits, is_complete=True)]
    assert not digits or digits not in repr(entries)


@pytest.mark.parametrize("keys", ["*91234567890123#", "*912*34#", "*912*#34#", "*91**2#"])
def test_an_entry_that_is_too_long_or_has_a_star_is_withheld_all_the_same(keys: str) -> None:
    actions, entries = keyed(keys)
    assert actions[1:] == [ControlAction.SECRET] * (len(keys) - 2) + [ControlAction.SECRET_ENDED]
    assert entries == [SecretKeyed(prefix="*9", digits="", is_complete=False)]


def test_a_control_sequence_breaks_an_entry_off() -> None:
    actions, entries = keyed("*912*15")
    assert actions[-3:] == [ControlAction.SECRET_BROKEN, ControlAction.SWALLOW, ControlAction.PASS]
    assert entries == [SecretKeyed(prefix="*9", digits="", is_complete=False)]


def test_a_prefix_begins_an_entry_anew() -> None:
    actions, entries = keyed("*912*934#")
    assert ControlAction.PASS not in actions
    assert [(entry.digits, entry.is_complete) for entry in entries] == [("", False), ("34", True)]


def test_an_entry_waits_ten_seconds_for_each_key() -> None:
    matcher = ControlMatcher(frozenset(), frozenset({"*9"}))
    for i, key in enumerate("*912"):
        matcher.press(key, i)
    assert matcher.is_secret
    assert matcher.wait(3 + SECRET_WAIT_NS - 1) == ()
    assert matcher.wait(3 + SECRET_WAIT_NS) == (ControlAction.SECRET_BROKEN,)
    assert matcher.take_secret() == SecretKeyed(prefix="*9", digits="", is_complete=False)
    assert not matcher.is_secret
    assert matcher.press("3", 4 + SECRET_WAIT_NS) == (ControlAction.PASS,)


def test_without_a_secret_prefix_nothing_is_secret() -> None:
    matcher = ControlMatcher(frozenset({"*1"}))
    assert matcher.press("*", 0) + matcher.press("9", 1) == (ControlAction.HOLD, ControlAction.REPLAY_AND_PASS)
    with pytest.raises(ValueError, match="either"):
        ControlMatcher(frozenset({"*9"}), frozenset({"*9"}))


@pytest.mark.parametrize(
    ("delay_ms", "is_one"),
    [(-500, False), (-81, False), (-80, True), (0, True), (550, True), (700, True), (701, False)],
)
def test_what_counts_as_an_echo(delay_ms: int, is_one: bool) -> None:
    ms = 1_000_000
    caller = [Press(key="2", from_ns=0, to_ns=50 * ms), Press(key="1", from_ns=1000 * ms, to_ns=1100 * ms)]
    officer = Press(key="1", from_ns=(1000 + delay_ms) * ms, to_ns=(1100 + delay_ms) * ms)
    assert is_echo(officer, caller) is is_one
    assert not is_echo(Press(key="3", from_ns=officer.from_ns, to_ns=officer.to_ns), caller)
    assert "1" not in repr(officer).split("from_ns")[0]
