"""Paths in a recorder's home folder."""

from dataclasses import dataclass
from pathlib import Path

from storage.group_modes import COMMON


@dataclass(frozen=True, slots=True)
class Home:
    """Paths in one home; nothing is created here."""

    root: Path

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.root / "recorder.toml"

    @property
    def socket(self) -> Path:
        """The daemon's socket."""
        return _common(self) / "recorder.sock"

    @property
    def people(self) -> Path:
        """Accounts and tokens."""
        return self.root / "people.sqlite"

    @property
    def pins(self) -> Path:
        """Hashed PINs of managers, for the daemon, which reads nothing else of accounts."""
        return self.root / "pins.json"

    @property
    def index(self) -> Path:
        """The index, unless a URL is configured."""
        return _common(self) / "index.sqlite"

    @property
    def webhooks(self) -> Path:
        """Events for webhooks and their deliveries; daemon and console add to it."""
        return _common(self) / "webhooks.sqlite"

    @property
    def common(self) -> Path:
        """The folder of index and socket if daemon and console run as two users; else it does not exist.

        Only the accounts' user may create files in the home itself, because a journal beside the file of people changes
        it.
        """
        return self.root / COMMON

    @property
    def audit(self) -> Path:
        """The folder of the audit log."""
        return self.root / "audit"

    @property
    def private_keys(self) -> Path:
        """Private epoch keys; on the key holder only."""
        return self.root / "private"

    @property
    def accounts_key(self) -> Path:
        """The key that seals authenticators in the accounts; always here, wherever the private epoch keys are."""
        return self.private_keys / "accounts.key"

    @property
    def notices(self) -> Path:
        """Notices by hash, and the version in use."""
        return self.root / "notices"

    @property
    def state(self) -> Path:
        """State that must survive a process but is no record: pauses, sign-ons, the home lock."""
        return self.root / "state"

    @property
    def recordings(self) -> Path:
        """Containers, by date and operator."""
        return self.root / "recordings"

    @property
    def lock(self) -> Path:
        """Held by the running daemon."""
        return self.state / "daemon.lock"

    @property
    def erasing_lock(self) -> Path:
        """Held by a process that carries out orders to erase."""
        return self.state / "erasing.lock"

    @property
    def log(self) -> Path:
        """The daemon's log when `up` runs it."""
        return self.root / "recorder.log"


def _common(home: Home) -> Path:
    return home.common if home.common.is_dir() else home.root
