"""The words that people read for codes: in the console, on the command line, in letters and mail. Pure.

Words stand in the middle of a sentence ("caller hung up"); `capital` begins a sentence, a tag or a table cell with
them. A code that this version does not know, from a newer version, is shown with its underscores as spaces.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType

from recorder.rules.words.assurance import ASSURANCE, TO_DO
from recorder.rules.words.audit import DETAIL, EVENT
from recorder.rules.words.calls import CALLS, LIVE_STATE, REASON
from recorder.rules.words.people import PEOPLE
from recorder.rules.words.records import HELD_FOR, RECORDS
from recorder.rules.words.system import ALARM, LANGUAGE, MESSAGE, SYSTEM

ENUMERATIONS: Mapping[str, Mapping[str, str]] = MappingProxyType({**ASSURANCE, **CALLS, **PEOPLE, **RECORDS, **SYSTEM})
"""Words by the name of an enumeration, then by the value of its member."""

_CODES: Mapping[str, str] = MappingProxyType(
    {code: told for table in (*ENUMERATIONS.values(), ALARM, REASON) for code, told in table.items() if "_" in code}
)
_BY_STATUS = re.compile(r"refused_(\d{3})")
_REFUSED, _NOT_STORED = ".refused", ".not_stored"


def words(code: Enum) -> str:
    """Return the words for a member of an enumeration."""
    return ENUMERATIONS.get(type(code).__name__, {}).get(str(code.value)) or _unknown(str(code.value))


def title(code: Enum) -> str:
    """Return the words for a member of an enumeration, with a capital letter."""
    return capital(words(code))


def words_for(enumeration: type[Enum] | str, value: str) -> str:
    """Return the words for a value of an enumeration, read from JSON or a database.

    Where the layers forbid to import the enumeration, its name is given.
    """
    name = enumeration if isinstance(enumeration, str) else enumeration.__name__
    return ENUMERATIONS[name].get(value) or _unknown(value)


def outcome_reason(reason: str) -> str:
    """Return the words for the reason of an outcome or of a segment; several codes may be joined by commas."""
    return ", ".join(_reason(code.strip()) for code in reason.split(",") if code.strip())


def outcome_words(outcome: Enum, reason: str) -> str:
    """Return an outcome with its reason: ``Recorded: caller hung up``."""
    return f"{title(outcome)}: {outcome_reason(reason)}" if reason else title(outcome)


def live_state(state: str) -> str:
    """Return the words for the state of a call in progress, as the daemon lists it."""
    return LIVE_STATE.get(state) or _unknown(state)


def held_for(kind: Enum) -> str:
    """Return why a recording is held: ``held for a subject access request``."""
    return HELD_FOR.get(str(kind.value)) or f"held for: {words(kind)}"


def audit_event(act: str) -> str:
    """Return what an actor did, by the act of an entry in the audit log: ``signed in``."""
    if act.endswith(_NOT_STORED):
        return f"{audit_event(act.removesuffix(_NOT_STORED))} (could not be stored)"
    if act.endswith(_REFUSED):
        wish = act.removesuffix(_REFUSED)
        return f"was refused: {PEOPLE['Act'].get(wish) or audit_event(wish)}"
    return EVENT.get(act) or _unknown(act.replace(".", ": "))


def audit_acts() -> frozenset[str]:
    """Return every act that an entry of the audit log can have, and what acts begin with: ``call.pause``, ``call``."""
    done = {*EVENT, *PEOPLE["Act"]}
    acts = {*done, *(f"{act}{end}" for act in done for end in (_REFUSED, _NOT_STORED))}
    return frozenset(".".join(act.split(".")[:length]) for act in acts for length in range(1, act.count(".") + 2))


def to_do(verdict: Enum) -> str:
    """Return what to do about a call that was not recorded as it should have been, as sentences; empty if nothing."""
    return TO_DO.get(str(verdict.value), "")


def alarm_name(alarm: str) -> str:
    """Return the name of an alarm: ``disk full``."""
    return ALARM.get(alarm) or _unknown(alarm)


def message_name(name: str) -> str:
    """Return the name of a message that callers hear: ``first message``, ``first message, Welsh``."""
    message, _, tag = name.partition(".")
    told = MESSAGE.get(message) or _unknown(message)
    return f"{told}, {LANGUAGE.get(tag, tag)}" if tag else told


def language(tag: str) -> str:
    """Return the name of a language: ``Welsh`` for ``cy``; the tag itself if it has none here."""
    return LANGUAGE.get(tag, tag)


_AT_PHONE = "officer:"
"""What the name of an officer who pressed keys has before it in the audit log."""


def actor_name(actor: str) -> str:
    """Return who did something, from an audit entry: an account, an officer at their phone, or a user of the system."""
    if actor.startswith(_AT_PHONE):
        return actor.removeprefix(_AT_PHONE) or "the officer"
    user = actor.removeprefix("os:")
    return actor if user == actor else f"{user}, at the command line"


def detail_name(name: str) -> str:
    """Return the words for the name of a fact in an audit entry's details."""
    return DETAIL.get(name) or _unknown(name)


def known_code(text: str) -> str:
    """Return the words for a text that is a code with an underscore, in any table; any other text as it is.

    For facts of audit entries, of which only the text is known; names of accounts and files stay as they are.
    """
    return _CODES.get(text, text)


def capital(text: str) -> str:
    """Return a text with its first letter as a capital; the other letters stay."""
    return text[:1].upper() + text[1:]


def listed(texts: Iterable[str]) -> str:
    """Return texts as a list in a sentence: ``a, b and c``; empty if there is none."""
    *first, last = [*texts] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _reason(code: str) -> str:
    known = REASON.get(code)
    if known is not None:
        return known
    if status := _BY_STATUS.fullmatch(code):
        return f"refused by the telephone system (SIP {status[1]})"
    kind, colon, name = code.partition(":")
    if colon and kind in REASON:  # payment_app:NAME
        return f"{REASON[kind]} {name}"
    return _unknown(code)


def _unknown(code: str) -> str:
    return code.replace("_", " ")
