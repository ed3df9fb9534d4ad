"""The key holder publishes the site's key list: into its home first, then into the database.

Commands publish at once; the console looks every PUBLISH_S whether the list is still right, so that keys of new months,
and a list that a command could not store, follow.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from recorder.access.signing import signing_pair
from recorder.common.file_lock import locked
from recorder.common.home import Home
from recorder.site_keys.authority import ensure_console, load_authority
from recorder.site_keys.key_list import KeyList, SignedList, TrustedSigner, parse_list, read_file, sign_list
from recorder.site_keys.node_records import read_records
from recorder.site_keys.places import SiteKeysError, authority_certificate, is_key_holder, revocation_list
from storage.database import Database
from storage.durable import save_atomically
from storage.epochs import names_in, read_public
from storage.errors import StorageError
from storage.key_list_rows import StoredList, newest_list, replace_list
from storage.keys import NodeKeys
from storage.known_nodes import list_path
from storage.rows import time_to_json

_log = logging.getLogger(__name__)

PUBLISH_S = 60.0
"""How often the console looks whether the published list is right, seconds."""
LOCK = "site-keys.lock"
OWN = "key-holder"
"""Name in the list of the key holder's own node, which may record too; no node can be added under it."""


def has_nodes(home: Home) -> bool:
    """Tell whether this home is the key holder of a site that has an authority, and so publishes a list."""
    return is_key_holder(home) and authority_certificate(home).exists()


def stored_list(home: Home) -> SignedList | None:
    """Return the list in a home, or None.

    Raises:
        RefusedListError, SiteKeysError: It cannot be read.
    """
    path = list_path(home.root)
    try:
        return read_file(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SiteKeysError(f"{path} cannot be read: {error.strerror}") from error


def publish(home: Home, database: Database) -> SignedList:
    """Bring the list up to date with the keys in the home, and store it in the database; returns it.

    Raises:
        SiteKeysError, KeyProblemError: A key cannot be read, or does not fit the list.
        DatabaseError: The list is in the home, but not in the database; the console tries again.
        OSError: It cannot be written.
    """
    with locked(home.state / LOCK, wait=True):
        found = _newest(home, stored_list(home), newest_list(database))
        _store(database, found)
    return found


def prepare(home: Home) -> SignedList:
    """Bring the list in the home up to date, without the database; `publish` follows. Raises as that."""
    with locked(home.state / LOCK, wait=True):
        return _newest(home, stored_list(home), None)


def introduce(home: Home, database: Database, signers: tuple[TrustedSigner, ...], secret: bytes) -> SignedList:
    """Publish a list with other signing keys, signed with ``secret``. Raises as `publish`."""
    with locked(home.state / LOCK, wait=True):
        before = _newest(home, stored_list(home), newest_list(database))
        content = replace(before.content, number=before.content.number + 1, signers=signers)
        found = sign_list(content, secret)
        save_atomically(list_path(home.root), found.file())
        _store(database, found)
    return found


def _newest(home: Home, known: SignedList | None, published: StoredList | None) -> SignedList:
    """Return the list of the keys in the home; write it if it differs from the stored one."""
    public, secret = signing_pair(home.root)
    signers = (TrustedSigner(public=public),) if known is None else known.content.signers
    if public not in [one.public for one in signers[-2:]]:
        raise SiteKeysError(
            "keys/actor/actor.key is not the signing key of keys/site/list.json: restore both from one backup"
        )
    number = 0 if known is None else known.content.number
    wanted = _content(home, signers, number)
    above = _number_of(published, public)
    if known is not None and wanted.text() == known.text and known.signed_by == public and above <= number:
        return known
    found = sign_list(replace(wanted, number=max(number, above) + 1), secret)
    save_atomically(list_path(home.root), found.file())
    return found


def _content(home: Home, signers: tuple[TrustedSigner, ...], number: int) -> KeyList:
    epochs = home.root / "keys" / "epochs"
    own = {"public": NodeKeys.load(home.root).sign_public.hex(), "removed_at": time_to_json(None)}
    records: Mapping[str, object] = {name: one.listed() for name, one in read_records(home).items()}
    try:
        authority, revoked = authority_certificate(home).read_text(), revocation_list(home).read_text()
    except OSError as error:
        raise SiteKeysError(f"{error.filename} cannot be read: {error.strerror}") from error
    return KeyList(
        number=number,
        signers=signers,
        epochs={name: read_public(epochs, name).public for name in names_in(epochs, ".pub")},
        nodes={OWN: own, **records},  # type: ignore[dict-item]
        authority=authority,
        revoked=revoked,
    )


def _number_of(published: StoredList | None, public: bytes) -> int:
    """Return the number of a published list that this key holder has signed, else 0: anybody can write a number."""
    if published is None:
        return 0
    try:
        found = parse_list(published.text, published.signature)
    except SiteKeysError:
        return 0
    return found.content.number if found.signed_by == public else 0


def _store(database: Database, found: SignedList) -> None:
    wanted = StoredList(number=found.content.number, text=found.text, signature=found.signature)
    if newest_list(database) != wanted:
        replace_list(database, wanted)


def keep_published(
    home: Home,
    database: Database,
    stopping: threading.Event,
    *,
    now: Callable[[], datetime],
    every_s: float = PUBLISH_S,
) -> None:
    """Publish at intervals until ``stopping`` is set, if this is the key holder of a site with nodes.

    The console's certificate is renewed too. A failure is logged once.
    """
    said = ""
    while True:
        try:
            if has_nodes(home):
                publish(home, database)
                ensure_console(home, load_authority(home), now())
            said = ""
        except (StorageError, SiteKeysError, OSError) as error:
            if str(error) != said:
                _log.error("Publishing the site's key list failed; retrying: %s", error)
            said = str(error)
        except Exception:  # noqa: BLE001 - nodes need the keys of coming months in the end
            _log.exception("Internal error while publishing the site's key list; retrying")
        if stopping.wait(every_s):
            return
