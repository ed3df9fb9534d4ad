"""The key holder's record of each node that was added: ``keys/nodes/NAME.json``."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder.common.home import Home
from recorder.site_keys.places import SiteKeysError, known_nodes
from storage import crypto
from storage.durable import make_folder, save_atomically
from storage.rows import time_from_json, time_to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """A node of the site.

    Attributes:
        name: Its name.
        public: Its public signing key.
        address: Where its control API listens, ``HOST:PORT``; None if it was not given.
        serials: Serial numbers of the certificates that it was given.
        ends_at: When the newest of them ends.
        added_at: When it was added.
        added_by: Account that added it.
        removed_at: When it was removed; None if it was not.
    """

    name: str
    public: bytes
    address: str | None
    serials: tuple[int, ...]
    ends_at: datetime
    added_at: datetime
    added_by: str
    removed_at: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its public signing key in hex."""
        return crypto.fingerprint(self.public).hex()

    def removed(self, now: datetime) -> "NodeRecord":
        """Return the record of the node after it was removed."""
        return replace(self, removed_at=now)

    def listed(self) -> dict[str, Any]:
        """Return its entry in the key list."""
        return {"public": self.public.hex(), "removed_at": time_to_json(self.removed_at)}


def read_records(home: Home) -> dict[str, NodeRecord]:
    """Return the records by the nodes' names.

    Raises:
        SiteKeysError: One cannot be read.
    """
    return {path.stem: _read(path) for path in sorted(known_nodes(home).glob("*.json"))}


def save_record(home: Home, record: NodeRecord) -> None:
    """Store a record durably.

    Raises:
        OSError: From the system.
    """
    fields = {
        "version": 1,
        "name": record.name,
        "public": record.public.hex(),
        "address": record.address,
        "serials": [f"{serial:x}" for serial in record.serials],
        "ends_at": time_to_json(record.ends_at),
        "added_at": time_to_json(record.added_at),
        "added_by": record.added_by,
        "removed_at": time_to_json(record.removed_at),
    }
    make_folder(known_nodes(home))
    save_atomically(known_nodes(home) / f"{record.name}.json", json.dumps(fields, indent=1).encode() + b"\n")


def _read(path: Path) -> NodeRecord:
    try:
        fields = json.loads(path.read_bytes())
        ends_at, added_at = time_from_json(fields["ends_at"]), time_from_json(fields["added_at"])
        if fields["name"] != path.stem or ends_at is None or added_at is None:
            raise ValueError(path.stem)
        return NodeRecord(
            name=path.stem,
            public=bytes.fromhex(fields["public"]),
            address=fields["address"],
            serials=tuple(int(serial, 16) for serial in fields["serials"]),
            ends_at=ends_at,
            added_at=added_at,
            added_by=str(fields["added_by"]),
            removed_at=time_from_json(fields["removed_at"]),
        )
    except OSError as error:
        raise SiteKeysError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SiteKeysError(f"{path} is not the record of a node: restore it from a backup") from error
