"""Adding a node to the site, renewing its certificate, and removing it. On the key holder.

The caller authorises the act, compares the request's fingerprint, and writes the audit entry first.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from recorder.common.home import Home
from recorder.site_keys.authority import SiteAuthority, ensure_authority, load_authority
from recorder.site_keys.joining import save_if_new
from recorder.site_keys.key_list import SignedList
from recorder.site_keys.node_records import NodeRecord, read_records, save_record
from recorder.site_keys.node_request import NodeRequest
from recorder.site_keys.places import SiteKeysError, revocation_list
from recorder.site_keys.publishing import OWN, prepare
from storage import crypto
from storage.keys import NodeKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAdmission:
    """What adding a node would do.

    Attributes:
        request: Its request.
        before: Its record, if its certificate is renewed; else None.
        is_own: It is the key holder's own machine, which records too.
    """

    request: NodeRequest
    before: NodeRecord | None
    is_own: bool


def plan_admission(home: Home, request: NodeRequest, registered: Mapping[str, str]) -> NodeAdmission:
    """Check that a request can be granted, and tell what it means.

    Args:
        home: The key holder's home.
        request: The checked request.
        registered: Fingerprints of the nodes that the database lists, by their names.

    Raises:
        SiteKeysError: Its name is in use, or the machine is another node already.
        KeyProblemError: The key holder's own keys cannot be read.
    """
    records = read_records(home)
    before = records.get(request.name)
    fingerprint = crypto.fingerprint(request.sign_public).hex()
    if request.name == OWN:
        raise SiteKeysError(f"{OWN} is no free name: request it again with another --name")
    if before is not None and before.public != request.sign_public:
        kind = "was removed, and its recordings are still checked by it" if before.removed_at else "is a node already"
        raise SiteKeysError(f"{request.name} {kind}, with another key: request it again with another --name")
    if before is None and registered.get(request.name, fingerprint) != fingerprint:
        raise SiteKeysError(f"a node with the name {request.name} and another key runs: request it again as another")
    others = [one.name for one in records.values() if one.public == request.sign_public and one.name != request.name]
    if others:
        raise SiteKeysError(f"this machine is node {others[0]} already: request it again with --name {others[0]}")
    is_own = request.sign_public == NodeKeys.load(home.root).sign_public
    return NodeAdmission(request=request, before=before, is_own=is_own)


def admit(
    home: Home, planned: NodeAdmission, *, site: str, by: str, now: datetime
) -> tuple[x509.Certificate, SignedList]:
    """Sign a node's certificate, and enter the node into the key list; returns both. The caller publishes the list.

    Raises:
        SiteKeysError, KeyProblemError: The authority cannot be used.
        OSError: It cannot be written.
    """
    authority = ensure_authority(home, site, now)
    request, before = planned.request, planned.before
    certificate = authority.sign_node(request.csr, request.name, request.address, now)
    save_record(
        home,
        NodeRecord(
            name=request.name,
            public=request.sign_public,
            address=request.address,
            serials=(*(before.serials if before else ()), certificate.serial_number),
            ends_at=certificate.not_valid_after_utc,
            added_at=before.added_at if before else now,
            added_by=before.added_by if before else by,
        ),
    )
    return certificate, prepare(home)


def record_of(home: Home, name: str) -> NodeRecord:
    """Return the record of a node.

    Raises:
        SiteKeysError: There is none, or a record cannot be read.
    """
    records = read_records(home)
    found = records.get(name)
    if found is None:
        known = ", ".join(sorted(one.name for one in records.values() if one.removed_at is None)) or "none"
        raise SiteKeysError(f"there is no node {name!r}; known are {known}")
    return found


def expel(home: Home, record: NodeRecord, now: datetime) -> SignedList:
    """Revoke a node's certificates and mark it removed in the key list, which the caller publishes.

    Raises:
        SiteKeysError, KeyProblemError: The authority cannot be used.
        OSError: It cannot be written; do it again.
    """
    authority = load_authority(home)
    _revoke(home, authority, record.serials, now)
    save_record(home, record.removed(now))
    return prepare(home)


def expel_again(home: Home, removed: Mapping[str, frozenset[int]], gone: Collection[str], now: datetime) -> list[str]:
    """Remove from a restored key holder the nodes that its audit log says were removed; the list is not published.

    Args:
        home: The key holder's home. Safe to run again.
        removed: By node, the serial numbers of the certificates that were revoked.
        gone: Those of them that were not added again.
        now: The time, UTC.

    Returns:
        The nodes whose certificates were good, or that were listed.

    Raises:
        SiteKeysError, KeyProblemError: The authority cannot be used, or a record cannot be read.
        OSError: It cannot be written.
    """
    authority, records, found = load_authority(home), read_records(home), []
    for name, serials in sorted(removed.items()):
        record = records.get(name)
        is_listed = name in gone and record is not None and record.removed_at is None
        mine = serials | frozenset(record.serials if record is not None and is_listed else ())
        if _revoke(home, authority, tuple(sorted(mine)), now) or is_listed:
            found.append(name)
        if record is not None and is_listed:
            save_record(home, record.removed(now))
    if found:
        prepare(home)
    return found


def _revoke(home: Home, authority: SiteAuthority, serials: tuple[int, ...], now: datetime) -> bool:
    """Revoke certificates; returns whether one of them was good."""
    path = revocation_list(home)
    try:
        before = x509.load_pem_x509_crl(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SiteKeysError(f"{path} cannot be read: restore it from a backup") from error
    if not before.is_signature_valid(authority.key.public_key()):
        raise SiteKeysError(f"{path} is not signed by the site's authority: restore it from a backup")
    revoked = {one.serial_number: one.revocation_date_utc for one in before}
    if revoked.keys() >= set(serials):
        return False
    number = before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    save_if_new(path, authority.revoke(dict.fromkeys(serials, now) | revoked, number + 1, now).encode())
    return True
