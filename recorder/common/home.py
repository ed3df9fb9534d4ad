"""Where things lie in a recorder's home folder."""

from dataclasses import dataclass
from pathlib import Path

from storage.group_modes import COMMON


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
        """The daemon's socket."""
        return _common(self) / "recorder.sock"

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
        return _common(self) / "index.sqlite"

    @property
    def common(self) -> Path:
        """The folder of index and socket where daemon and console run as two users; else it is not there.

        The accounts' user alone makes files in the home itself: a journal beside the file of people changes it.
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


def _common(home: Home) -> Path:
    """Return the folder of index and socket."""
    return home.common if home.common.is_dir() else home.root
