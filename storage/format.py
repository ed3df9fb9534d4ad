"""The unencrypted framing of a container: prologue, frames, footer. Byte tables: docs/storage-format.md.

Pure, but for reading from the file object passed in. Uses no keys.
"""

import hashlib
import os
import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from storage.containers import Container
from storage.errors import DamagedError

FORMAT_VERSION = 1
"""Version of containers that are recorded or erased from."""
ARCHIVE_VERSION = 2
"""Version of archived containers: version 1 with PACKED frames."""
READABLE_VERSIONS = frozenset({FORMAT_VERSION, ARCHIVE_VERSION})
"""Versions that are read; a version that was ever written stays readable."""

MAGIC = b"\x89CCREC\r\n"
FOOTER_DOMAIN = b"council-call-recorder footer v1\0"
MAX_BODY_BYTES = 8 << 20
CHECK_BYTES = 16

_PROLOGUE = struct.Struct("<8sHHB7s32s24s4x")
FRAME_HEADER = struct.Struct("<BBHIQ")
_FOOTER = struct.Struct("<B7xQQ32s32sB")
_SIGNATURE_BYTES = 64
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9A-Za-z+_]{1,32}-[0-9a-f]{6}", re.ASCII)
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])", re.ASCII)


class FrameType(IntEnum):
    """Type of a frame; HEAD to END and PACKED are one secretstream, in order."""

    HEAD = 1
    AUDIO = 2
    MARK = 3
    END = 4
    INDEX = 5
    FOOTER = 6
    PACKED = 7


STREAM_TYPES = frozenset({FrameType.HEAD, FrameType.AUDIO, FrameType.MARK, FrameType.END, FrameType.PACKED})
"""Frames that are sealed with the recording's key."""


class Status(IntEnum):
    """How a file was closed."""

    COMPLETE = 1
    PARTIAL = 2


def is_recording_id(text: str) -> bool:
    """Tell whether text has the form of a recording id, and so is safe as a file name."""
    return _ID.fullmatch(text) is not None


def open_container(container: Container) -> BinaryIO:
    """Open a container for reading; of files only a regular one is opened.

    Raises:
        DamagedError: It is a link, a folder, a pipe or a device.
        StorageError: It is elsewhere, and cannot be reached.
        OSError: It cannot be read.
    """
    return _open_file(container) if isinstance(container, Path) else container.open()


def _open_file(path: Path) -> BinaryIO:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise DamagedError(f"it is a symbolic link to {path.readlink()}, not a recording")
    if not stat.S_ISREG(mode):
        raise DamagedError("it is no file: a folder, a pipe or a device has its name")
    return path.open("rb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prologue:
    """The first bytes of a container, unencrypted.

    Attributes:
        id: Recording id; must equal the file's name.
        epoch: Month ``YYYY-MM`` of the key epoch that the recording's key was sealed to.
        epoch_fingerprint: SHA-256 of the epoch's public key.
        stream_header: The 24 bytes that start the secretstream.
        version: Format version.
    """

    id: str
    epoch: str
    epoch_fingerprint: bytes
    stream_header: bytes
    version: int = FORMAT_VERSION

    def pack(self) -> bytes:
        """Return the bytes, without the check after them."""
        name = self.id.encode("ascii")
        fixed = _PROLOGUE.pack(
            MAGIC,
            self.version,
            self.length(self.id),
            len(name),
            self.epoch.encode("ascii"),
            self.epoch_fingerprint,
            self.stream_header,
        )
        return fixed + name

    @staticmethod
    def length(recording: str) -> int:
        """Return the length of a recording's prologue, without the check after it."""
        return _PROLOGUE.size + len(recording)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A whole frame, not decrypted.

    Attributes:
        number: Number in the file; the head is 0.
        offset: Offset of its first byte.
        type: Its type.
        header: Its 16 unencrypted bytes, bound to the ciphertext as associated data.
        ticks: End of the audio written so far, ticks of 1/8000 s.
        body: Ciphertext; of the footer, unencrypted bytes.
    """

    number: int
    offset: int
    type: FrameType
    header: bytes
    ticks: int
    body: bytes

    @property
    def end(self) -> int:
        """Offset of the byte after the frame."""
        return self.offset + FRAME_HEADER.size + len(self.body) + CHECK_BYTES


def frame_header(frame_type: FrameType, body_bytes: int, ticks: int) -> bytes:
    """Return the unencrypted header of a frame whose body will have ``body_bytes`` in [0, MAX_BODY_BYTES].

    Raises:
        ValueError: The body is too long.
    """
    if not 0 <= body_bytes <= MAX_BODY_BYTES:
        raise ValueError(f"a frame holds at most {MAX_BODY_BYTES} bytes, not {body_bytes}")
    return FRAME_HEADER.pack(frame_type, 0, 0, body_bytes, ticks)


class RunningHash:
    """SHA-256 over the file so far; prologue and frames each end with its first 16 bytes as a check."""

    __slots__ = ("_hash",)

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def check(self, *parts: bytes | bytearray) -> bytes:
        """Hash the parts, and return the check after them, which is hashed too."""
        for part in parts:
            self._hash.update(part)
        check = self._hash.digest()[:CHECK_BYTES]
        self._hash.update(check)
        return check

    def copy(self) -> "RunningHash":
        """Return an independent copy."""
        other = RunningHash()
        other._hash = self._hash.copy()
        return other

    def digest(self) -> bytes:
        """Return the 32-byte digest so far."""
        return self._hash.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """How and by which node the file was closed; unencrypted and signed.

    Attributes:
        status: Complete, or partial after a crash.
        closed_ms: Milliseconds since 1970, by the node's clock.
        covered_bytes: Length of everything before the footer's frame.
        digest: SHA-256 of those bytes.
        fingerprint: SHA-256 of the node's ed25519 public key.
        id: Recording id.
    """

    status: Status
    closed_ms: int
    covered_bytes: int
    digest: bytes
    fingerprint: bytes
    id: str

    def pack(self) -> bytes:
        """Return the bytes that are signed, without domain and frame header."""
        name = self.id.encode("ascii")
        return (
            _FOOTER.pack(self.status, self.closed_ms, self.covered_bytes, self.digest, self.fingerprint, len(name))
            + name
        )

    def signed_message(self, header: bytes) -> bytes:
        """Return the message that the node signs: a domain, the frame's header, and the footer's fields."""
        return FOOTER_DOMAIN + header + self.pack()

    def body_bytes(self) -> int:
        """Return the length of the frame's body, with the signature."""
        return self.length(self.id)

    @staticmethod
    def length(recording: str) -> int:
        """Return the length of the body of a recording's footer, with the signature."""
        return _FOOTER.size + len(recording) + _SIGNATURE_BYTES

    @classmethod
    def parse(cls, frame: Frame) -> "tuple[Footer, bytes, bytes]":
        """Return the footer, the message that was signed, and the signature.

        Raises:
            DamagedError: The body is not a footer.
        """
        signed, signature = frame.body[:-_SIGNATURE_BYTES], frame.body[-_SIGNATURE_BYTES:]
        try:
            status, closed_ms, covered, digest, fingerprint, id_bytes = _FOOTER.unpack_from(signed)
            name = signed[_FOOTER.size :].decode("ascii")
            if len(name) != id_bytes:
                raise ValueError(f"id of {len(name)} bytes, expected {id_bytes}")
            footer = cls(
                status=Status(status),
                closed_ms=closed_ms,
                covered_bytes=covered,
                digest=digest,
                fingerprint=fingerprint,
                id=name,
            )
        except (ValueError, struct.error) as error:
            raise DamagedError(f"the footer at byte {frame.offset} cannot be read: {error}") from error
        return footer, FOOTER_DOMAIN + frame.header + signed, signature


class ContainerScan:
    """One pass over the framing of a container, which checks the running hash.

    Attributes:
        prologue: The prologue.
        whole_bytes: Number of bytes that were found whole so far.
        hash: Running hash over those bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read the prologue.

        Raises:
            DamagedError: It is not a container, or its prologue is cut or changed.
        """
        self._file = file
        self.hash = RunningHash()
        self.prologue = self._read_prologue()
        self.whole_bytes = len(self.prologue.pack()) + CHECK_BYTES

    def _read_prologue(self) -> Prologue:
        fixed = self._file.read(_PROLOGUE.size)
        if not fixed:
            raise DamagedError("the file is empty")
        if fixed[:8] != MAGIC:
            raise DamagedError("this is not a recording: the magic at byte 0 is wrong or cut")
        if len(fixed) < _PROLOGUE.size:
            raise DamagedError(f"the file is cut after byte {len(fixed)}, inside its prologue")
        _, version, length, id_bytes, epoch, fingerprint, stream_header = _PROLOGUE.unpack(fixed)
        if version not in READABLE_VERSIONS:
            known = ", ".join(map(str, sorted(READABLE_VERSIONS)))
            raise DamagedError(
                f"format version {version} at byte 8, this program reads {known}: it takes a newer program, "
                "or the byte was changed"
            )
        rest = self._file.read(id_bytes + CHECK_BYTES)
        name, check = rest[:id_bytes], rest[id_bytes:]
        if len(check) < CHECK_BYTES:
            raise DamagedError(
                f"the prologue is cut after byte {len(fixed) + len(rest)}, or its length at byte 12 was changed"
            )
        if length != _PROLOGUE.size + id_bytes or check != self.hash.check(fixed, name):
            raise DamagedError(f"the prologue, bytes 0 to {_PROLOGUE.size + id_bytes + CHECK_BYTES}, was changed")
        try:
            text, month = name.decode("ascii"), epoch.decode("ascii")
        except UnicodeDecodeError as error:
            raise DamagedError("the prologue's names are not ASCII") from error
        if not is_recording_id(text):
            raise DamagedError("the prologue's id does not have the form of a recording id")
        if not _MONTH.fullmatch(month):
            raise DamagedError("the prologue's epoch does not have the form YYYY-MM")
        return Prologue(
            id=text, epoch=month, epoch_fingerprint=fingerprint, stream_header=stream_header, version=version
        )

    def frames(self) -> Iterator[Frame]:
        """Yield each whole frame, the footer last.

        Raises:
            DamagedError: A frame is cut or changed, or bytes follow the footer. An unfinished file ends without error.
        """
        number = 0
        while header := self._file.read(FRAME_HEADER.size):
            frame = self._read_frame(number, header)
            self.whole_bytes = frame.end
            yield frame
            number += 1
            if frame.type is FrameType.FOOTER:
                if extra := self._file.seek(0, os.SEEK_END) - frame.end:
                    raise self._damage(f"the file is extended by {extra} bytes, from byte {frame.end} on")
                return

    def _read_frame(self, number: int, header: bytes) -> Frame:
        where = f"frame {number} at byte {self.whole_bytes}"
        if len(header) < FRAME_HEADER.size:
            raise self._damage(f"{where} is cut inside its header")
        kind, zero, zeros, length, ticks = FRAME_HEADER.unpack(header)
        is_known = kind in FrameType.__members__.values() and (
            kind != FrameType.PACKED or self.prologue.version >= ARCHIVE_VERSION
        )
        if not is_known or zero or zeros or length > MAX_BODY_BYTES:
            raise self._damage(f"{where} has a changed header")
        body = self._file.read(length)
        check = self._file.read(CHECK_BYTES)
        if len(body) < length or len(check) < CHECK_BYTES:
            raise self._damage(f"{where} is cut: {len(body) + len(check)} of {length + CHECK_BYTES} bytes are there")
        running = self.hash.copy()
        if check != running.check(header, body):
            raise self._damage(f"{where} was changed: its running hash does not fit")
        self.hash = running
        return Frame(
            number=number, offset=self.whole_bytes, type=FrameType(kind), header=header, ticks=ticks, body=body
        )

    def _damage(self, message: str) -> DamagedError:
        return DamagedError(message, whole_bytes=self.whole_bytes)
