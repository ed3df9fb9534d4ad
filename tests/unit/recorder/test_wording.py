"""Every code that people can see has words, and no words are a code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.data_subjects.letters import Letter
from recorder.permissions import Role
from recorder.recordings.replay import NOT_STATE, REPLAYED
from recorder.rules import wording
from recorder.rules.alarms import ALARMS
from recorder.rules.words.audit import DETAIL, EVENT
from recorder.rules.words.calls import LIVE_STATE, REASON
from recorder.rules.words.records import HELD_FOR
from recorder.rules.words.system import ALARM
from storage.retention_types import HoldKind
from storage.types import Outcome

ROOT = Path(__file__).parents[3]
_SETTING = "a value of a setting, typed and shown as it is"
_INSIDE = "never leaves the program"
_SENTENCE = "its values are the words"
_OWN = "named by the subject of its notification, in notifications/kinds.py"
NOT_SHOWN = {
    "AccessLevel": _INSIDE, "After": _SENTENCE, "AnsweredBy": _SETTING, "CallState": _SENTENCE, "CardPayment": _SETTING,
    "Channel": _INSIDE, "Clears": _INSIDE, "Codec": _INSIDE, "ControlAction": _INSIDE, "ControlInput": _INSIDE,
    "ControlState": _INSIDE, "DatePart": _INSIDE, "DeskState": _SENTENCE, "DialogStage": _INSIDE,
    "DiskRule": _SETTING, "DrainAction": _SENTENCE,
    "DrainEvent": _SENTENCE, "DtmfPolicy": _INSIDE, "Due": _INSIDE, "FrameType": _INSIDE, "Handling": _INSIDE,
    "HoldEvent": _SENTENCE, "Key": _INSIDE, "KindOption": _SETTING,
    "LogFormat": _SETTING, "Match": _SENTENCE, "MediaIo": _SETTING,
    "MetricKind": _INSIDE,
    "RecordedEvent": _SETTING,
    "NoticeWhen": _SETTING, "NotificationKind": _OWN, "NumberKind": _SENTENCE, "Occupancy": _INSIDE,
    "OptOutEvent": _INSIDE, "OrderVerdict": _INSIDE, "PartyStatus": _SENTENCE, "PeerNotice": _SETTING,
    "PhoneKind": _SETTING, "Play": _INSIDE, "Preset": _SENTENCE, "RequestKind": _INSIDE,
    "SessionAction": _SENTENCE, "Side": _INSIDE,
    "SmtpSecurity": _SETTING, "SrtpSuite": _SENTENCE, "Stack": _SETTING, "Stage": _SENTENCE,
    "Status": _INSIDE, "Subject": _INSIDE,
    "Use": _SENTENCE,
}  # fmt: skip
"""Enumerations that people do not see, and why."""
ENDS_CALLS = frozenset({"stop", "fail", "refuse", "refuse_offer", "finish", "Stopped", "_end", "_finish", "Blocked"})
"""Calls that take the reason for an outcome."""


def classes() -> Iterator[tuple[str, dict[str, object]]]:
    """Yield each enumeration of the recorder, of the storage and of digits, with its values."""
    for root in ("recorder", "storage", "audio"):
        for path in sorted((ROOT / root).rglob("*.py")):
            text = path.read_text()
            for node in ast.parse(text).body if "Enum)" in text else ():
                if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Enum") for base in node.bases):
                    yield (
                        node.name,
                        {
                            ast.unparse(one.targets[0]): one.value.value
                            for one in node.body
                            if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)
                        },
                    )


FOUND = list(classes())
ALL = dict(FOUND)


def reasons() -> set[str]:
    """Return the codes in the rules of outcomes, and those with which the code ends calls."""
    rules = ast.parse((ROOT / "recorder/rules/outcome.py").read_text())
    found = {text for node in ast.walk(rules) if (text := _code(node))}
    for path in sorted((ROOT / "recorder/calls").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ENDS_CALLS:
                found |= {text for argument in node.args if (text := _code(argument))}
    return found


def _code(node: ast.AST) -> str:
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return text if text.replace("_", "").isalpha() and text.islower() else ""


def test_every_enumeration_has_words_or_says_why_it_needs_none() -> None:
    assert len(ALL) > 80
    assert ALL.keys() - wording.ENUMERATIONS.keys() - NOT_SHOWN.keys() == set()
    assert not wording.ENUMERATIONS.keys() & NOT_SHOWN.keys()


def test_no_two_enumerations_have_one_name() -> None:
    names = [name for name, _ in FOUND]
    assert {name for name in names if names.count(name) > 1} == set(), "the table is by name"


@pytest.mark.parametrize("name", sorted(wording.ENUMERATIONS))
def test_every_value_of_an_enumeration_has_words(name: str) -> None:
    assert wording.ENUMERATIONS[name].keys() == {str(value) for value in ALL[name].values()}


def test_every_event_of_the_audit_log_has_words() -> None:
    assert EVENT.keys() == REPLAYED | NOT_STATE.keys()


def test_every_alarm_has_a_name() -> None:
    assert ALARM.keys() == ALARMS.keys()


def test_every_reason_has_words() -> None:
    found = reasons()
    assert {"opted_out", "no_media", "daemon_stopped", "writer_full"} <= found
    assert found - REASON.keys() == {"refused_"}, "refused_503 and its like are worked out"


@pytest.mark.parametrize("party", ["caller", "officer"])
@pytest.mark.parametrize("what", ["hung_up", "unreachable", "gave_up_while_ringing", "gave_up_during_notice"])
def test_both_sides_can_end_a_call(party: str, what: str) -> None:
    assert f"{party}_{what}" in REASON


def test_every_hold_says_what_it_is_for() -> None:
    assert HELD_FOR.keys() == {str(kind) for kind in HoldKind}


def test_no_words_are_a_code() -> None:
    tables = [*wording.ENUMERATIONS.values(), REASON, LIVE_STATE, HELD_FOR, EVENT, DETAIL, ALARM]
    told = [words for table in tables for words in table.values()]
    assert [words for words in told if "_" in words or not words or words != words.strip()] == []
    assert [words for words in told if words.endswith(".")] == []


def test_words_are_read_from_the_table() -> None:
    assert wording.outcome_words(Outcome.RECORDED, "caller_hung_up") == "Recorded: caller hung up"
    assert wording.outcome_words(Outcome.FAILED, "") == "Recording failed"
    both = "by the officer, by the payment system till-3"
    assert wording.outcome_reason("agent,payment_app:till-3") == both
    assert wording.outcome_reason("refused_503") == "refused by the telephone system (SIP 503)"
    assert wording.held_for(HoldKind.SAR) == "held for a subject access request"
    assert wording.title(Role.ICT) == "ICT"
    assert wording.words(Letter.EXTENSION) == "extension of time"
    assert wording.audit_event("recording.play.refused") == "was refused: listen to a recording"
    assert wording.audit_event("request.granted.not_stored") == "granted a request to listen (could not be stored)"
    assert wording.alarm_name("disk_full") == "disk full"
    assert wording.live_state("not_begun") == "not recorded yet"
    assert (wording.detail_name("use_until"), wording.detail_name("of_node")) == ("use until", "of node")
    assert (wording.known_code("card_data"), wording.known_code("anna_k")) == ("card details", "anna_k")
    assert wording.listed(["a", "b", "c"]) == "a, b and c"


def test_a_code_of_a_newer_version_is_shown_without_underscores() -> None:
    assert wording.outcome_reason("struck_by_lightning") == "struck by lightning"
    assert wording.audit_event("recording.sent_away") == "recording: sent away"
    assert wording.words_for(Role, "night_watch") == "night watch"
