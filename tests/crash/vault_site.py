"""A recorder's home as crash tests work on it: its parts, opened anew by each process, at a time that is passed in."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine

from recorder.access.database import open_people
from recorder.common.home import Home
from recorder.config.settings import Config, Retention
from recorder.permissions import Person, Role
from recorder.retention.account_expiry import AccountExpiry
from recorder.retention.eraser import Eraser
from recorder.retention.hold_repositories import HoldRepositories
from recorder.retention.housekeeping import KeyHolder
from recorder.retention.sweep import Sweeper
from recorder.retention.sweep_state import SweepFile
from recorder.rules.policy import Service
from storage.audit import AuditLog
from storage.database import Database, sqlite_url
from storage.deletion import Shredder
from storage.epochs import EpochKeys
from storage.erasures import Erasures
from storage.holds import Holds
from storage.index import Index
from storage.keys import NodeKeys
from storage.old_calls import OldCalls
from storage.runs import ANCHOR, AUDIO, PCMA, TICKS_PER_S, pack
from storage.tombstones import Deletions
from storage.types import RecordingId
from storage.vault import Vault
from tests.helpers.audit_services import audit_service
from tests.helpers.sweep_site import Agreed

KEPT_DAYS = 4
"""Retention of the tests' recordings: short, so that every sweep has something to do."""
SERVICE = "housing"
CONFIG = Config(service=(Service(name=SERVICE, retention_days=KEPT_DAYS),), retention=Retention(unrecorded_days=4))
DORA = Person(name="dora", display_name="Dora", roles=frozenset({Role.DPO}))
_NEVER_SILENT = bytes(code or 1 for code in range(256))
"""What was recorded has no 0 in it, so that a 0 is where nothing is."""


@dataclass(frozen=True)
class VaultSite:
    """One home at one moment. Parts are opened when they are first asked for, and are not to be carried over a fork."""

    folder: Path
    now: datetime

    @cached_property
    def home(self) -> Home:
        return Home(self.folder / "home")

    @cached_property
    def epochs(self) -> EpochKeys:
        return EpochKeys(self.home.root / "keys" / "epochs", self.home.private_keys)

    @cached_property
    def node(self) -> NodeKeys:
        return NodeKeys.create(self.home.root)

    @cached_property
    def vault(self) -> Vault:
        return Vault(self.home.root, self.node)

    @cached_property
    def database(self) -> Database:
        return Database(sqlite_url(self.home.index))

    @cached_property
    def index(self) -> Index:
        return Index(self.database, now=lambda: self.now)

    @cached_property
    def audit(self) -> AuditLog:
        return AuditLog(self.home.audit, now=lambda: self.now)

    @cached_property
    def people(self) -> Engine:
        return open_people(self.home.people)

    @cached_property
    def holds(self) -> Holds:
        return Holds(self.database)

    @cached_property
    def erasures(self) -> Erasures:
        return Erasures(self.database)

    @cached_property
    def deletions(self) -> Deletions:
        return Deletions(self.database)

    @property
    def sweeper(self) -> Sweeper:
        file = SweepFile(self.home.state, self.audit)
        if file.load().in_force is None:
            file.save(replace(file.load(), in_force=dict(CONFIG.periods)))  # as `recorder init` stores them
        return Sweeper(
            vault=self.vault, calls=OldCalls(self.database),
            shredder=Shredder(self.vault, self.deletions, self.audit), holds=self.holds, erasures=self.erasures,
            former=AccountExpiry(self.people), audit=self.audit, state=self.home.state,
            erasing_lock=self.home.erasing_lock,
            consents=Agreed(), periods=CONFIG.periods, most_share=100.0, now=lambda: self.now,
        )  # fmt: skip

    @property
    def eraser(self) -> Eraser:
        return Eraser(
            vault=self.vault, keys=self.epochs, index=self.index, erasures=self.erasures, holds=self.holds,
            audit=self.audit, lock=self.home.erasing_lock, now=lambda: self.now,
        )  # fmt: skip

    @property
    def key_holder(self) -> KeyHolder:
        return KeyHolder(
            vault=self.vault, keys=self.epochs, index=self.index, audit=self.audit, lock=self.home.erasing_lock,
            now=lambda: self.now,
        )  # fmt: skip

    @property
    def hold_repositories(self) -> HoldRepositories:
        return HoldRepositories(
            index=self.index, holds=self.holds, audit=self.audit, vault=self.vault, people=lambda: [DORA],
            audit_service=audit_service(self.audit, self.home.state), state=self.home.state, now=lambda: self.now,
        )  # fmt: skip

    def close(self) -> None:
        """Close the database, if it was opened."""
        if "database" in self.__dict__:
            self.database.close()


@contextmanager
def opened(folder: Path, now: datetime) -> Iterator[VaultSite]:
    """Open a home for the length of a block."""
    site = VaultSite(folder, now)
    site.home.root.mkdir(parents=True, exist_ok=True)
    Database(sqlite_url(site.home.index)).close()  # as `recorder init` makes it
    try:
        yield site
    finally:
        site.close()


def recording_id(started: datetime, rng: random.Random) -> RecordingId:
    """Return the id of a recording that starts then."""
    return RecordingId(f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-2001-{rng.randrange(1 << 24):06x}")


def started_at(recording: RecordingId) -> datetime:
    """Return when a recording started."""
    return datetime.strptime(recording[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def ended_at(recording: RecordingId, seconds: int) -> datetime:
    """Return when a recording of so many seconds ended."""
    return started_at(recording) + timedelta(seconds=seconds)


def sound(recording: RecordingId, second: int) -> tuple[bytes, bytes]:
    """Return what is said in a second of a recording, left and right: the recording's own, never silent."""
    said = random.Random(f"{recording}/{second}").randbytes(2 * TICKS_PER_S).translate(_NEVER_SILENT)
    return said[:TICKS_PER_S], said[TICKS_PER_S:]


def block(recording: RecordingId, second: int) -> bytes:
    """Return the block of runs of a second, as the tap would hand it out."""
    start = second * TICKS_PER_S
    return b"".join(
        pack(AUDIO, channel, PCMA, start, payload=said) + pack(ANCHOR, channel, PCMA, start, aux=second * 1_000_000_000)
        for channel, said in enumerate(sound(recording, second))
    )
