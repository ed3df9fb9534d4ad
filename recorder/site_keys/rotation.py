"""Exchanges the key that signs acts and key lists, without a moment in which a node accepts neither.

The new key is introduced by a list that the old key signs; nodes accept both from then on. When every node follows that
list, the new key signs, and with the next list nodes accept it alone. After a kill, run it again.
"""

from collections.abc import Callable
from pathlib import Path

from recorder.access.signing import next_public_path, public_path, secret_path, signing_pair
from recorder.common.home import Home
from recorder.site_keys.joining import save_if_new
from recorder.site_keys.key_list import SignedList, link
from recorder.site_keys.node_records import read_records
from recorder.site_keys.places import SiteKeysError
from recorder.site_keys.publishing import has_nodes, introduce, publish, stored_list
from storage import crypto
from storage.database import Database
from storage.durable import remove
from storage.key_files import create_once, destroy_secret, read_secret, replace_wiped
from storage.key_list_rows import reports
from storage.keys import NodeKeys


def begin(home: Home, database: Database) -> SignedList | None:
    """Make the new key and introduce it to the nodes; returns the list to follow, None if there is no other node.

    Raises:
        KeyProblemError: A key cannot be read.
        DatabaseError: The database does not answer; the old key stays in force.
        OSError: It cannot be written.
    """
    create_once(_coming(home), crypto.new_key().hex().encode() + b"\n")
    public, secret = signing_pair(home.root)
    coming = _public_of_coming(home)
    save_if_new(next_public_path(home.root), coming.hex().encode() + b"\n", mode=0o644)
    if not has_nodes(home):
        return None
    found = publish(home, database)
    signers = found.content.signers
    if signers[-1].public != coming:
        found = introduce(home, database, (*signers, link(coming, public, secret)), secret)
    return found


def waits_for(home: Home, database: Database, found: SignedList) -> list[str]:
    """Return the names of the nodes that do not follow a list yet.

    Raises:
        KeyProblemError: A record cannot be read.
        DatabaseError: The database does not answer.
    """
    own, said = NodeKeys.load(home.root).fingerprint, reports(database)
    others = (one for one in read_records(home).values() if one.removed_at is None and one.fingerprint != own)
    return [
        one.name
        for one in others
        if one.fingerprint not in said or said[one.fingerprint].list_number < found.content.number
    ]


def finish(home: Home, database: Database, *, note: Callable[[bytes], object]) -> bytes:
    """Put the new key into force; returns its public half.

    Args:
        home: The key holder's home.
        database: The site's index database.
        note: Writes the audit entry about the new public key, before it is in force.

    Raises:
        KeyProblemError: `begin` has not run, or a key cannot be read.
        DatabaseError: The new key is in force, but the list that says so is not published; the console tries again.
        OSError: It cannot be written; do it again.
    """
    if not _coming(home).exists():
        raise SiteKeysError("no new signing key was made: run `recorder keys rotate-signing` again")
    public = _public_of_coming(home)
    note(public)
    replace_wiped(secret_path(home.root), read_secret(_coming(home)))
    save_if_new(public_path(home.root), public.hex().encode() + b"\n", mode=0o644)
    destroy_secret(_coming(home))
    remove(next_public_path(home.root))
    if has_nodes(home) and stored_list(home) is not None:
        publish(home, database)
    return public


def _coming(home: Home) -> Path:
    return secret_path(home.root).with_name("actor.next.key")


def _public_of_coming(home: Home) -> bytes:
    try:
        return crypto.signing_pair(bytes.fromhex(read_secret(_coming(home)).decode("ascii")))[0]
    except ValueError as error:
        raise SiteKeysError(f"{_coming(home)} does not hold a key: remove it, and run this again") from error
