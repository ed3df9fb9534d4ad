"""Reads the audit logs of all machines of a site from their copies in the database, newest entry first.

Entries of this home that are not copied yet are read from its log. Free texts are in the home of their log only.
"""

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from recorder.audit.anchoring import NODE_CHARACTERS
from recorder.audit.reading import AuditQuery, entry_to_json
from recorder.config.settings import Config
from storage.audit import AuditLog
from storage.audit_copies import AuditCopies, CopiedEntry, CopyFilter, Place, place_of
from storage.audit_entry import AuditEntry
from storage.audit_reading import newest_first
from storage.errors import AuditUnavailableError
from storage.keys import NodeKeys

_AT_ONCE = 200
ELSEWHERE = "kept at {node}"
"""Instead of a free text that is in another home."""


def log_name(config: Config, node: NodeKeys) -> str:
    """Return the name of a home's audit log among those of a site: the node's, or a part of its fingerprint."""
    return config.node.name or node.fingerprint[:NODE_CHARACTERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEntry:
    """An entry of one of several logs.

    Attributes:
        node: Name of the log.
        place: Its place among all entries.
        entry: The entry.
    """

    node: str
    place: Place
    entry: AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLog:
    """The audit logs of a site.

    Attributes:
        log: The log of this home.
        name: Its name.
        copies: The copies of all logs.
    """

    log: AuditLog
    name: str
    copies: AuditCopies

    def find(self, query: AuditQuery, *, after: Place | None = None, at_once: int = _AT_ONCE) -> Iterator[NodeEntry]:
        """Yield matching entries of all logs, newest first.

        Args:
            query: The search.
            after: Only entries behind this place.
            at_once: How many copies are read at once.

        Raises:
            DatabaseError: The copies cannot be read.
            AuditUnavailableError: The log of this home cannot be read, or a copy was changed; entries yielded before
                are valid.
        """
        newest = self.copies.newest(self.name)
        copied = 0 if newest is None else newest[0]
        waiting = (one for one in self._waiting(query, copied) if after is None or one.place < after)
        yield from heapq.merge(waiting, self._copied(query, copied, after, at_once), key=_place, reverse=True)

    def _waiting(self, query: AuditQuery, copied: int) -> Iterator[NodeEntry]:
        """Yield matching entries of this home's log that are not copied yet."""
        if query.node not in (None, self.name):
            return
        for entry in itertools.takewhile(lambda one: one.number > copied, newest_first(self.log.path)):
            if query.fits(entry):
                yield NodeEntry(node=self.name, place=place_of(self.name, entry), entry=entry)

    def _copied(self, query: AuditQuery, copied: int, after: Place | None, at_once: int) -> Iterator[NodeEntry]:
        wanted = CopyFilter(
            node=query.node, act=query.act, actor=query.actor, subject=query.subject, start=query.start, end=query.end
        )
        while True:
            found = self.copies.find(wanted, after=after, most=at_once)
            for row in found:
                if row.node != self.name or row.number <= copied:  # others were copied after `newest` was asked
                    yield NodeEntry(node=row.node, place=row.place, entry=_entry(row))
            if len(found) < at_once:
                return
            after = found[-1].place

    def as_json(self, one: NodeEntry, *, with_text: bool) -> dict[str, Any]:
        """Return an entry as in its file, with ``node``; ``free_text`` is the text, where this home has it.

        Raises:
            AuditUnavailableError: The texts cannot be read.
        """
        if one.node == self.name or not with_text:
            return {"node": one.node, **entry_to_json(one.entry, self.log, with_text=with_text)}
        said = None if one.entry.text_commitment is None else ELSEWHERE.format(node=one.node)
        return {"node": one.node, **one.entry.to_json(), "free_text": said}


def _place(one: NodeEntry) -> Place:
    return one.place


def _entry(row: CopiedEntry) -> AuditEntry:
    try:
        return row.entry()
    except ValueError as error:
        raise AuditUnavailableError(f"the copy of entry {row.number} of {row.node} cannot be read: {error}") from error
