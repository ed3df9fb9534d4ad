"""The sections ``[[call_records]]``: where a PBX leaves its call records, so that the console imports them. Pure."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FORMATS = ("asterisk", "freeswitch", "cucm", "3cx", "kamailio")
"""Formats of call records that need no mapping."""
REPEATED_HOURS = ("earlier", "later")
"""What a local time of the hour can mean that happens twice when the clocks go back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecordsOptions:
    """One place with call records.

    Attributes:
        path: A file, or a folder of files.
        format: One of `FORMATS`, or the path of a mapping, ``*.toml``.
        pbx: Name of the system that writes them; empty for that of the format.
        time_zone: Zone of its local times; None for the site's, or that of the mapping.
        repeated_hour: One of `REPEATED_HOURS`; None: a file with such a time is not imported.
    """

    path: str
    format: str
    pbx: str = ""
    time_zone: str | None = None
    repeated_hour: str | None = None

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key and a sentence about a setting that cannot work, or None."""
        for key, value in (("path", self.path), ("format", self.format if self.format.endswith(".toml") else "/")):
            if not PurePosixPath(value).is_absolute():
                return key, f"{key} is {value!r}: it must be a whole path, such as /var/spool/cdr"
        if self.format not in FORMATS and not self.format.endswith(".toml"):
            return "format", f"format is {self.format!r}: it must be {', '.join(FORMATS)}, or a mapping: *.toml"
        if self.repeated_hour not in (None, *REPEATED_HOURS):
            return "repeated_hour", f"repeated_hour is {self.repeated_hour!r}: it must be {' or '.join(REPEATED_HOURS)}"
        if self.time_zone is not None:
            try:
                ZoneInfo(self.time_zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                return "time_zone", f"time_zone is {self.time_zone!r}: it must be one such as Europe/London or UTC"
        return None
