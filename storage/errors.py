"""The errors of storage.

StorageError
├── VaultError
│   ├── WriteFailedError   disk full or failing: an outcome and an alarm, never a debug line
│   ├── DamagedError       a container or key is not as its writer wrote it
│   ├── RewrittenError     a recording was erased from, archived or deleted while it was read: read it again
│   ├── KeyProblemError    a key is missing, unreadable, readable by others, or the wrong one
│   └── OutsideError       a path leads out of the recordings
├── DatabaseError          the database cannot be reached or used; calls go on
├── LeaseLostError         another node has taken over this work: nothing was written
├── AuditUnavailableError  the audit log cannot be written: listening stops, pausing never does
├── NotFoundError          no recording or order of that id, or more than one of that prefix
├── ErasureStateError      the state of an erasure order does not allow the act
├── HoldStateError         the state of a hold does not allow the act
├── ArchiveError           the recording cannot be archived as asked
└── ExportError            the copy cannot be made as asked
"""


class StorageError(Exception):
    """Base class of the errors of storage; the message is a sentence for people."""


class VaultError(StorageError):
    """A container or its keys cannot be written, read or opened."""


class WriteFailedError(VaultError):
    """The disk refused bytes of a recording. Earlier bytes stay whole and recoverable.

    Attributes:
        is_taken: The block of the failed call was sealed and is kept; the next call writes it first. False: the caller
            still owns the block.
    """

    def __init__(self, message: str, *, is_taken: bool) -> None:
        super().__init__(message)
        self.is_taken = is_taken


class DamagedError(VaultError):
    """Bytes are not as their writer wrote them.

    Attributes:
        whole_bytes: Number of undamaged bytes before the damage.
    """

    def __init__(self, message: str, *, whole_bytes: int = 0) -> None:
        super().__init__(message)
        self.whole_bytes = whole_bytes


class RewrittenError(VaultError):
    """A recording was erased from, archived or deleted while it was read; it is not damaged, and can be read again."""


class KeyProblemError(VaultError):
    """A key is missing, unreadable, readable by others, or the wrong one."""


class OutsideError(VaultError, ValueError):
    """A path leads out of the recordings, so it must not be followed."""


class DatabaseError(StorageError):
    """The database cannot be reached, refuses, or was made by a newer or another program.

    Attributes:
        is_passing: The failure may pass, so that another try later makes sense.
    """

    def __init__(self, message: str, *, is_passing: bool) -> None:
        super().__init__(message)
        self.is_passing = is_passing


class LeaseLostError(StorageError):
    """Another node has taken over the work, because this one did not renew its lease in time; nothing was written."""


class AuditUnavailableError(StorageError):
    """The audit log cannot be written or read; an act that must be recorded must not go on (except pausing)."""


class NotFoundError(StorageError):
    """No recording or order has that id, or several have that prefix."""


class ErasureStateError(StorageError):
    """The state of an erasure order does not allow the act."""


class HoldStateError(StorageError):
    """The state of a hold does not allow the act."""


class ArchiveError(StorageError):
    """The recording cannot be archived as asked; nothing was changed."""


class ExportError(StorageError):
    """The copy cannot be made as asked; nothing is left at the target."""
