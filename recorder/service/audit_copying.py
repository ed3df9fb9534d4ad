"""Opens what copies the audit log of a home into a database that several machines share."""

from recorder.audit.copies import log_name
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.forwarding.audit_shipping import LOOK_S, AuditShipping
from recorder.recordings.home_stores import open_index
from storage.audit import AuditLog
from storage.audit_copies import AuditCopies
from storage.keys import NodeKeys


def open_shipping(home: Home, config: Config, *, look_s: float = LOOK_S) -> AuditShipping:
    """Return what copies a home's audit log; the database is opened at its first use.

    Args:
        home: The home.
        config: Its configuration, with the index on a server.
        look_s: Interval between two looks at the log, seconds.

    Raises:
        KeyProblemError: The node's keys cannot be read.
    """
    node = NodeKeys.load(home.root)
    index = open_index(home, config, is_deferred=True)
    return AuditShipping(
        AuditLog(home.audit), AuditCopies(index.database), name=log_name(config, node), fingerprint=node.fingerprint,
        now=utc_now, look_s=look_s,
    )  # fmt: skip
