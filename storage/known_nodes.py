"""The nodes whose recordings a home accepts: its own, and those in the site's key list.

A site with one machine has no key list. Then only the home's own node is known.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from storage import crypto
from storage.containers import Container
from storage.errors import DamagedError, KeyProblemError
from storage.format import CHECK_BYTES, FRAME_HEADER, ContainerScan, Footer, Frame, FrameType, open_container
from storage.keys import NodeKeys


def list_path(home: Path) -> Path:
    """Return the path of the key list that a home follows."""
    return home / "keys" / "site" / "list.json"


def node_keys_in(document: Mapping[str, object]) -> dict[str, bytes]:
    """Return the public signing keys of the nodes in a key list by the nodes' names, those of removed nodes included.

    Recordings that a node made before it was removed stay valid.

    Raises:
        ValueError: It is no key list.
    """
    nodes = document["nodes"]
    if not isinstance(nodes, Mapping):
        raise ValueError("the nodes of a key list are no table")
    return {str(name): bytes.fromhex(one["public"]) for name, one in nodes.items()}


def other_nodes(home: Path) -> dict[str, bytes] | None:
    """Return the public signing keys of the nodes in a home's key list, or None: the home has no list.

    Raises:
        KeyProblemError: The list cannot be read.
    """
    path = list_path(home)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyProblemError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return node_keys_in(json.loads(json.loads(content)["document"]))
    except (ValueError, KeyError, TypeError) as error:
        raise KeyProblemError(f"{path} does not hold a key list: restore it from a backup") from error


def trusted_keys(home: Path, own: bytes) -> tuple[bytes, ...]:
    """Return the public signing keys that containers of a home may be signed with; ``own`` is its node's.

    Raises:
        KeyProblemError: The key list cannot be read.
    """
    return (own, *(other_nodes(home) or {}).values())


def check_signer(container: Container, home: Path) -> None:
    """Check before a finished container is opened that a known node signed its footer. No effect without a key list.

    Reads only the two ends of the file. That the footer fits the rest, `storage.verify` checks.

    Raises:
        DamagedError: Another node signed it, or the signature is wrong.
        KeyProblemError: The key list or the node's key cannot be read.
        OSError: The file cannot be read.
    """
    others = other_nodes(home)
    if others is None:
        return
    known = {crypto.fingerprint(key): key for key in (NodeKeys.load(home).sign_public, *others.values())}
    footer, message, signature = _footer(container)
    public = known.get(footer.fingerprint)
    if public is None:
        raise DamagedError(
            f"it is signed by a node that this site does not know, key {footer.fingerprint.hex()[:16]}: "
            "`recorder nodes add` makes a node known"
        )
    if not crypto.is_signed(message, signature, public):
        raise DamagedError("the footer's signature is wrong: the file was not closed like this by its node")


def _footer(container: Container) -> tuple[Footer, bytes, bytes]:
    with open_container(container) as file:
        recording = ContainerScan(file).prologue.id
        body_bytes = Footer.length(recording)
        start = file.seek(0, os.SEEK_END) - FRAME_HEADER.size - body_bytes - CHECK_BYTES
        if start < 0:
            raise DamagedError("the file is cut: it has no footer")
        file.seek(start)
        header, body = file.read(FRAME_HEADER.size), file.read(body_bytes)
    kind, _, _, length, ticks = FRAME_HEADER.unpack(header)
    if kind != FrameType.FOOTER or length != body_bytes:
        raise DamagedError("the file is cut, or was never closed: it does not end with a footer")
    frame = Frame(number=0, offset=start, type=FrameType.FOOTER, header=header, ticks=ticks, body=body)
    return Footer.parse(frame)
