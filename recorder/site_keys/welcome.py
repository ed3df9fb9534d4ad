"""The key holder's answer to a node's request: its certificate and the site's key list, signed. Read on the node."""

import hashlib
from dataclasses import dataclass

from cryptography import x509

from recorder.access.signing import signing_pair
from recorder.common.home import Home
from recorder.site_keys.authority import NODE, is_issued_by, load_node_key, owner_of, pem
from recorder.site_keys.key_list import SignedList, check_list, parse_list
from recorder.site_keys.node_request import read_request
from recorder.site_keys.places import SiteKeysError, node_key, node_request
from recorder.site_keys.signed_json import fingerprint, is_signed, pack, unpack

KIND = "node welcome"
_COMMAND = "recorder nodes add"


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """A checked welcome.

    Attributes:
        name: The node's name.
        certificate: Its certificate.
        key_list: The site's key list.
        fingerprint: Compared by people at both machines.
    """

    name: str
    certificate: x509.Certificate
    key_list: SignedList
    fingerprint: str


def make_welcome(home: Home, certificate: x509.Certificate, request: bytes, found: SignedList) -> tuple[bytes, str]:
    """Return the file that answers a request, and its fingerprint."""
    _, secret = signing_pair(home.root)
    document = {
        "name": owner_of(certificate)[1],
        "certificate": pem(certificate),
        "request": hashlib.sha256(request).hexdigest(),
        "list": found.text,
        "list_signature": found.signature,
    }
    content = pack(KIND, document, secret)
    return content, fingerprint(unpack(KIND, content, command=_COMMAND)[1])


def read_welcome(home: Home, content: bytes) -> Welcome:
    """Read a welcome on the node, and check that it answers the node's own request and holds together.

    That it comes from the site and from nobody else, only people can tell, by the fingerprint.

    Raises:
        SiteKeysError: It is none, was changed, or answers another request.
        KeyProblemError: A key of the node cannot be read.
    """
    document, text, signature = unpack(KIND, content, command=_COMMAND)
    try:
        certificate = x509.load_pem_x509_certificate(document["certificate"].encode())
        key_list = parse_list(document["list"], document["list_signature"])
        name, request = str(document["name"]), str(document["request"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SiteKeysError(f"the welcome lacks a field; make it again with `{_COMMAND}`") from error
    check_list(key_list, key_list.content.signers[0].public)
    signer = key_list.signed_by
    if signer is None or not is_signed(KIND, text, signature, signer):
        raise SiteKeysError(f"the welcome was changed since the key holder signed it: copy it again, or `{_COMMAND}`")
    _check_is_ours(home, name, certificate, key_list, request)
    return Welcome(name=name, certificate=certificate, key_list=key_list, fingerprint=fingerprint(text))


def _check_is_ours(home: Home, name: str, certificate: x509.Certificate, found: SignedList, request: str) -> None:
    try:
        own = node_request(home).read_bytes()
    except OSError as error:
        raise SiteKeysError("this machine has made no request: begin with `recorder nodes request`") from error
    if hashlib.sha256(own).hexdigest() != request:
        raise SiteKeysError(
            "the welcome answers another request than the last one of this machine: run `recorder nodes add` with the "
            f"file of the last one, a copy of which is {node_request(home)}"
        )
    if read_request(own).name != name:
        raise SiteKeysError("the welcome is for a node of another name than this machine asked for: add it again")
    authority = x509.load_pem_x509_certificate(found.content.authority.encode())
    if not is_issued_by(certificate, authority) or owner_of(certificate) != (NODE, name):
        raise SiteKeysError("the certificate in the welcome is not of its authority, or of another node: add it again")
    if certificate.public_key() != load_node_key(node_key(home)).public_key():
        raise SiteKeysError("the certificate in the welcome is for another key than this machine has: request it again")
