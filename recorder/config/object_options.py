"""The section ``[objects]``: where finished recordings go besides this machine's disk. Pure."""

from dataclasses import dataclass
from pathlib import Path

from recorder.common.ranges import NotNegative
from recorder.config.store_urls import is_object_store


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOptions:
    """The section ``[objects]``.

    Attributes:
        url: ``s3://BUCKET/PREFIX``, or an existing folder; None: recordings stay on this machine's disk alone.
        s3_file: File (0600) of the account of an object store: `recorder.objects.s3_account.read_account`.
        keep_local_days: How long a copy stays on this machine's disk once the object is verified, days; 0 for not.
        parts: Whether calls in progress are stored too, in parts of five seconds.
    """

    url: str | None = None
    s3_file: str | None = None
    keep_local_days: NotNegative = 7
    parts: bool = False

    @property
    def s3_path(self) -> Path | None:
        """Return ``s3_file`` as a path."""
        return None if self.s3_file is None else Path(self.s3_file)

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key and a sentence about a setting that cannot work, or None."""
        if self.url is not None and not self.url.startswith("/") and not is_object_store(self.url):
            return "url", f"url must be an absolute path, /mnt/recordings, or s3://BUCKET/PREFIX, not {self.url!r}"
        if self.url is not None and is_object_store(self.url) and self.s3_file is None:
            return "url", "url is an object store: name the file of its account in s3_file"
        if self.s3_file is not None and not self.s3_file.startswith("/"):
            return "s3_file", f"s3_file must be an absolute path, not {self.s3_file!r}"
        return None
