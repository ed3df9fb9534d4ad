"""The error of backups."""

from recorder.objects.store import StoreError


class BackupError(StoreError):
    """A backup cannot be made, checked or restored; the message says what to do next."""
