"""`recorder keys rotate-signing`: exchanges the key that signs who acts, and the site's key list."""

import time

from recorder.access.database import AuditNote
from recorder.cli.context import PersonContext
from recorder.cli.entries import append, permit
from recorder.cli.errors import said_plainly
from recorder.cli.output import say
from recorder.cli.records import opened_index
from recorder.cli.results.keys import RotatedSigningKey
from recorder.permissions import Act
from recorder.site_keys.rotation import begin, finish, waits_for
from storage import crypto

WAIT_S = 60.0
"""How long nodes are waited for, seconds; a node reads the list every ten."""
_LOOK_S = 0.5


def rotate_signing(context: PersonContext) -> None:
    """Exchange the key that signs who acts, because the old one may be in other hands.

    Other nodes take the new key over before it is used, so no act is refused. A node that does not within a minute is
    named; it takes the key over when it is back. After an interruption, run it again.
    """
    home = context.home
    person = context.sign_in("managing keys")
    details = {"what": "rotate-signing"}
    permit(home, Act.MANAGE_KEYS, person, reason="", subject="", operator=None, details=details)
    with said_plainly("run it again"), opened_index(context) as index:
        found = begin(home, index.database)
        deadline = time.monotonic() + WAIT_S
        missing = waits_for(home, index.database, found) if found else []
        if missing:
            say(f"waiting for {', '.join(missing)}, at most {WAIT_S:g} s")
        while found and missing and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            missing = waits_for(home, index.database, found)

        def note(public: bytes) -> None:
            mark = crypto.fingerprint(public).hex()
            noted = AuditNote(act="keys.signing_rotated", subject="", details={"key": mark, "missing": missing})
            append(home, noted, actor=person.actor)

        public = finish(home, index.database, note=note)
    mark = crypto.fingerprint(public).hex()
    context.tell(
        RotatedSigningKey(fingerprint=mark, missing=missing),
        f"acts are signed with a new key, {mark[:16]}",
        *(f"{name} does not know it yet: acts there are refused until it has read the list" for name in missing),
    )
