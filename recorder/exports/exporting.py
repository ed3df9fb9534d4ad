"""Makes copies from checked orders: audio, cover sheet, list of hashes.

The audit log has an entry for each copy before its first byte. All output is streamed; the caller decides where it
goes.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from recorder.common.problems import ProblemError
from recorder.exports.copy_orders import CaseFile, CopyOrder, CopyRepositories, Ordered
from recorder.exports.cover_sheet import CoverSheet, Sheeted, TranscriptFile
from recorder.exports.left_out import left_out
from recorder.exports.pdf import PdfPrinter
from recorder.permissions import Act, Person
from recorder.rules import wording
from recorder.rules.spans import in_seconds
from recorder.rules.transcripts import Transcript
from storage.copy_list import CopyMade, new_copy_id
from storage.encoding import SUFFIXES
from storage.export import Progress, Seal
from storage.package import Member
from storage.rows import time_to_json

BEGUN, DONE, BROKEN = str(Act.EXPORT), f"{Act.EXPORT}.done", f"{Act.EXPORT}.broken_off"
"""Acts of the audit log: before the first byte, after the last byte, and when a copy was not completed."""


class Copying:
    """Makes the copies of one order.

    Args:
        repos: What copies are made from.
        person: Who makes the copies.
        order: The order.
        ordered: Results of `recorder.exports.copy_orders.check_order`, one for each recording.
        progress: Called with the seconds of audio done and in all.
    """

    def __init__(
        self, repos: CopyRepositories, person: Person, order: CopyOrder, ordered: Sequence[Ordered],
        *, progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self._repos = repos
        self._person = person
        self._order = order
        self._ordered = ordered
        self._progress = progress
        self._total_s = sum(one.copy.duration_s for one in ordered)
        self._done_s = 0.0
        self._made_at = repos.now()
        self.made: list[Sheeted] = []
        """Completed copies, in order."""
        self.written: list[TranscriptFile] = []
        """Transcripts that went with them."""

    def file_name(self, number: int) -> str:
        """Return the file name of a copy (number from 0); neutral in an encrypted package, whose names can be read."""
        suffix = SUFFIXES[self._order.form]
        if self._order.passphrase is not None:
            return f"recording-{number + 1:03d}.{suffix}"
        return f"{self._ordered[number].row.id}.{suffix}"

    def sound(self, number: int, name: str) -> Iterator[bytes]:
        """Yield the bytes of a copy; the audit log and the list of copies have it before its first byte.

        Raises:
            ProblemError: 503, the audit log cannot be written.
            StorageError: The recording cannot be read, or the list cannot be written.
        """
        one, seal = self._ordered[number], Seal()
        made = CopyMade(
            id=new_copy_id(), recording=one.row.id, made_by=self._person.actor, made_at=self._repos.now(),
            format=str(self._order.form), start_s=one.copy.span_s[0], end_s=one.copy.span_s[1],
            redactions=len(self._order.redactions),
        )  # fmt: skip
        part = {} if one.heard is None else {"part": [[*span] for span in in_seconds(one.heard)]}
        why = {"request": one.request, "category": str(one.grant.wish.category), "reference": one.grant.wish.reference}
        details = {**self._details(made, name), **why, **part}
        self._note(BEGUN, made, details, text=self._words(one.grant.wish.reason))
        try:
            self._repos.copies.begin(made)
            yield from seal.over(one.copy.chunks(self._progressed))
        except BaseException:
            with contextlib.suppress(ProblemError):
                self._note(BROKEN, made, {"copy": made.id, "bytes": seal.bytes})
            raise
        self._note(DONE, made, {"copy": made.id, "bytes": seal.bytes, "sha256": seal.sha256})
        self._repos.copies.finish(made.id, seal.sha256)
        self._done_s += one.copy.duration_s
        self.made.append(self._sheeted(one, name, seal))

    def package(self) -> Iterator[Member]:
        """Yield the files of a package: the copies, their cover sheet, and a list of hashes.

        Raises:
            ExportError: The cover sheet cannot be made as PDF; raised before any copy where possible.
        """
        with PdfPrinter() as printer:
            for number, one in enumerate(self._ordered):
                name = self.file_name(number)
                yield Member(name=name, chunks=self.sound(number, name), most_bytes=one.copy.most_bytes)
                if one.transcript is not None:
                    yield self._transcript(number, one.transcript)
            html = self._sheet().html()
            sums = {one.file: one.sha256 for one in self.made} | {one.file: one.sha256 for one in self.written}
            for name, content in (
                ("cover-sheet.html", html.encode()),
                ("cover-sheet.pdf", printer.print(html)),
                ("manifest.json", json.dumps(self._manifest(), indent=2, ensure_ascii=False).encode()),
            ):
                yield _member(name, content, sums)
            listed = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
            yield _member("SHA256SUMS", listed.encode(), sums)

    def _transcript(self, number: int, transcript: Transcript) -> Member:
        name, content = f"transcript-{number + 1:03d}.{transcript.form}", transcript.written().encode()
        sums: dict[str, str] = {}
        member = _member(name, content, sums)
        self.written.append(TranscriptFile(file=name, bytes=len(content), sha256=sums[name]))
        return member

    def _progressed(self, done_s: float, _: float) -> None:
        if self._progress is not None:
            self._progress(self._done_s + done_s, self._total_s)

    def _note(self, act: str, made: CopyMade, details: dict[str, Any], *, text: str = "") -> None:
        self._repos.audit_service.note(act, self._person.actor, made.recording, details, text=text)

    def _details(self, made: CopyMade, name: str) -> dict[str, Any]:
        return {
            "copy": made.id,
            "at": time_to_json(made.made_at),
            "format": made.format,
            "file": self._order.destination or name,
            "start_s": made.start_s,
            "end_s": made.end_s,
            "redactions": [
                {"start_s": one.start_s, "end_s": one.end_s, "channels": str(one.channels)}
                for one in self._order.redactions
            ],
            "ground": None if self._order.ground is None else str(self._order.ground),
            "sealed": self._order.passphrase is not None,
            "case": self._order.case or None,
        }

    def _words(self, granted_for: str) -> str:
        """Return the free text of an order and the reason of its grant, which may expire.

        The entry is read on its own: whoever reads it need not look for the request, which is deleted earlier.
        """
        silenced = sorted({one.reason for one in self._order.redactions})
        asked = f"; asked for by {self._order.requester}" if self._order.requester else ""
        granted = "" if granted_for == self._order.reason else f"; access granted for: {granted_for}"
        return self._order.reason + asked + "".join(f"; silenced: {why}" for why in silenced) + granted

    def _sheeted(self, one: Ordered, name: str, seal: Seal) -> Sheeted:
        return Sheeted(
            row=one.row, file=name, form=self._order.form, span_s=one.copy.span_s, is_whole=one.is_whole,
            left_out=left_out(one.row.segments, self._order.redactions, one.copy.span_s), bytes=seal.bytes,
            sha256=seal.sha256,
        )  # fmt: skip

    def _sheet(self) -> CoverSheet:
        ground = self._order.ground
        return CoverSheet(
            site=self._repos.site, timezone=self._repos.timezone, requester=self._order.requester,
            ground="Not stated" if ground is None else wording.title(ground), reason=self._order.reason,
            made_by=self._person.display_name, made_at=self._made_at, recordings=self.made, transcripts=self.written,
            case=self._case.id if self._case else "", identity=self._case.identity if self._case else "",
        )  # fmt: skip

    @property
    def _case(self) -> CaseFile | None:
        return self._ordered[0].case

    def _manifest(self) -> dict[str, Any]:
        return {
            "site": self._repos.site,
            "made_at": time_to_json(self._made_at),
            "made_by": self._person.display_name,
            "asked_for_by": self._order.requester,
            "ground": None if self._order.ground is None else str(self._order.ground),
            "reason": self._order.reason,
            "case": self._case.id if self._case else None,
            "transcripts": [{"file": one.file, "bytes": one.bytes, "sha256": one.sha256} for one in self.written],
            "recordings": [
                {
                    "id": one.row.id,
                    "file": one.file,
                    "format": str(one.form),
                    "bytes": one.bytes,
                    "sha256": one.sha256,
                    "started_at": time_to_json(one.row.started_at),
                    "call_s": one.row.duration_s,
                    "start_s": one.span_s[0],
                    "end_s": one.span_s[1],
                    "left_out": [{"start_s": x.start_s, "end_s": x.end_s, "why": x.why} for x in one.left_out],
                }
                for one in self.made
            ],
        }


def _member(name: str, content: bytes, sums: dict[str, str]) -> Member:
    """Return a small file of a package, and add its hash to ``sums``."""
    seal = Seal()
    chunks = list(seal.over(iter([content])))
    sums[name] = seal.sha256
    return Member(name=name, chunks=iter(chunks), most_bytes=len(content))
