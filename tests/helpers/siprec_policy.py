"""A recorder and its SIPREC clients, for tests of the policy and of the lines."""

import itertools
from dataclasses import dataclass
from typing import Any

from tests.helpers.recorder_home import RecorderHome, eventually
from tests.helpers.siprec_client import Client, Session
from tests.helpers.siprec_shapes import rfc

METADATA = "application/rs-metadata+xml"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Site:
    """A home and its clients by the name of their peer."""

    home: RecorderHome
    clients: dict[str, Client]

    def session(self, peer: str = "sbc", **more: Any) -> Session:
        """Return a session that has not begun, with a caller of its own."""
        return self.clients[peer].session(caller=more.pop("caller", f"+4416329601{next(_numbers):02d}"), **more)

    def live(self, session: Session) -> dict[str, Any]:
        """Wait until the daemon lists the session's call."""
        return eventually(
            lambda: next((one for one in self.home.calls() if one["caller"] == session.call.caller.user), None),
            "the session is listed",
        )

    def files(self) -> list[str]:
        """Return the names of every container."""
        return [path.name for path in (self.home.root / "recordings").rglob("*.rec*")]


def document(session: Session, **changes: Any) -> bytes:
    """Return the metadata of a session as it is now."""
    return rfc(session.call, **changes).encode()
