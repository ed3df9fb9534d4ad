"""The error of backups."""

from recorder.objects.store import StoreError


class BackupError(StoreError):
    """A backup cannot be made, checked or restored; the message says what to do next."""


class UnreadableFileError(BackupError):
    """A file of the home cannot be read, or is none: nothing of it is copied, and the rest is."""
