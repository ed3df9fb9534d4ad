"""The history of one recording from the audit log, as far as a person may know it. Pure.

People who read the audit log may know all of it. People who decide on requests see who asked, got a grant, listened and
copied. Everybody else sees their own acts, and the decisions on their own requests. Free texts are shown only on the
page of the audit log.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Any

from recorder.permissions import Act, Person, Refusal
from recorder.rules import times, wording
from recorder.rules.authorisation import may
from recorder.rules.requesting import Category
from storage.audit_entry import AuditEntry
from storage.encoding import CopyFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One line of a history: an act, or several equal ones in a row.

    Attributes:
        at: When, as in the log.
        times: How often in a row.
    """

    at: str
    actor: str
    what: str
    times: int = 1


_HEARING = ("request.", f"{Act.PLAY}", f"{Act.EXPORT}")
"""Acts of everybody that people who decide on requests see."""
_UNSEEN = frozenset({f"{Act.PLAY}.opened", f"{Act.EXPORT}.done"})
"""Acts that add nothing to the entry before."""


def history_of(person: Person, entries: Iterable[AuditEntry], own_requests: Collection[str] = ()) -> list[HistoryLine]:
    """Return what a person may know of the history, newest first; equal acts in a row are one line.

    Args:
        person: Who looks.
        entries: On one recording and on requests for it, in any order.
        own_requests: This person's requests.
    """
    lines: list[HistoryLine] = []
    for entry in sorted(entries, key=lambda one: one.number, reverse=True):
        if entry.act in _UNSEEN or not _is_known(person, entry, own_requests):
            continue
        line = HistoryLine(at=entry.at, actor=entry.actor, what=words_of(entry))
        if lines and (lines[-1].actor, lines[-1].what) == (line.actor, line.what):
            lines[-1] = replace(lines[-1], times=lines[-1].times + 1)
        else:
            lines.append(line)
    return lines


def words_of(entry: AuditEntry) -> str:
    """Return an entry's act in words, without its free text."""
    say = _WORDS.get(entry.act)
    if say is not None:
        return say(entry.details)
    return wording.capital(wording.audit_event(entry.act))


def _is_known(person: Person, entry: AuditEntry, own_requests: Collection[str]) -> bool:
    if _can(person, Act.VIEW_AUDIT) or entry.actor == person.name or entry.subject in own_requests:
        return True
    return _can(person, Act.DECIDE) and entry.act.startswith(_HEARING)


def _can(person: Person, act: Act) -> bool:
    return not isinstance(may(person, act), Refusal)


Details = Mapping[str, Any]


def _asked(details: Details) -> str:
    what = "to listen and take copies" if details.get("leave") == "listen_and_export" else "to listen"
    return f"Asked {what}: {_said(Category, details.get('category'))}"


def _granted(details: Details) -> str:
    whole = ", for the whole call" if details.get("whole_call") else ""
    return f"Granted the request of {details.get('account', '')}{whole}"


def _played(details: Details) -> str:
    if details.get("order"):
        return "Listened to a part that is to be erased"
    if details.get("break_glass"):
        return "Listened without approval (break-glass)"
    if details.get("preview"):
        return f"Listened to a copy before it was made{_spans_silenced(details)}"
    return "Listened to their part, with permission" if details.get("part") else "Listened, with permission"


def _served(details: Details) -> str:
    spans = details.get("spans")
    if not isinstance(spans, list) or not spans:
        return "Was sent no audio"
    return "Was sent the audio from " + ", ".join(
        f"{_position(span.get('from_s'))} to {_position(span.get('to_s'))}" for span in spans if isinstance(span, dict)
    )


def _copied(details: Details) -> str:
    part = ", their part" if details.get("part") else ""
    return f"Took a copy as {_said(CopyFormat, details.get('format'))}{part}{_spans_silenced(details)}"


def _spans_silenced(details: Details) -> str:
    silenced = details.get("redactions")
    count = len(silenced) if isinstance(silenced, list) else 0
    return f", {count} {'part' if count == 1 else 'parts'} silenced" if count else ""


def _refused(details: Details) -> str:
    return f"Was refused: {_said(Act, details.get('act'))}"


_WORDS: Mapping[str, Callable[[Details], str]] = MappingProxyType(
    {
        "request.ask": _asked,
        "request.granted": _granted,
        "request.declined": lambda details: f"Declined the request of {details.get('account', '')}",
        "request.withdrawn": lambda _: "Withdrew the request",
        "recording.view": lambda _: "Looked at its details",
        "recording.play": _played,
        "recording.play.served": _served,
        "recording.export": _copied,
        "recording.export.broken_off": lambda _: "The copy broke off",
        "access.refused": _refused,
        "call.pause": lambda _: "Paused the recording",
        "call.resume": lambda _: "Resumed the recording",
        "call.opt_out": lambda _: "Ended the recording: the caller opted out",
    }
)


def _said(enumeration: type[Enum], code: object) -> str:
    return wording.words_for(enumeration, str(code)) if code else "not stated"


def _position(seconds: object) -> str:
    return times.position(seconds, exact=True) if isinstance(seconds, int | float) else "?"
