"""A node's request to join: made on the node, signed by its signing key and its TLS key, read on the key holder."""

import re
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from recorder.common.home import Home
from recorder.site_keys.authority import load_node_key, new_request
from recorder.site_keys.places import SiteKeysError, node_key, node_request
from recorder.site_keys.signed_json import fingerprint, is_signed, pack, unpack
from storage import crypto
from storage.durable import save_atomically
from storage.keys import NodeKeys
from storage.rows import time_from_json, time_to_json

KIND = "node request"
_COMMAND = "recorder nodes request"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:]{2,45}\]|[A-Za-z0-9.-]{1,253}):([1-9]\d{0,4})")
_MARK = "urn:council-call-recorder:signing-key:"
"""Begins the URI in the certificate signing request that names the node's signing key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequest:
    """A checked request.

    Attributes:
        name: The node's name.
        address: Where its control API listens, ``HOST:PORT``; None if not given.
        sign_public: Its public signing key.
        csr: Its certificate signing request.
        made_at: When it was made, ISO 8601.
        fingerprint: Compared by people at both machines.
    """

    name: str
    address: str | None
    sign_public: bytes
    csr: x509.CertificateSigningRequest
    made_at: str
    fingerprint: str


def check_name(name: str) -> None:
    """Raise SiteKeysError unless a name can be a node's."""
    if not _NAME.fullmatch(name):
        raise SiteKeysError(f"{name!r} cannot be the name of a node: use at most 40 of a-z, 0-9 and -, such as north")


def make_request(home: Home, name: str, address: str | None, now: datetime) -> tuple[bytes, NodeRequest]:
    """Make the node's keys if they are missing, and return a request, as a file and read.

    The request is stored in the home, so that a welcome can be checked against it.

    Raises:
        SiteKeysError, KeyProblemError: Name or address cannot be used, or a key cannot be read.
        OSError: Keys or request cannot be written.
    """
    check_name(name)
    _check_address(address)
    node = NodeKeys.create(home.root)
    csr = new_request(load_node_key(node_key(home)), name, [_MARK + node.fingerprint])
    document = {
        "name": name,
        "address": address,
        "sign_public": node.sign_public.hex(),
        "csr": csr,
        "made_at": time_to_json(now),
    }
    content = pack(KIND, document, node.sign_secret)
    request = read_request(content)
    save_atomically(node_request(home), content)
    return content, request


def read_request(content: bytes) -> NodeRequest:
    """Read a request, and check both signatures.

    Raises:
        SiteKeysError: It is none, or was changed.
    """
    document, text, signature = unpack(KIND, content, command=_COMMAND)
    try:
        public = bytes.fromhex(document["sign_public"])
        csr = x509.load_pem_x509_csr(document["csr"].encode())
        name, address = str(document["name"]), document["address"]
        made_at = time_to_json(time_from_json(document["made_at"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SiteKeysError(f"the request lacks a field; make it again with `{_COMMAND}`") from error
    if made_at is None:
        raise SiteKeysError(f"the request does not say when it was made; make it again with `{_COMMAND}`")
    check_name(name)
    _check_address(address)
    if not is_signed(KIND, text, signature, public):
        raise SiteKeysError(f"the request was changed since the node signed it: copy it again, or `{_COMMAND}` again")
    if not csr.is_signature_valid or _MARK + crypto.fingerprint(public).hex() not in _marks(csr):
        raise SiteKeysError(f"the request's two keys do not belong together: make it again with `{_COMMAND}`")
    return NodeRequest(
        name=name, address=address, sign_public=public, csr=csr, made_at=made_at, fingerprint=fingerprint(text)
    )


def _marks(csr: x509.CertificateSigningRequest) -> list[str]:
    try:
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return list(names.get_values_for_type(x509.UniformResourceIdentifier))


def _check_address(address: object) -> None:
    if address is None:
        return
    found = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if found is None or int(found[1]) > 65535:
        raise SiteKeysError(f"{address!r} is not an address of a control API: write HOST:PORT, 10.1.2.3:7443")
