"""What console and command line say of who acts, signed with a key that the daemon can only check.

The daemon does not open the accounts, so it is told who somebody is. Whoever may open its socket could say anything; so
a name counts only with a signature (Ed25519) by the key of the user that owns the accounts. It covers the method, the
address, the name and the body, this start of the machine, and the moment by a clock that nobody sets. Each is good
once, for a few seconds, at a daemon that was running when it was made.
"""

import base64
import hashlib
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recorder.common.clock import boot_id, since_boot_s
from storage import crypto
from storage.durable import make_folder
from storage.errors import KeyProblemError
from storage.group_modes import is_shared
from storage.key_files import create_once, read_secret

GOOD_FOR_S = 30.0
"""How long a signature may be on its way."""
MOST_NONCES = 100_000
"""Signatures that are remembered; one more within GOOD_FOR_S is refused."""
_SIGNATURE = re.compile(r"1;(\d{1,15});([0-9a-f]{32});([A-Za-z0-9+/]{86}==)\Z")

Clock = Callable[[], float]


class UnsignedError(Exception):
    """What was said of who acts is not signed as it must be; a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is signed.

    Attributes:
        method: Of the request.
        target: Its address, with the query.
        actor: Who acts, as the header has it.
        content: The body.
    """

    method: str
    target: str
    actor: str
    content: bytes

    def message(self, boot: str, at_ms: int, nonce: str) -> bytes:
        """Return the bytes that are signed: no field can be taken for part of another."""
        fields = (
            "recorder actor 1", boot, str(at_ms), nonce, self.method, self.target, self.actor,
            hashlib.sha256(self.content).hexdigest(),
        )  # fmt: skip
        return b"".join(len(field.encode()).to_bytes(4, "big") + field.encode() for field in fields)


def secret_path(home: Path) -> Path:
    """Return where the key lies that signs; its owner's alone."""
    return home / "keys" / "actor" / "actor.key"


def public_path(home: Path) -> Path:
    """Return where the key lies that checks."""
    return home / "keys" / "actor" / "actor.pub"


def ensure_key(home: Path) -> None:
    """Make the pair of keys of a home where it is missing.

    Raises:
        KeyProblemError: The one that is there cannot be read.
        OSError: It cannot be written.
    """
    if not secret_path(home).exists():
        _make_folder(secret_path(home).parent)
        create_once(secret_path(home), crypto.new_key().hex().encode() + b"\n")
    if not public_path(home).exists():
        public, _ = _pair(home)
        create_once(public_path(home), public.hex().encode() + b"\n", mode=0o644)


def _make_folder(folder: Path) -> None:
    """Make the folder of both halves: the daemon's user reaches the public one where it may read what is above."""
    if not folder.is_dir():
        make_folder(folder, is_private=True)
        if is_shared(folder.parent):
            folder.chmod(0o711)  # what lies in it has modes of its own


def _pair(home: Path) -> tuple[bytes, bytes]:
    return crypto.signing_pair(_key(read_secret(secret_path(home)), secret_path(home)))


def _key(content: bytes, path: Path) -> bytes:
    try:
        key = bytes.fromhex(content.decode("ascii"))
    except ValueError as error:
        raise KeyProblemError(f"{path} does not hold a key") from error
    if len(key) != crypto.KEY_BYTES:
        raise KeyProblemError(f"{path} holds {len(key)} bytes, expected {crypto.KEY_BYTES}")
    return key


class Signer:
    """Signs what is said of who acts. The key is read when it is first needed. Safe between threads.

    Args:
        home: The recorder's folder.
        clock: Seconds since the machine started.
    """

    def __init__(self, home: Path, *, clock: Clock = since_boot_s) -> None:
        self._home = home
        self._clock = clock
        self._secret: bytes | None = None

    def is_able(self) -> bool:
        """Tell whether the key may be read."""
        try:
            self._load()
        except (OSError, KeyProblemError):
            return False
        return True

    def sign(self, said: Said) -> str:
        """Return the header of a signature.

        Raises:
            KeyProblemError: There is no key that may be read.
            OSError: There is none, and none can be made.
        """
        secret = self._load()
        at_ms, nonce = int(self._clock() * 1000), secrets.token_hex(16)
        signature = crypto.sign(said.message(boot_id(), at_ms, nonce), secret)
        return f"1;{at_ms};{nonce};{base64.b64encode(signature).decode('ascii')}"

    def _load(self) -> bytes:
        if self._secret is None:
            ensure_key(self._home)  # a home of a version before this has none
            _, self._secret = _pair(self._home)
        return self._secret


class Verifier:
    """Checks such signatures, each once. Safe between threads.

    The key is read again when its file is another one: `recorder init` or the console may make it after the daemon
    began.

    Args:
        home: The recorder's folder.
        clock: Seconds since the machine started.
    """

    def __init__(self, home: Path, *, clock: Clock = since_boot_s) -> None:
        self._path = public_path(home)
        self._clock = clock
        self._began_ms = int(clock() * 1000)
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int], bytes] | None = None
        self._seen: dict[str, int] = {}
        """Nonces, oldest first, and when they were used."""

    def check(self, said: Said, header: str) -> None:
        """Make sure that what is said was signed, lately and for the first time.

        Raises:
            UnsignedError: It was not.
        """
        match = _SIGNATURE.match(header)
        if match is None:
            raise UnsignedError("Who acts is not signed by the console's key: use the console, or `recorder`.")
        at_ms, nonce, signature = int(match[1]), match[2], base64.b64decode(match[3])
        if not crypto.is_signed(said.message(boot_id(), at_ms, nonce), signature, self._public()):
            raise UnsignedError("Who acts is signed by another key than the console's, or something was changed.")
        now_ms = int(self._clock() * 1000)
        if at_ms < self._began_ms or abs(now_ms - at_ms) > GOOD_FOR_S * 1000:
            raise UnsignedError("Who acts was signed too long ago: try again.")
        self._use(nonce, now_ms)

    def _use(self, nonce: str, now_ms: int) -> None:
        with self._lock:
            while self._seen and now_ms - next(iter(self._seen.values())) > 2 * GOOD_FOR_S * 1000:
                del self._seen[next(iter(self._seen))]
            if nonce in self._seen:
                raise UnsignedError("This was signed for one use, and has been used.")
            if len(self._seen) >= MOST_NONCES:
                raise UnsignedError("Too much is asked at once: try again.")
            self._seen[nonce] = now_ms

    def _public(self) -> bytes:
        try:
            found = self._path.stat()
            mark = found.st_ino, found.st_mtime_ns
            known = self._known
            if known is None or known[0] != mark:
                known = self._known = mark, _key(self._path.read_bytes(), self._path)
        except (OSError, KeyProblemError) as error:
            raise UnsignedError(
                f"The key that checks who acts cannot be read ({self._path}): start the console, which makes it."
            ) from error
        return known[1]
