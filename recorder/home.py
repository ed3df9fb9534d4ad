"""Where things lie in a recorder's home folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one folder; nothing is created here."""

    root: Path

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.root / "recorder.toml"

    @property
    def socket(self) -> Path:
        """The daemon's socket, 0600."""
        return self.root / "recorder.sock"

    @property
    def people(self) -> Path:
        """Accounts and tokens."""
        return self.root / "people.sqlite"

    @property
    def pins(self) -> Path:
        """PINs of managers, hashed: what the daemon reads of people."""
        return self.root / "pins.json"

    @property
    def index(self) -> Path:
        """The index, unless a URL is configured."""
        return self.root / "index.sqlite"

    @property
    def audit(self) -> Path:
        """The folder of the audit log."""
        return self.root / "audit"

    @property
    def private_keys(self) -> Path:
        """Private epoch keys; on the key holder only."""
        return self.root / "private"

    @property
    def notices(self) -> Path:
        """Notices by hash, and which version is in use."""
        return self.root / "notices"

    @property
    def state(self) -> Path:
        """What must outlive a process but is no record: pauses, sign-ons, the daemon's lock."""
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
        """Held by whoever carries out orders to erase."""
        return self.state / "erasing.lock"

    @property
    def log(self) -> Path:
        """The daemon's log when `up` runs it."""
        return self.root / "recorder.log"
