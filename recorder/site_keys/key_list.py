"""The site's key list: which keys are valid at the site, signed by the accounts' signing key. Pure.

The key holder publishes one list in the database. It has the public keys of the epochs and of the nodes, the
certificate of the site's authority, the list of revoked certificates, and the chain of signing keys: each is signed by
the one before, so that a node which knows any of them can check the newest. A list has a number, and a node never goes
back to a smaller one. It is one document, so that nobody who can write the table can leave out a part.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from recorder.site_keys.authority import is_issued_by
from recorder.site_keys.places import SiteKeysError
from recorder.site_keys.signed_json import compact, is_signed, sign
from storage import crypto
from storage.epochs import is_epoch
from storage.known_nodes import node_keys_in

KIND = "key list"
_LINK = "signing key"


class RefusedListError(SiteKeysError):
    """A key list must not be followed: forged, older, or it contradicts keys that are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedSigner:
    """A signing key of the site.

    Attributes:
        public: The key.
        signature: Of the key before it over this one, hex; empty for the first.
    """

    public: bytes
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyList:
    """A key list.

    Attributes:
        number: Grows with each list of the site.
        signers: The signing keys, oldest first. The last signs acts; while it is being introduced, the one before may.
        epochs: Public key of each epoch by its name.
        nodes: Entries of the nodes by name: ``public`` (hex), ``removed_at`` (ISO 8601 or null).
        authority: Certificate of the site's authority, PEM.
        revoked: List of revoked certificates, PEM.
    """

    number: int
    signers: tuple[TrustedSigner, ...]
    epochs: Mapping[str, bytes]
    nodes: Mapping[str, Mapping[str, Any]]
    authority: str
    revoked: str

    def text(self) -> str:
        """Return the document that is signed."""
        return compact(
            {
                "number": self.number,
                "signers": [{"public": one.public.hex(), "signature": one.signature} for one in self.signers],
                "epochs": {name: public.hex() for name, public in self.epochs.items()},
                "nodes": {name: dict(entry) for name, entry in self.nodes.items()},
                "authority": self.authority,
                "revoked": self.revoked,
            }
        )

    @property
    def active_nodes(self) -> dict[str, bytes]:
        """Return the public keys of the nodes that were not removed."""
        return {name: bytes.fromhex(one["public"]) for name, one in self.nodes.items() if one.get("removed_at") is None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedList:
    """A key list as it is stored and published.

    Attributes:
        content: The list.
        text: Its document.
        signature: Over the document, hex.
    """

    content: KeyList
    text: str
    signature: str

    @property
    def signed_by(self) -> bytes | None:
        """Return which of the last two signing keys signed it, the last if both are the same; None if neither."""
        newest = reversed(self.content.signers[-2:])
        return next((one.public for one in newest if is_signed(KIND, self.text, self.signature, one.public)), None)

    @property
    def next_signer(self) -> bytes | None:
        """Return the signing key that is being introduced; None if there is none."""
        newest = self.content.signers[-1].public
        return None if self.signed_by == newest else newest

    def file(self) -> bytes:
        """Return the content of ``keys/site/list.json``."""
        return json.dumps({"document": self.text, "signature": self.signature}).encode() + b"\n"


def sign_list(content: KeyList, secret: bytes) -> SignedList:
    """Sign a list."""
    text = content.text()
    return SignedList(content=content, text=text, signature=sign(KIND, text, secret))


def link(public: bytes, before: bytes, before_secret: bytes) -> TrustedSigner:
    """Return the entry of a new signing key, signed by the one before it."""
    return TrustedSigner(public=public, signature=sign(_LINK, _link_text(public, before), before_secret))


def parse_list(text: str, signature: str) -> SignedList:
    """Read a list; nothing is checked but its form.

    Raises:
        RefusedListError: It is no list.
    """
    try:
        fields = json.loads(text)
        signers = tuple(
            TrustedSigner(public=bytes.fromhex(one["public"]), signature=str(one["signature"]))
            for one in fields["signers"]
        )
        epochs = {str(name): bytes.fromhex(public) for name, public in fields["epochs"].items()}
        content = KeyList(
            number=fields["number"], signers=signers, epochs=epochs, nodes=fields["nodes"],
            authority=str(fields["authority"]), revoked=str(fields["revoked"]),
        )  # fmt: skip
        keys = [*epochs.values(), *(one.public for one in signers), *node_keys_in(fields).values()]
        is_good = (
            type(content.number) is int
            and bool(signers)
            and all(map(is_epoch, epochs))
            and all(len(key) == crypto.KEY_BYTES for key in keys)
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedListError("the key list in the database cannot be read") from error
    if not is_good:
        raise RefusedListError("the key list in the database has a number, an epoch or a key of the wrong form")
    return SignedList(content=content, text=text, signature=signature)


def read_file(content: bytes) -> SignedList:
    """Read ``keys/site/list.json``.

    Raises:
        RefusedListError: It is no list.
    """
    try:
        whole = json.loads(content)
        return parse_list(whole["document"], whole["signature"])
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedListError("keys/site/list.json cannot be read: restore it from a backup") from error


def check_chain(signers: Sequence[TrustedSigner], trusted: bytes) -> None:
    """Check that a chain of signing keys leads from a trusted key to its end.

    Raises:
        RefusedListError: It does not.
    """
    known = [one.public for one in signers]
    if trusted not in known:
        raise RefusedListError(
            f"it is signed by another key than this machine trusts, {crypto.fingerprint(trusted).hex()[:16]}"
        )
    for i in range(known.index(trusted) + 1, len(signers)):
        before, one = signers[i - 1], signers[i]
        if not is_signed(_LINK, _link_text(one.public, before.public), one.signature, before.public):
            raise RefusedListError("its newest signing key is not signed by the one before")


def check_list(found: SignedList, trusted: bytes) -> None:
    """Check that a list is signed by a trusted key or a later one of its chain, and its certificates by each other.

    Raises:
        RefusedListError: It is not.
    """
    check_chain(found.content.signers, trusted)
    if found.signed_by is None:
        raise RefusedListError("its signature is wrong: the key holder did not publish it like this")
    known = [one.public for one in found.content.signers]
    if known.index(found.signed_by) < known.index(trusted):
        raise RefusedListError("it is signed by a key that was exchanged, and counts no more")
    revoked_serials(found.content)


def check_successor(found: SignedList, known: SignedList) -> None:
    """Check that a list may replace the list that is known.

    Raises:
        RefusedListError: It is older, or gives a known epoch, node or authority another key.
    """
    new, old = found.content, known.content
    if new.number < old.number:
        raise RefusedListError(f"it is older, number {new.number}, than the one that is known, number {old.number}")
    if new.number == old.number and found.text != known.text:
        raise RefusedListError(f"there are two different lists of number {new.number}")
    if new.authority != old.authority:
        raise RefusedListError("it has another certificate authority")
    for name, public in new.epochs.items():
        if old.epochs.get(name, public) != public:
            raise RefusedListError(f"it has another key for epoch {name}")
    for name, entry in old.nodes.items():
        if new.nodes.get(name, {}).get("public") != entry["public"]:
            raise RefusedListError(f"it has another key for node {name}, or none")
    if not revoked_serials(old) <= revoked_serials(new):
        raise RefusedListError("certificates that were revoked are no longer")


def revoked_serials(content: KeyList) -> frozenset[int]:
    """Return the serial numbers of the revoked certificates of a list.

    Raises:
        RefusedListError: The list of revoked certificates is not signed by the site's authority.
    """
    try:
        authority = x509.load_pem_x509_certificate(content.authority.encode())
        revoked = x509.load_pem_x509_crl(content.revoked.encode())
        is_good = is_issued_by(authority, authority) and revoked.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise RefusedListError("its certificates cannot be read") from error
    if not is_good:
        raise RefusedListError("its revoked certificates are not signed by the site's authority")
    return frozenset(one.serial_number for one in revoked)


def _link_text(public: bytes, before: bytes) -> str:
    return compact({"public": public.hex(), "before": before.hex()})
