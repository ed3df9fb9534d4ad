"""Signatures by which console and command line name the actor to the daemon, which can only verify them.

The daemon does not open the accounts, so it is told who acts. Anybody who may open its socket could claim a name, so a
name counts only with an Ed25519 signature by the key of the user that owns the accounts. The signature covers method,
target, name and body of the request, the machine's boot id, and a time since boot, which nobody can set. It is valid
once, for some seconds, at a daemon that was already running.

To another machine the signature covers, instead of the boot id, the node's name and a random number of its daemon's
run, and the time since the node's own boot, which the node tells (`Greeting`). So a request that was captured for one
node is valid at no other, not twice, and not after a restart; and no two machines need the same clock.
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
"""How old a signature may be, seconds."""
REMOTE_GOOD_FOR_S = 2.5
"""How old a signature from another machine may be, seconds. A little longer than that machine waits for an answer: an
act that was answered "not confirmed" must not be done later, when a network that was cut delivers what it had kept."""
MOST_NONCES = 100_000
"""Signatures remembered; one more within GOOD_FOR_S is refused."""
_SIGNATURE = re.compile(r"([12]);(\d{1,15});([0-9a-f]{32});([A-Za-z0-9+/]{86}==)\Z")

Clock = Callable[[], float]


class UnsignedError(Exception):
    """The actor's name is not signed as required; the message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The signed data."""

    method: str
    target: str
    actor: str
    content: bytes

    def message(self, where: tuple[str, ...], at_ms: int, nonce: str) -> bytes:
        """Return the bytes to sign; each field has its length, so that fields cannot run together.

        Args:
            where: What it is valid at: kind of signature, and the daemon.
            at_ms: When, since that machine's boot.
            nonce: A random number in hex.
        """
        fields = (
            *where, str(at_ms), nonce, self.method, self.target, self.actor, hashlib.sha256(self.content).hexdigest()
        )  # fmt: skip
        return b"".join(len(field.encode()).to_bytes(4, "big") + field.encode() for field in fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What a node's daemon tells consoles, so that they can sign for it.

    Attributes:
        node: The node's name.
        run: A random number of the daemon's run, hex.
        now_ms: The time since the node's boot, at the moment of the answer.
    """

    node: str
    run: str
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """A node that a signature is for, and its clock.

    Attributes:
        node: Its name, as its certificate says.
        run: The random number of its daemon's run.
        ahead_ms: Its time since boot, less ours.
    """

    node: str
    run: str
    ahead_ms: int


def _local() -> tuple[str, ...]:
    return "recorder actor 1", boot_id()


def _remote(node: str, run: str) -> tuple[str, ...]:
    return "recorder actor 2", node, run


def secret_path(home: Path) -> Path:
    """Return the path of the signing key, which only its owner may read."""
    return home / "keys" / "actor" / "actor.key"


def public_path(home: Path) -> Path:
    """Return the path of the verifying key."""
    return home / "keys" / "actor" / "actor.pub"


def next_public_path(home: Path) -> Path:
    """Return the path of a verifying key that is being introduced, and counts beside the other."""
    return home / "keys" / "actor" / "actor.next.pub"


def ensure_key(home: Path) -> None:
    """Create the key pair of a home if it is missing.

    Raises:
        KeyProblemError: The existing one cannot be read, or only the verifying key is here.
        OSError: It cannot be written.
    """
    if not secret_path(home).exists():
        if public_path(home).exists():
            raise KeyProblemError(
                f"{secret_path(home)} is not here: sign acts where the accounts are, or restore it from a backup"
            )
        _make_folder(secret_path(home).parent)
        create_once(secret_path(home), crypto.new_key().hex().encode() + b"\n")
    if not public_path(home).exists():
        public, _ = signing_pair(home)
        create_once(public_path(home), public.hex().encode() + b"\n", mode=0o644)


def _make_folder(folder: Path) -> None:
    """Create the folder of both keys; the daemon's user reaches the public one through it."""
    if not folder.is_dir():
        make_folder(folder, is_private=True)
        if is_shared(folder.parent):
            folder.chmod(0o711)  # its files have stricter modes


def signing_pair(home: Path) -> tuple[bytes, bytes]:
    """Return the verifying and the signing key of a home.

    Raises:
        KeyProblemError: The signing key is missing or cannot be read.
    """
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
    """Signs actors' names. Reads the key when first needed, and when its file changes. Safe between threads.

    Args:
        home: The recorder's folder.
        clock: Seconds since the machine booted.
    """

    def __init__(self, home: Path, *, clock: Clock = since_boot_s) -> None:
        self._home = home
        self._clock = clock
        self._known: tuple[tuple[int, int], bytes] | None = None

    def is_able(self) -> bool:
        """Tell whether the key can be read."""
        try:
            self._load()
        except (OSError, KeyProblemError):
            return False
        return True

    @property
    def now_ms(self) -> int:
        """Return the time since this machine's boot."""
        return int(self._clock() * 1000)

    def sign(self, said: Said, audience: Audience | None = None) -> str:
        """Return the signature header.

        Args:
            said: What to sign.
            audience: The node that it is for; None for the daemon of this machine.

        Raises:
            KeyProblemError: There is no readable key.
            OSError: There is none, and none can be created.
        """
        secret = self._load()
        at_ms, nonce = self.now_ms, secrets.token_hex(16)
        if audience is None:
            kind, where = 1, _local()
        else:
            kind, where, at_ms = 2, _remote(audience.node, audience.run), max(at_ms + audience.ahead_ms, 0)
        signature = crypto.sign(said.message(where, at_ms, nonce), secret)
        return f"{kind};{at_ms};{nonce};{base64.b64encode(signature).decode('ascii')}"

    def _load(self) -> bytes:
        if self._known is None:
            ensure_key(self._home)  # homes of older versions have none
        found = secret_path(self._home).stat()
        mark, known = (found.st_ino, found.st_mtime_ns), self._known
        if known is None or known[0] != mark:
            known = self._known = mark, signing_pair(self._home)[1]
        return known[1]


class Verifier:
    """Verifies signatures, each once. Safe between threads.

    The key is read again when its file changes: `recorder init` or the console may create it after the daemon has
    begun.

    Args:
        home: The recorder's folder.
        node: This node's name; "" on a site with one recorder.
        clock: Seconds since the machine booted.
    """

    def __init__(self, home: Path, *, node: str = "", clock: Clock = since_boot_s) -> None:
        self._keys = tuple(_KeyFile(path) for path in (public_path(home), next_public_path(home)))
        self._node = node
        self._run = secrets.token_hex(16)
        self._clock = clock
        self._began_ms = int(clock() * 1000)
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}
        """Nonces, oldest first, with the time of use."""

    @property
    def greeting(self) -> Greeting:
        """Return what other machines need to sign for this daemon."""
        return Greeting(node=self._node, run=self._run, now_ms=int(self._clock() * 1000))

    def check(self, said: Said, header: str, *, is_remote: bool = False) -> None:
        """Check that data was signed, recently and not used before.

        Args:
            said: The data.
            header: The signature.
            is_remote: Whether another machine asks, which signs for this node.

        Raises:
            UnsignedError: It was not.
        """
        match = _SIGNATURE.match(header)
        if match is None or (match[1] == "2") is not is_remote:
            raise UnsignedError("The actor's name is not signed by the console's key: use the console, or `recorder`.")
        at_ms, nonce, signature = int(match[2]), match[3], base64.b64decode(match[4])
        message = said.message(_remote(self._node, self._run) if is_remote else _local(), at_ms, nonce)
        if not any(crypto.is_signed(message, signature, public) for public in self._public()):
            raise UnsignedError(
                "The signature of the actor's name is not valid: another key was used, or the request was changed."
            )
        now_ms = int(self._clock() * 1000)
        good_for_s = REMOTE_GOOD_FOR_S if is_remote else GOOD_FOR_S
        if at_ms < self._began_ms or abs(now_ms - at_ms) > good_for_s * 1000:
            raise UnsignedError("The signature of the actor's name is too old: try again.")
        self._use(nonce, now_ms)

    def _use(self, nonce: str, now_ms: int) -> None:
        with self._lock:
            while self._seen and now_ms - next(iter(self._seen.values())) > 2 * GOOD_FOR_S * 1000:
                del self._seen[next(iter(self._seen))]
            if nonce in self._seen:
                raise UnsignedError("The signature of the actor's name was used before: try again.")
            if len(self._seen) >= MOST_NONCES:
                raise UnsignedError("There are too many requests: try again.")
            self._seen[nonce] = now_ms

    def _public(self) -> list[bytes]:
        """Return the verifying key, and one that is being introduced."""
        key, coming = self._keys
        try:  # first, since it becomes the other one, and is then removed
            found = [coming.read()] if coming.path.exists() else []
        except UnsignedError:
            found = []
        return [key.read(), *found]


class _KeyFile:
    """A file with a verifying key; it is read again when it changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[tuple[int, int], bytes] | None = None

    def read(self) -> bytes:
        try:
            found = self.path.stat()
            mark, known = (found.st_ino, found.st_mtime_ns), self._known
            if known is None or known[0] != mark:
                known = self._known = mark, _key(self.path.read_bytes(), self.path)
        except (OSError, KeyProblemError) as error:
            raise UnsignedError(
                f"The key that verifies the actor cannot be read ({self.path}): start the console, which creates it."
            ) from error
        return known[1]
