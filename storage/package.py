"""Writes several files as one folder or one ZIP archive, streamed; the archive may be encrypted by a passphrase.

The encryption is WinZip's AES-256 (AE-2), which 7-Zip, WinZip, Keka and others open. Names and sizes of the files stay
readable, so the names must disclose nothing (ADR 11).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from storage.errors import ExportError
from storage.new_file import new_folder, write_file, write_new

LEAST_PASSPHRASE = 16
"""Shortest passphrase, characters: the format's key derivation is weak."""
_MODE = 0o100600
_LEVEL = 1
"""Compression level: sound is hardly compressible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file of a package.

    Attributes:
        name: Without folders.
        chunks: Its bytes; read once, before the next member.
        most_bytes: Upper bound of its size.
    """

    name: str
    chunks: Iterator[bytes]
    most_bytes: int


def check_passphrase(passphrase: str) -> None:
    """Raise ExportError if a passphrase is too short, or has characters that programs encode differently."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise ExportError(f"the passphrase needs at least {LEAST_PASSPHRASE} characters; four random words will do")
    if not (passphrase.isascii() and passphrase.isprintable()):
        raise ExportError("the passphrase may have only plain letters, digits and signs: others are typed differently")


def zipped(members: Iterable[Member], made_at: datetime, *, passphrase: str | None = None) -> Iterator[bytes]:
    """Yield a ZIP archive front to back; exceptions of members are passed on.

    Args:
        members: Its files, each made when it is written.
        made_at: Date of the files.
        passphrase: Encrypts it; None: not encrypted.

    Raises:
        ExportError: As `check_passphrase`.
    """
    from stream_zip import ZIP_AUTO, stream_zip  # noqa: PLC0415 - only this command needs the library

    if passphrase is not None:
        check_passphrase(passphrase)
    files = (
        (member.name, made_at, _MODE, ZIP_AUTO(member.most_bytes, level=_LEVEL), member.chunks) for member in members
    )
    return iter(stream_zip(files, password=passphrase))


def write_zip(target: Path, members: Iterable[Member], made_at: datetime, *, passphrase: str | None = None) -> None:
    """Write a ZIP archive, whole or not at all; see `zipped` and `storage.new_file`."""
    write_new(target, zipped(members, made_at, passphrase=passphrase))


def write_folder(target: Path, members: Iterable[Member]) -> None:
    """Make a folder with all of its files, or not at all; see `storage.new_file`."""
    with new_folder(target) as folder:
        for member in members:
            write_file(folder / member.name, member.chunks)
