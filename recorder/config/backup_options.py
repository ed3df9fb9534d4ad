"""The section ``[backup]``: where `recorder backups add` copies to, and how long copies are kept. Pure."""

from dataclasses import dataclass
from pathlib import Path

from recorder.common.ranges import AtLeastOne
from recorder.config.store_urls import is_object_store, overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOptions:
    """The section ``[backup]``.

    Attributes:
        destination: The destination, an existing folder on another disk or machine; None: named by each command.
        keys_destination: The destination of the keys, apart from the other; None: keys are copied if a command says so.
        s3_file: File (0600) of the account of an object store: `recorder.objects.s3_account.read_account`.
        keys_s3_file: The same of ``keys_destination``; None: ``s3_file``.
        media_days: How long snapshots of recordings and their sealed keys are kept, days. The newest is always kept.
        index_days: Likewise of index, configuration, messages and state.
        accounts_days: Likewise of accounts and PINs.
        audit_days: Likewise of the audit log.
        keys_days: Likewise of the private keys and the node's keys.
    """

    destination: str | None = None
    keys_destination: str | None = None
    s3_file: str | None = None
    keys_s3_file: str | None = None
    media_days: AtLeastOne = 14
    index_days: AtLeastOne = 14
    accounts_days: AtLeastOne = 14
    audit_days: AtLeastOne = 14
    keys_days: AtLeastOne = 14

    @property
    def days(self) -> dict[str, int]:
        """Return the period of each class, days."""
        return {
            "media": self.media_days,
            "index": self.index_days,
            "accounts": self.accounts_days,
            "audit": self.audit_days,
            "keys": self.keys_days,
        }

    @property
    def s3_path(self) -> Path | None:
        """Return ``s3_file`` as a path."""
        return None if self.s3_file is None else Path(self.s3_file)

    @property
    def keys_s3_path(self) -> Path | None:
        """Return the account's file of the keys' destination as a path."""
        return self.s3_path if self.keys_s3_file is None else Path(self.keys_s3_file)

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key and a sentence about a setting that cannot work, or None."""
        for key in ("destination", "keys_destination"):
            path = getattr(self, key)
            if path is not None and not path.startswith("/") and not is_object_store(path):
                return key, f"{key} must be an absolute path, /mnt/backup, or s3://BUCKET/PREFIX, not {path!r}"
            account = self.keys_s3_path if key == "keys_destination" else self.s3_path
            if path is not None and is_object_store(path) and account is None:
                return key, f"{key} is an object store: name the file of its account in s3_file"
        for key in ("s3_file", "keys_s3_file"):
            path = getattr(self, key)
            if path is not None and not path.startswith("/"):
                return key, f"{key} must be an absolute path, not {path!r}"
        if self.keys_destination is not None and self.destination is None:
            return (
                "keys_destination",
                "keys_destination needs destination: keys are backed up with the rest, to another place",
            )
        if (
            self.destination is not None
            and self.keys_destination is not None
            and overlap(self.destination, self.keys_destination)
        ):
            return (
                "keys_destination",
                "keys_destination must lie outside destination: who reads recordings must not have the keys",
            )
        return None
