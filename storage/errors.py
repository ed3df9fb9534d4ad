"""What storage raises, and who is to act on it.

StorageError
├── VaultError
│   ├── WriteFailedError   disk full or failing: an outcome and an alarm, never a debug line
│   ├── DamagedError       a container or key does not say what its writer wrote
│   ├── RewrittenError     a recording was erased from, archived or deleted while it was read: ask again
│   ├── KeyProblemError    a key is missing, unreadable, too open, or does not fit
│   └── OutsideError       a path leads out of the recordings
├── DatabaseError          the database cannot be reached, or is not one of ours; calls go on
├── AuditUnavailableError  the audit log cannot be written: listening stops, pausing never does
├── NotFoundError          no recording or order of that id, or more than one of that prefix
├── ErasureStateError      an order to erase is not in a state for that
├── HoldStateError         a hold is not in a state for that
├── ArchiveError           the recording cannot be archived as asked
└── ExportError            the copy cannot be made as asked
"""


class StorageError(Exception):
    """Base of everything that storage raises on purpose; the message is a sentence for people."""


class VaultError(StorageError):
    """A container or its keys cannot be written, read or opened."""


class WriteFailedError(VaultError):
    """The disk refused bytes of a recording. What was written before stays whole and recoverable.

    Attributes:
        is_taken: The block of the failed call was sealed and is kept; the next call writes it first. False: it was
            not taken, and the caller still owns it.
    """

    def __init__(self, message: str, *, is_taken: bool) -> None:
        super().__init__(message)
        self.is_taken = is_taken


class DamagedError(VaultError):
    """Bytes do not match what their writer promised.

    Attributes:
        whole_bytes: Length of the part before the damage that is whole.
    """

    def __init__(self, message: str, *, whole_bytes: int = 0) -> None:
        super().__init__(message)
        self.whole_bytes = whole_bytes


class RewrittenError(VaultError):
    """A recording was erased from, archived or deleted while it was read. It is whole; whoever asks again gets it."""


class KeyProblemError(VaultError):
    """A key is missing, unreadable, readable by others, or not the one that is needed."""


class OutsideError(VaultError, ValueError):
    """A path leads out of the recordings: whoever wrote it is not to be believed."""


class DatabaseError(StorageError):
    """The database cannot be reached, refuses, or was made by a newer or another program.

    Attributes:
        is_passing: It may answer later: what could not be written is worth another try.
    """

    def __init__(self, message: str, *, is_passing: bool) -> None:
        super().__init__(message)
        self.is_passing = is_passing


class AuditUnavailableError(StorageError):
    """The audit log could not be written; the act that was to be recorded must not go on (pausing excepted)."""


class NotFoundError(StorageError):
    """No recording or order has that id, or a prefix fits more than one."""


class ErasureStateError(StorageError):
    """An order to erase is not in a state in which that can happen."""


class HoldStateError(StorageError):
    """A hold is not in a state in which that can happen."""


class ArchiveError(StorageError):
    """The recording cannot be archived as asked; nothing was changed."""


class ExportError(StorageError):
    """The copy cannot be made as asked; nothing is left at the target."""
