"""Verifies that a finished container is as its node closed it. Needs no private key."""

from collections.abc import Iterable
from pathlib import Path

from storage import crypto
from storage.containers import Container, path_of_container
from storage.errors import DamagedError
from storage.format import STREAM_TYPES, ContainerScan, Footer, Frame, FrameType, Status, open_container
from storage.types import RecordingId, Verification


def verify(container: Container, trusted: bytes | Iterable[bytes]) -> Verification:
    """Read a whole container, and check it against its footer and the trusted nodes.

    Args:
        container: The ``.rec`` file, or the container elsewhere.
        trusted: ed25519 public key of the node, 32 bytes, or several keys.

    Returns:
        The result; ``problem`` is None only if every byte, the name and the signature are right. A file that cannot be
        read is a problem, not an exception.

    Raises:
        StorageError: It is elsewhere, and cannot be reached.
    """
    path = path_of_container(container)
    keys = {crypto.fingerprint(key): key for key in ([trusted] if isinstance(trusted, bytes) else trusted)}
    try:
        return _Check(container, keys).run()
    except DamagedError as error:
        return _verdict(path, problem=str(error))
    except FileNotFoundError:
        return _verdict(path, problem=f"the container is missing: {path.name} cannot be read where it ought to lie")
    except OSError as error:
        return _verdict(path, problem=f"the file cannot be read: {error.strerror}")


def _verdict(
    path: Path, *, problem: str | None, footer: Footer | None = None, size: int = 0, sha256: str = ""
) -> Verification:
    return Verification(
        id=RecordingId(path.stem),
        path=path,
        is_complete=footer is not None and footer.status is Status.COMPLETE,
        bytes=size,
        sha256=sha256,
        signed_by=footer.fingerprint.hex() if footer else "",
        problem=problem,
    )


def _so_far(frames: int) -> str:
    return f"after frame {frames - 1}" if frames else "after its prologue"


class _Check:
    def __init__(self, container: Container, keys: dict[bytes, bytes]) -> None:
        self._container = container
        self._path = path_of_container(container)
        self._keys = keys
        self._types: list[FrameType] = []

    def run(self) -> Verification:
        footer: Footer | None = None
        problem: str | None = None
        with open_container(self._container) as file:
            scan = ContainerScan(file)
            covered, digest, frames = scan.whole_bytes, scan.hash.digest(), 0
            for frame in scan.frames():
                self._check_order(frame)
                frames += 1
                if frame.type is FrameType.FOOTER:
                    footer, message, signature = Footer.parse(frame)
                    problem = self._problem(footer, scan, (covered, digest), message, signature)
                covered, digest = scan.whole_bytes, scan.hash.digest()
        if footer is None:
            problem = f"the file is cut after byte {covered}, {_so_far(frames)}: it has no footer, or was never closed"
        return _verdict(self._path, problem=problem, footer=footer, size=covered, sha256=digest.hex())

    def _check_order(self, frame: Frame) -> None:
        has_ended = FrameType.END in self._types
        is_stream = frame.type in STREAM_TYPES
        if (frame.number == 0) != (frame.type is FrameType.HEAD) or (has_ended and is_stream):
            raise DamagedError(f"frame {frame.number} at byte {frame.offset} is out of order")
        if frame.type in (FrameType.HEAD, FrameType.END):
            self._types.append(frame.type)

    def _problem(
        self, footer: Footer, scan: ContainerScan, covered: tuple[int, bytes], message: bytes, signature: bytes
    ) -> str | None:
        public = self._keys.get(footer.fingerprint)
        if public is None:
            return f"the footer is signed by a node that is not trusted, key {footer.fingerprint.hex()[:16]}"
        if not crypto.is_signed(message, signature, public):
            return "the footer's signature is wrong: the file was not closed like this by its node"
        if (footer.covered_bytes, footer.digest) != covered:
            return f"the footer signs other bytes: {footer.covered_bytes}, the file has {covered[0]} before it"
        if footer.id != scan.prologue.id:
            return f"the footer is that of {footer.id}, the file that of {scan.prologue.id}"
        if self._path.stem != footer.id:
            return f"the file was renamed: it holds recording {footer.id}"
        if footer.status is Status.COMPLETE and FrameType.END not in self._types:
            return "the footer says complete, but the end of the recording is missing"
        return None
