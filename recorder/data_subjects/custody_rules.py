"""The chain of custody of a case, from the audit log: who had which recording, and when. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from recorder.audit.history import words_of
from recorder.permissions import Act
from recorder.rules.cases import Decision
from recorder.rules.wording import words_for
from storage.audit_entry import AuditEntry

READ = "case.custody_read"
"""Act of the audit log: somebody read a chain of custody."""
_CUSTODY = ("case.", "request.", "recording.", "hold.", "erasure.")
"""Acts that belong to the chain. Rights requests by other people are not shown to the people who work on a case."""
_GIVES_NOTHING = frozenset({READ, f"{Act.VIEW}", f"{Act.PLAY}.opened"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """One line of the chain: somebody had a file, handed it over, or decided on it.

    Attributes:
        number: Number of the entry in the audit log.
        hash: Hash of the entry, hex, by which it can be found in the log.
        at: Time of the entry, as the log has it.
        who: The account or component that did it.
        about: The case, recording or request concerned.
        what: What was done, in words.
        text: Free text; empty if there was none or it expired.
        sha256: SHA-256 of the file that was made, hex; empty if none was.
    """

    number: int
    hash: str
    at: str
    who: str
    about: str
    what: str
    text: str = ""
    sha256: str = ""


def chain_of(entries: Iterable[AuditEntry], text: Callable[[AuditEntry], str | None]) -> list[Hand]:
    """Return the lines of a chain of custody, oldest first.

    Args:
        entries: Audit entries about the case, its recordings and the access requests for them, in any order.
        text: Returns the free text of an entry, or None.
    """
    return [
        Hand(
            number=entry.number,
            hash=entry.hash,
            at=entry.at,
            who=entry.actor,
            about=entry.subject,
            what=_what(entry),
            text=text(entry) or "",
            sha256=str(entry.details.get("sha256") or "") if entry.act.startswith(f"{Act.EXPORT}.") else "",
        )
        for entry in sorted(entries, key=lambda one: one.number)
        if entry.act.startswith(_CUSTODY) and entry.act not in _GIVES_NOTHING
    ]


def _what(entry: AuditEntry) -> str:
    details = entry.details
    if entry.act == Act.EXPORT:
        facts = [
            "in a sealed package" if details.get("sealed") else "not sealed",
            f"ground: {words_for('Ground', str(details['ground']))}" if details.get("ground") else "",
            f"for {details['case']}" if details.get("case") else "",
            f"copy {details.get('copy')}",
        ]
        return ", ".join([words_of(entry), *filter(None, facts)])
    if entry.act == f"{Act.EXPORT}.done":
        return f"Copy {details.get('copy')} was complete, {details.get('bytes')} bytes"
    if entry.act == "case.matched":
        return f"{words_of(entry)}: {details.get('recording')}"
    if entry.act == "case.decided":
        return f"{words_of(entry)}: {words_for(Decision, str(details.get('decision')))}"
    return words_of(entry)
