"""Imports call records from the places that ``[[call_records]]`` names, as they change."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from recorder.assurance.assurance import Assurance
from recorder.assurance.call_records import CallRecordsError
from recorder.assurance.importing import import_order, read_calls
from recorder.assurance.local_times import Repeated
from recorder.config.call_record_options import CallRecordsOptions
from recorder.permissions import Act
from storage.assurance import AssuranceStore
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.errors import StorageError

_log = logging.getLogger(__name__)
_NAMES = {"cucm": "cdr_*", "kamailio": "bypassed_*.log*"}
"""Files of a folder; CUCM writes files of another kind (CMR) beside them."""
_Seen = tuple[int, int]


@dataclass(slots=True, kw_only=True)
class CallRecordSources:
    """The configured places; one thread uses it.

    Attributes:
        options: The places.
        audit: Each import that brings something new is an entry.
        zone: Zone of the site.
    """

    options: Sequence[CallRecordsOptions]
    audit: AuditLog
    zone: ZoneInfo
    _seen: dict[Path, _Seen] = field(default_factory=dict)

    def import_new(self, assurance: Assurance, store: AssuranceStore) -> int:
        """Import files that are new or have changed; return how many places or files cannot be read.

        Raises:
            StorageError: Database or audit log failed; the next look goes on.
        """
        problems = 0
        for one in self.options:
            try:
                problems += sum(self._fails(assurance, store, one, path) for path in self._files(assurance, one))
            except OSError as error:
                _log.error("call records at %s cannot be read: %s", one.path, error.strerror)
                problems += 1
        return problems

    def _files(self, assurance: Assurance, one: CallRecordsOptions) -> Iterator[Path]:
        """Yield the files that were written since the first day that is still judged."""
        place = Path(one.path)
        since = assurance.site.bounds(assurance.first_day)[0].timestamp()
        for path in sorted(place.glob(_NAMES.get(one.format, "[!.]*"))) if place.is_dir() else [place]:
            if path.is_file() or path == place:
                state = path.stat()
                if state.st_mtime >= since and self._seen.get(path) != (state.st_size, state.st_mtime_ns):
                    yield path

    def _fails(self, assurance: Assurance, store: AssuranceStore, one: CallRecordsOptions, path: Path) -> bool:
        state = path.stat()
        try:
            self._import(assurance, store, one, path)
        except CallRecordsError as error:  # its sentence may quote a column of the file, so it is not logged
            where = "" if error.line is None else f", line {error.line}"
            _log.error("call records in %s%s cannot be imported; `recorder assurance import` says why", path, where)
            return True
        except StorageError:
            raise
        except OSError as error:
            _log.error("call records in %s cannot be read: %s", path, error.strerror)
            return True
        except Exception as error:  # noqa: BLE001 - what another system wrote must not stop the judging of days
            _log.error("call records in %s cannot be imported, which is a bug: %s", path, type(error).__name__)
            return True
        self._seen[path] = (state.st_size, state.st_mtime_ns)
        return False

    def _import(self, assurance: Assurance, store: AssuranceStore, one: CallRecordsOptions, path: Path) -> None:
        repeated = None if one.repeated_hour is None else Repeated(one.repeated_hour)
        order = import_order(
            path, one.format, pbx=one.pbx, time_zone=one.time_zone or "", site_zone=self.zone, repeated=repeated
        )
        found = read_calls(order, assurance.policy, since=assurance.since)
        if count := assurance.count_new(found):
            assurance.check(found)
            details = {"format": Path(one.format).name, "pbx": order.pbx, "calls": count}
            self.audit.append(Act.IMPORT_CALLS.value, RECORDER, "", details)
            assurance.add(found, to=store)
            _log.info("imported %d call records from %s", count, path)
