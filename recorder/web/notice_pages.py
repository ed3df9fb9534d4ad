"""Pages of the messages that callers hear: read and played by everybody, brought into force by who may change them."""

import io
import threading
from collections.abc import Mapping
from datetime import datetime, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import soundfile
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from audio.sound_check import as_heard
from audio.types import TICKS_PER_S
from recorder.audit.audit_service import incomplete
from recorder.calls.notice_catalogue import NoticeVersion, moment_json
from recorder.calls.notices import NoticeError, NoticeStore
from recorder.common.problems import ProblemError
from recorder.permissions import Act
from recorder.web.auth import ConsoleCaller
from recorder.web.forms import EMPTY, FieldErrors, Sent, TypedForm, typed_day
from recorder.web.notice_view import ShownNotice, board_of, shown_notices
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.ranges import wanted_bytes

router = APIRouter(include_in_schema=False)
_MAKING = threading.Lock()
"""Held while a message is made into a WAV file, so that many requests at once make it once."""

DONE: Mapping[str, str] = {
    "used": "The message is in force. New calls hear it within seconds.",
    "waits": "The message comes into force on its date. The recorder changes over by itself.",
    "given_up": "The date is given up. What is in force stays so.",
}
"""What was done, by the code in an address after the act."""


@router.get("/notices")
def notices(console: Console, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show what callers hear: what is in force, what comes, and what was."""
    shown, problem = _shown(console, caller)
    return console.renderer.page(
        "notices.html", caller, board=board_of(shown), problem=problem, done=DONE.get(done, ""), has_any=bool(shown)
    )


@router.get("/notices/{message}/{version}")
def notice(console: Console, caller: PageReader, message: str, version: int) -> HTMLResponse:
    """Show one version of a message, with its words, and when it was in force."""
    return console.renderer.page("notice.html", caller, shown=_one(console, caller, message, version))


@router.get("/notices/{message}/{version}/audio")
def audio(request: Request, console: Console, _caller: PageReader, message: str, version: int) -> Response:
    """Return a version as callers hear it: A-law at 8 kHz, decoded to WAV."""
    store, found = console.deps.notices, _version(console, message, version)
    try:
        state = store.path_of(found).stat()
        with _MAKING:
            content = _wav(store, found, (state.st_size, state.st_mtime_ns))
    except (NoticeError, OSError) as error:
        raise ProblemError(409, "The sound file is missing or was altered. Ask ICT to look at the recorder.") from error
    headers = {"Accept-Ranges": "bytes"}
    part = wanted_bytes(request.headers.get("range"), len(content))
    if part is None:
        return Response(content, media_type="audio/wav", headers=headers)
    first, end = part
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(content)}"
    return Response(content[first:end], 206, media_type="audio/wav", headers=headers)


@lru_cache(maxsize=4)
def _wav(store: NoticeStore, version: NoticeVersion, _state: tuple[int, int]) -> bytes:
    """Return a version as a WAV file, made once: a player asks for many parts, and each would take a second to make.

    Args:
        store: The messages.
        version: The version.
        _state: Size and time of its file.

    Raises:
        NoticeError: The file is missing, altered or unreadable.
    """
    file = io.BytesIO()
    soundfile.write(file, as_heard(store.message(version).prompt), TICKS_PER_S, subtype="PCM_16", format="WAV")
    return file.getvalue()


@router.get("/notices/{message}/{version}/use")
def use_form(console: Console, caller: PageReader, message: str, version: int) -> HTMLResponse:
    """Ask from when, and for which service, a version is to be in force."""
    console.audit_service.authorise(caller.actor, Act.SET_NOTICE, message)
    return _use_page(console, caller, message, version, EMPTY)


@router.post("/notices/{message}/{version}/use")
def use(console: Console, caller: PageChanger, message: str, version: int, sent: Sent) -> Response:
    """Bring a version into force."""
    service, when = sent.value("service"), sent.value("when")
    person = console.audit_service.require(caller.actor, Act.SET_NOTICE, message)
    found = _version(console, message, version)
    try:
        starts_at = _start(console, sent, service, when)
        console.deps.notices.usable(message, version, service=service)
        details = _details(found, service, console.deps.notices.start_of(starts_at))
        console.audit_service.note(Act.SET_NOTICE.value, person.name, message, details)
        console.deps.notices.use(message, version, service=service, starts_at=starts_at, by=person.name)
    except NoticeError as error:
        problem = incomplete(f"{error}.", "on" if when == "later" else "when")
        return _use_page(console, caller, message, version, sent.refused(problem), status=422)
    except ProblemError as error:
        if error.status != 422:
            raise
        return _use_page(console, caller, message, version, sent.refused(error), status=422)
    return RedirectResponse(f"/notices?done={'used' if starts_at is None else 'waits'}", 303)


@router.post("/notices/{message}/{version}/withdraw")
def withdraw(console: Console, caller: PageChanger, message: str, version: int, service: Text = "") -> Response:
    """Give up the date that a version waits for."""
    person = console.audit_service.require(caller.actor, Act.SET_NOTICE, message)
    found = _version(console, message, version)
    try:
        console.deps.notices.usable(message, version, service=service, is_waiting=True)
        details = {**_details(found, service, None), "is_given_up": True}
        console.audit_service.note(Act.SET_NOTICE.value, person.name, message, details)
        console.deps.notices.withdraw(message, version, service=service)
    except NoticeError as error:
        raise ProblemError(409, "This version does not wait for a date any more.") from error
    return RedirectResponse("/notices?done=given_up", 303)


def _use_page(
    console: ConsoleParts, caller: ConsoleCaller, message: str, version: int, form: TypedForm, *, status: int = 200
) -> HTMLResponse:
    shown = _one(console, caller, message, version)[0]
    services = console.deps.services
    return console.renderer.page("notice_use.html", caller, shown=shown, form=form, services=services, status=status)


def _start(console: ConsoleParts, sent: TypedForm, service: str, when: str) -> datetime | None:
    """Return from when a version is to be in force, None for at once; ProblemError at the fields that are wrong."""
    errors, day = FieldErrors(), None
    if service and service not in console.deps.services:
        errors["service"] = "Select a service of this recorder."
    if when not in ("now", "later"):
        errors["when"] = "Select when callers hear this version."
    if when == "later":
        with errors.of("on"):
            day = typed_day(sent, "on")
        if day is None and "on" not in errors:
            errors["on"] = "Enter the day from which callers hear this version."
    errors.check()
    return None if day is None else datetime.combine(day, time(), ZoneInfo(console.deps.timezone))


def _details(version: NoticeVersion, service: str, starts_at: datetime | None) -> dict[str, Any]:
    return {
        "version": version.version, "sha256": version.sha256, "language": version.language, "service": service,
        "starts_at": None if starts_at is None else moment_json(starts_at),
    }  # fmt: skip


def _shown(console: ConsoleParts, caller: ConsoleCaller) -> tuple[list[ShownNotice], str]:
    """Return all versions, and why it is not known what the daemon plays; that is asked for who sees the system."""
    played, problem = None, ""
    if caller.person is not None and console.renderer.can(caller.person, Act.SEE_SYSTEM):
        # This page must work while the audit log cannot be written, to repair it.
        console.audit_service.note_late(Act.SEE_SYSTEM, caller.actor.actor, "", {"page": "notices"})
        try:
            health = console.live.health()
            played = {(one["name"], one["version"]) for one in health["notices"]} if "notices" in health else None
        except ProblemError as error:
            problem = error.detail
    store = console.deps.notices
    try:
        versions, periods = store.versions(), store.periods(console.deps.now())
    except NoticeError as error:
        raise ProblemError(503, f"{error}.") from error
    texts = {(one.name, one.version): store.text_of(one) for one in versions}
    return shown_notices(versions, periods, texts, played), problem


def _one(console: ConsoleParts, caller: ConsoleCaller, message: str, version: int) -> list[ShownNotice]:
    """Return one version with each of its periods."""
    _version(console, message, version)
    shown, _ = _shown(console, caller)
    return [one for one in shown if (one.version.name, one.version.version) == (message, version)]


def _version(console: ConsoleParts, message: str, version: int) -> NoticeVersion:
    try:
        return console.deps.notices.version(message, version)
    except NoticeError as error:
        raise ProblemError(404, "There is no such version of a message.") from error
