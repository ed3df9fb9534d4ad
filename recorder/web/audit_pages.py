"""The page of the audit log for the DPO: newest entries, searches, and the last verification."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from recorder.audit.anchoring import NODE_CHARACTERS
from recorder.audit.copies import SiteLog
from recorder.audit.details import details_in_words
from recorder.audit.reading import AuditQuery, entries_found, entry_to_json, last_verified
from recorder.permissions import Act
from recorder.web.auth import ConsoleCaller
from recorder.web.filters import Form, read_form
from recorder.web.forms import shown_again
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from storage.anchors import Anchor, Anchors
from storage.audit import AuditLog
from storage.audit_copies import Place
from storage.errors import AuditUnavailableError, DatabaseError

router = APIRouter(include_in_schema=False)

PAGE_SIZE = 50
LOOKED_AT = 200_000
"""Entries that one page reads at most, which takes some seconds."""
_FILTERS = ("act", "actor", "subject")
_FIELDS = (*_FILTERS, "from_date", "to_date", "texts", "before", "node")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Entries of a page.

    Attributes:
        entries: The entries, with ``free_text`` if it was asked for; ``shown`` has their details in words.
        older: What the next older page begins before: a number, or a place among the logs of all machines; None if
            there is none.
        is_of_all: Whether the entries are of the logs of all machines.
        is_cut_short: Whether not all entries were read.
        problem: Why the rest cannot be read; empty if it can.
    """

    entries: list[dict[str, Any]]
    older: int | str | None
    is_of_all: bool = False
    is_cut_short: bool = False
    problem: str = ""


def _typed(  # noqa: PLR0917 - FastAPI passes them by name
    act: Text = "",
    actor: Text = "",
    subject: Text = "",
    from_date: Text = "",
    to_date: Text = "",
    texts: Text = "",
    before: Text = "",
    node: Text = "",
) -> dict[str, str]:
    fields = {"act": act, "actor": actor, "subject": subject, "from_date": from_date, "to_date": to_date}
    fields["node"] = node
    return {name: value.strip()[:100] for name, value in {**fields, "texts": texts, "before": before}.items()}


def _asked(request: Request) -> dict[str, str]:
    return {name: request.query_params.get(name, "").strip()[:100] for name in _FIELDS}


@router.get("/audit")
def entries(console: Console, caller: PageReader, sent: Annotated[dict[str, str], Depends(_asked)]) -> HTMLResponse:
    """Show the entries that the address asks for, or the newest."""
    return _page(console, caller, sent)


@router.post("/audit")
def search(console: Console, caller: PageChanger, sent: Annotated[dict[str, str], Depends(_typed)]) -> HTMLResponse:
    """Show the entries that match, at a site whose addresses have no search (``search_by_post``)."""
    return _page(console, caller, sent)


def _page(console: ConsoleParts, caller: ConsoleCaller, sent: Mapping[str, str]) -> HTMLResponse:
    console.audit_service.authorise(caller.actor, Act.VIEW_AUDIT)
    form = read_form(sent, console.deps.timezone)
    log = console.deps.repos.audit
    found = None if form.errors else _found(console, caller, log, form, sent)
    zone = ZoneInfo(console.deps.timezone)
    for entry in [] if found is None else found.entries:
        entry["shown"] = details_in_words(entry["details"], zone)
    return console.renderer.page(
        "audit.html",
        caller,
        status=422 if form.errors else 200,
        form=shown_again(sent, form.errors),
        typed=sent,
        has_nodes=console.deps.site_log is not None,
        by_post=console.deps.search_by_post,
        found=found,
        looked_at=LOOKED_AT,
        verified=last_verified(console.deps.hold_repositories.state),
        anchors=_anchors(console),
    )


def _found(console: ConsoleParts, caller: ConsoleCaller, log: AuditLog, form: Form, sent: Mapping[str, str]) -> _Found:
    """Return the matching entries, after logging the query."""
    filters = {name: sent[name] or None for name in _FILTERS}
    site_log = console.deps.site_log
    node = (sent["node"] or None) if site_log is not None else None
    query = AuditQuery(**filters, start=form.search.started_from, end=form.search.started_to, node=node)
    with_texts = sent["texts"] == "yes"
    details = query.describe(with_texts=with_texts)
    console.audit_service.note(Act.VIEW_AUDIT, caller.actor.actor, "", details, text=query.typed or None)
    if site_log is None:
        return _found_here(log, query, sent["before"], with_texts=with_texts)
    try:
        return _found_at_all(site_log, query, sent["before"], with_texts=with_texts)
    except DatabaseError as error:
        here = _found_here(log, query, sent["before"], with_texts=with_texts)
        return replace(here, problem=f"{error}. Only entries of this machine are shown")


def _found_at_all(site_log: SiteLog, query: AuditQuery, before: str, *, with_texts: bool) -> _Found:
    """Return a page of the entries of all machines."""
    listed: list[dict[str, Any]] = []
    place = None
    try:
        for one in itertools.islice(site_log.find(query, after=_place(before), at_once=PAGE_SIZE), PAGE_SIZE):
            listed.append(site_log.as_json(one, with_text=with_texts))
            place = one.place
    except AuditUnavailableError as error:
        return _Found(entries=listed, older=None, is_of_all=True, problem=str(error))
    is_full = place is not None and len(listed) == PAGE_SIZE
    older = f"{place.at_us}/{place.number}/{place.node}" if place is not None and is_full else None
    return _Found(entries=listed, older=older, is_of_all=True)


def _place(text: str) -> Place | None:
    """Return the place that a page before ended at, or None: it is none."""
    at_us, _, rest = text.partition("/")
    number, _, node = rest.partition("/")
    is_place = all(one.isascii() and one.isdigit() for one in (at_us, number)) and node
    return Place(int(at_us), node, int(number)) if is_place else None


def _found_here(log: AuditLog, query: AuditQuery, sent_before: str, *, with_texts: bool) -> _Found:
    """Return a page of the entries of this machine."""
    before = int(sent_before) if sent_before.isascii() and sent_before.isdigit() else None
    listed: list[dict[str, Any]] = []
    try:
        found = itertools.islice(entries_found(log, query, before=before, look_at=LOOKED_AT), PAGE_SIZE)
        listed.extend(entry_to_json(entry, log, with_text=with_texts) for entry in found)
        head = log.head()
    except AuditUnavailableError as error:
        return _Found(entries=listed, older=None, problem=str(error))
    newest_number = head.number or 0 if head else 0
    start = min(before - 1 if before else newest_number, newest_number)
    if len(listed) == PAGE_SIZE:
        return _Found(entries=listed, older=listed[-1]["n"])
    is_cut_short = start > LOOKED_AT
    return _Found(entries=listed, older=start - LOOKED_AT + 1 if is_cut_short else None, is_cut_short=is_cut_short)


def _anchors(console: ConsoleParts) -> list[Anchor]:
    try:
        node = console.deps.eraser.vault.node.fingerprint[:NODE_CHARACTERS]
        newest_of = Anchors(console.deps.repos.index.database, node).newest()
    except DatabaseError:
        return []
    return sorted(newest_of.values(), key=lambda anchor: anchor.target)
