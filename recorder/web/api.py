"""HTTP interface of the console for recordings, under /api/."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from recorder.common.problem_answers import MEDIA_TYPE
from recorder.exports.copy_orders import CopyOrder
from recorder.exports.left_out import Ground
from recorder.permissions import MAX_REASON_CHARACTERS
from recorder.retention.erasure_repositories import order_to_json
from recorder.web.auth import ConsoleCaller
from recorder.web.parts import ApiChanger, ApiReader, Console, ConsoleParts
from recorder.web.streams import download
from storage.copy_list import copy_to_json
from storage.encoding import CopyFormat
from storage.erasures import is_open
from storage.types import Channels, Outcome, RecordingRow, Redaction, Search

MAX_LIMIT = 1000
MAX_OFFSET = 50_000

RecordingPath = Annotated[str, Path(description="YYYYMMDDTHHMMSSZ-<extension>-<6 hex>", max_length=100)]


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    title: str
    status: int
    detail: str


class SilentSpan(BaseModel):
    """A span to silence in a copy."""

    model_config = ConfigDict(extra="forbid")
    start_s: float
    end_s: float
    channels: Channels = Channels.BOTH
    reason: str = Field(max_length=MAX_REASON_CHARACTERS, description="Why; stated on the cover sheet")


class ExportOrder(BaseModel):
    """An order for a copy."""

    model_config = ConfigDict(extra="forbid")
    format: CopyFormat = Field(description="g711 holds the exact bytes; the others are decoded")
    reason: str = Field(max_length=MAX_REASON_CHARACTERS)
    start_s: float = Field(default=0.0, description="Start, seconds of the call")
    end_s: float | None = Field(default=None, description="End, seconds of the call; by default the end of the call")
    redactions: list[SilentSpan] = Field(default=[], max_length=1000)
    requester: str = Field(default="", max_length=MAX_REASON_CHARACTERS, description="Who asked")
    ground: Ground | None = None
    package: bool = Field(default=False, description="A ZIP archive with a cover sheet and hashes")
    passphrase: str | None = Field(default=None, max_length=1000, description="Seals the archive (AES-256)")

    def order(self) -> CopyOrder:
        """Return the order for the export service."""
        return CopyOrder(
            form=self.format,
            reason=self.reason,
            span_s=None if self.start_s == 0 and self.end_s is None else (self.start_s, self.end_s),
            redactions=tuple(Redaction(**one.model_dump()) for one in self.redactions),
            requester=self.requester,
            ground=self.ground,
            passphrase=self.passphrase if self.package else None,
        )


class Recordings(BaseModel):
    """One page of a search, newest first."""

    total: int = Field(description="How many calls match, up to 1000")
    is_more: bool = Field(description="More calls than total match")
    recordings_found: int = Field(description="Of how many of these calls something was recorded, up to 1000")
    has_more_recordings: bool = Field(description="There are more than recordings_found")
    recordings: list[dict[str, Any]]


class SearchQuery(BaseModel):
    """Filters of a search that may be in a URL; without a filter everything matches."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)
    started_from: AwareDatetime | None = Field(default=None, alias="from", description="ISO 8601, with its zone")
    started_to: AwareDatetime | None = Field(default=None, alias="to", description="Not included")
    operator: str | None = Field(default=None, max_length=100, description="People may give a part of the name")
    extension: str | None = Field(default=None, max_length=40)
    outcome: Outcome | None = None
    service: str | None = Field(default=None, max_length=100)
    team: str | None = Field(default=None, max_length=100, description="Of the call, or of an officer of it, then")
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)
    offset: int = Field(default=0, ge=0, le=MAX_OFFSET, description="To go further back, give an earlier `to`")

    def search(self) -> Search:
        """Return the search for the index."""
        return Search(
            started_from=self.started_from.astimezone(UTC) if self.started_from else None,
            started_to=self.started_to.astimezone(UTC) if self.started_to else None,
            operator=self.operator,
            extension=self.extension,
            outcome=self.outcome,
            service=self.service,
            team=self.team,
            limit=self.limit,
            offset=self.offset,
        )


class SearchOrder(SearchQuery):
    """All filters of a search; numbers must not be in URLs, which proxies and histories store."""

    number: str | None = Field(
        default=None, max_length=100, description="The caller's or the called number; people may give its last digits"
    )

    def search(self) -> Search:
        """Return the search for the index."""
        return replace(super().search(), number=self.number)


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "content": {MEDIA_TYPE: {}}} for status in (401, 403, 404, 422, 429, 503, 504)
}
router = APIRouter(prefix="/api", responses=PROBLEMS)


@router.get("/recordings")
def recordings(console: Console, caller: ApiReader, query: Annotated[SearchQuery, Query()]) -> Recordings:
    """Find recordings; to search for a number, use `POST /api/recordings/search`."""
    return _found(console, caller, query)


@router.post("/recordings/search")
def search(console: Console, caller: ApiChanger, order: SearchOrder) -> Recordings:
    """Find recordings, also by number."""
    return _found(console, caller, order)


def _found(console: ConsoleParts, caller: ConsoleCaller, query: SearchQuery) -> Recordings:
    found = console.recording_service.search(caller.actor, query.search())
    return Recordings(
        total=found.total, is_more=found.is_more, recordings_found=found.recordings,
        has_more_recordings=found.has_more_recordings, recordings=_listed(console, found.rows),
    )  # fmt: skip


def _listed(console: ConsoleParts, rows: Iterable[RecordingRow]) -> list[dict[str, Any]]:
    locked = console.recording_service.locked()
    return [{**console.deps.row_json(row), "locked": row.id in locked} for row in rows]


@router.get("/recordings/{recording_id}")
def recording(console: Console, recording_id: RecordingPath, caller: ApiReader) -> dict[str, Any]:
    """One recording's details."""
    row = console.recording_service.view(caller.actor, recording_id)
    orders = console.recording_service.orders(row)
    erasures = [order_to_json(order) for order in orders]
    copies = [copy_to_json(copy) for copy in console.recording_service.copies(row)]
    return {
        **console.deps.row_json(row), "locked": any(map(is_open, orders)), "erasures": erasures, "copies": copies,
    }  # fmt: skip


@router.post("/recordings/{recording_id}/export", response_class=StreamingResponse)
def export(console: Console, recording_id: RecordingPath, caller: ApiChanger, order: ExportOrder) -> StreamingResponse:
    """Make a copy. Needs a signed-in person and a reason."""
    copy = console.recording_service.export(caller.actor, recording_id, order.order(), is_package=order.package)
    return download(copy, recording_id)
