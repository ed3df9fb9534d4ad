"""Reads a file of call records, of any size, into the calls that should have been recorded. Stores nothing."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from recorder.assurance.call_records import CallLeg, CallRecordsError
from recorder.assurance.expecting import Expected, Expecting, Policy
from recorder.assurance.formats import KAMAILIO, LAYOUTS, Layout, read_mapping
from recorder.assurance.local_times import LocalTimeError, Repeated, Times, zone_named
from recorder.assurance.reading import read_bypassed, read_legs
from recorder.config.call_record_options import FORMATS

_TOLD_EACH = 1000
Progress = Callable[[int, int], None]
"""Called with bytes read and bytes in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOrder:
    """A file to import.

    Attributes:
        path: The file; for Kamailio also the folder of its lists.
        layout: How it is laid out; None is Kamailio's list.
        pbx: Name of the system that wrote it.
        zone: Zone of its local times.
        repeated: What a time means that the end of summer time repeats; None refuses it.
    """

    path: Path
    layout: Layout | None
    pbx: str
    zone: ZoneInfo
    repeated: Repeated | None = None


def import_order(
    path: Path, form: str, *, pbx: str, time_zone: str, site_zone: ZoneInfo, repeated: Repeated | None = None
) -> ImportOrder:
    """Return what was asked for.

    Args:
        path: The file.
        form: One of `FORMATS`, or the path of a mapping, ``*.toml``.
        pbx: Name of the system that wrote the file; empty for that of the format.
        time_zone: Name of the zone; empty for that of the mapping, or of the site.
        site_zone: Zone of the site.
        repeated: What a repeated time means.

    Raises:
        CallRecordsError: There is no such format, or no such zone.
        OSError: The mapping cannot be read.
    """
    layout, name = None, form
    if form != KAMAILIO:
        layout = LAYOUTS.get(form)
        if layout is None and not form.endswith(".toml"):
            raise CallRecordsError(f"there is no format {form!r}; give {', '.join(FORMATS)}, or a mapping: *.toml")
        if layout is None:
            layout, name = _mapping(Path(form)), Path(form).stem
    try:
        wanted = time_zone or (layout.time_zone if layout is not None else None)
        zone = zone_named(wanted) if wanted else site_zone
    except LocalTimeError as error:
        raise CallRecordsError(str(error)) from error
    return ImportOrder(path=path, layout=layout, pbx=pbx or name, zone=zone, repeated=repeated)


def read_calls(
    order: ImportOrder,
    policy: Policy,
    progress: Progress = lambda _done, _total: None,
    *,
    since: datetime | None = None,
) -> Expected:
    """Read a file, row by row.

    Args:
        order: The file.
        policy: Which calls are recorded.
        progress: Called now and then.
        since: Local times before this need not be exact; None: all must be.

    Raises:
        CallRecordsError: A line is wrong, two calls have one id, or the file is empty.
        OSError: It cannot be read.
    """
    expecting = Expecting(policy, order.pbx)
    for path in _files(order):
        with path.open("rb") as raw:
            size = path.stat().st_size
            encoding = "utf-8" if order.layout is None else order.layout.encoding
            text = io.TextIOWrapper(
                raw, encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="",
                errors="replace",  # names and a Call-ID are what a caller sent
            )  # fmt: skip
            for number, leg in enumerate(_legs(text, order, since)):
                expecting.add(leg)
                if number % _TOLD_EACH == 0:
                    progress(raw.tell(), size)
            progress(size, size)
    return expecting.finish()


def _legs(text: io.TextIOWrapper, order: ImportOrder, since: datetime | None) -> Iterable[CallLeg]:
    if order.layout is None:
        return read_bypassed(text)
    times = Times(zone=order.zone, patterns=order.layout.times, repeated=order.repeated, since=since)
    return read_legs(text, order.layout, times)


def _files(order: ImportOrder) -> Sequence[Path]:
    if order.layout is not None or not order.path.is_dir():
        return [order.path]
    found = sorted(order.path.glob("bypassed_*.log*"))
    if not found:
        raise CallRecordsError(
            f"{order.path} has no bypassed_*.log; give the folder that BYPASSED of kamailio.cfg names"
        )
    return found


def _mapping(path: Path) -> Layout:
    try:
        layout = read_mapping(path.read_text(encoding="utf-8"), path.name)
    except UnicodeDecodeError as error:
        raise CallRecordsError(f"{path.name} is not TOML in UTF-8") from error
    try:
        "".encode(layout.encoding)
    except LookupError as error:
        raise CallRecordsError(f"{path.name}: there is no encoding {layout.encoding!r}") from error
    return layout
