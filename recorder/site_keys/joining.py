"""A node takes what its welcome brings: certificate, authority, revocations, signing key, epochs, and the key list.

It is safe to do again: what is stored already stays.
"""

from collections.abc import Mapping
from pathlib import Path

from recorder.access.signing import next_public_path, public_path, signing_pair
from recorder.common.home import Home
from recorder.site_keys.authority import pem
from recorder.site_keys.key_list import RefusedListError, SignedList
from recorder.site_keys.places import (
    SiteKeysError,
    authority_certificate,
    console_certificate,
    console_key,
    is_key_holder,
    node_certificate,
    node_key,
    revocation_list,
)
from recorder.site_keys.welcome import Welcome
from sip.message import is_ip
from storage.durable import make_folder, remove, save_atomically
from storage.epochs import EpochPublicKey, names_in, read_public
from storage.known_nodes import list_path


def check_can_join(home: Home, welcome: Welcome) -> None:
    """Check that nothing in a home is lost or left behind if it joins.

    Raises:
        SiteKeysError: It has private keys of its own; a node has none.
    """
    if is_key_holder(home):
        public, _ = signing_pair(home.root)
        if public in [one.public for one in welcome.key_list.content.signers]:
            return  # the key holder's machine records too
    if is_key_holder(home) or names_in(home.private_keys, ".key"):
        raise SiteKeysError(
            f"{home.root} has accounts or private keys of its own, which a node has not: make a new home for the node "
            "with `recorder nodes request -C FOLDER`; recordings that are here stay readable here"
        )


def join(home: Home, welcome: Welcome) -> None:
    """Store what a welcome brings. The caller has compared its fingerprint, so an earlier site is left.

    Raises:
        SiteKeysError: The home has another key for an epoch.
        OSError: It cannot be written; do it again.
    """
    if not is_key_holder(home):
        take_list(home, welcome.key_list)
    save_if_new(node_certificate(home), pem(welcome.certificate).encode())


def take_list(home: Home, found: SignedList) -> None:
    """Store the keys of a checked list, the list itself last.

    Raises:
        RefusedListError: The home has another key for an epoch.
        OSError: It cannot be written; do it again.
    """
    content = found.content
    _take_epochs(home, content.epochs)
    for path, text in ((authority_certificate(home), content.authority), (revocation_list(home), content.revoked)):
        make_folder(path.parent)
        save_if_new(path, text.encode())
    signed_by, coming = found.signed_by, found.next_signer
    assert signed_by is not None, "the list was checked"
    make_folder(public_path(home.root).parent)
    if coming is not None:
        save_if_new(next_public_path(home.root), coming.hex().encode() + b"\n", mode=0o644)
    save_if_new(public_path(home.root), signed_by.hex().encode() + b"\n", mode=0o644)
    if coming is None and next_public_path(home.root).exists():
        remove(next_public_path(home.root))
    save_if_new(list_path(home.root), found.file())


def _take_epochs(home: Home, epochs: Mapping[str, bytes]) -> None:
    folder = home.root / "keys" / "epochs"
    known = {name: read_public(folder, name).public for name in names_in(folder, ".pub")}
    for name, public in epochs.items():
        if known.get(name, public) != public:
            raise RefusedListError(f"it has another key for epoch {name} than {folder / name}.pub")
    make_folder(folder)
    for name, public in epochs.items():
        if name not in known:
            EpochPublicKey(name=name, public=public).write_once(folder)


def save_if_new(path: Path, content: bytes, *, mode: int | None = None) -> bool:
    """Save a small file unless it has this content; returns whether it was written."""
    if path.exists() and path.read_bytes() == content:
        return False
    save_atomically(path, content, mode=mode)
    return True


def lines_to_add(home: Home, name: str, address: str | None) -> str:
    """Return the lines of ``recorder.toml`` that a node needs."""
    is_plain = address is not None and is_ip(address.rpartition(":")[0].strip("[]"))
    lines = ["[node]", f'name = "{name}"', f'listen = "{address if is_plain else "IP:PORT"}"']
    if address is not None and not is_plain:
        lines.append(f'advertised = "{address}"')
    files = {"certificate": node_certificate(home), "key": node_key(home), "ca": authority_certificate(home)}
    return "\n".join([*lines, *(f'{key} = "{path}"' for key, path in files.items())])


def console_lines(home: Home) -> str:
    """Return the lines of ``recorder.toml`` with which console and command line reach nodes."""
    files = {
        "ca": authority_certificate(home),
        "console_certificate": console_certificate(home),
        "console_key": console_key(home),
    }
    return "\n".join(["[node]", *(f'{key} = "{path}"' for key, path in files.items())])
