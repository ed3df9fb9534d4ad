"""The site's certificate authority: its key, the certificates of nodes and console, and the revocation list.

The authority is made on the key holder at its first use. Certificates have ECDSA keys on P-256. A certificate names its
owner in the subject: CN is the name, OU the role. SAN has the name, by which peers are verified, and the address.
"""

import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from recorder.common.home import Home
from recorder.site_keys.places import (
    SiteKeysError,
    authority_certificate,
    authority_key,
    console_certificate,
    console_key,
    revocation_list,
)
from storage.durable import make_folder, save_atomically
from storage.errors import KeyProblemError
from storage.key_files import create_once, read_secret

NODE, CONSOLE = "node", "console"
"""Roles of a certificate."""
VALID = timedelta(days=365)
"""How long a certificate is valid; `recorder nodes request` and `add` renew it."""
AUTHORITY_VALID = timedelta(days=3650)
SOON = timedelta(days=30)
"""How long before its end a certificate has an alarm."""
_BACKDATED = timedelta(hours=1)
"""Clocks of machines differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAuthority:
    """The site's certificate authority, with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """Return its certificate, PEM."""
        return pem(self.certificate)

    def sign_node(
        self, request: x509.CertificateSigningRequest, name: str, address: str | None, now: datetime
    ) -> x509.Certificate:
        """Return the certificate of a node; the request's own names do not count."""
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        public = request.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise SiteKeysError("the request has no key on an elliptic curve; make it with `recorder nodes request`")
        names = [x509.DNSName(name), *_address_names(address)]
        return self._sign(public, _subject(NODE, name), names, usages, now)

    def sign_console(self, public: ec.EllipticCurvePublicKey, name: str, now: datetime) -> x509.Certificate:
        """Return the client certificate of a console."""
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        return self._sign(public, _subject(CONSOLE, name), names, [ExtendedKeyUsageOID.CLIENT_AUTH], now)

    def _sign(
        self,
        public: ec.EllipticCurvePublicKey,
        subject: x509.Name,
        names: list[x509.GeneralName],
        usages: list[x509.ObjectIdentifier],
        now: datetime,
    ) -> x509.Certificate:
        builder = (
            _builder(subject, self.certificate.subject, public, now, VALID)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        return builder.sign(self.key, hashes.SHA256())

    def revoke(self, serials: Mapping[int, datetime], number: int, now: datetime) -> str:
        """Return the list of revoked certificates, PEM; ``serials`` are serial numbers and when they were revoked.

        It has no early end: nodes that cannot reach the database go on with the list that they have.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now)
            .next_update(self.certificate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for serial, revoked_at in sorted(serials.items()):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(revoked_at).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def load_authority(home: Home) -> SiteAuthority:
    """Return the site's authority.

    Raises:
        SiteKeysError, KeyProblemError: It is missing or cannot be used.
    """
    key = serialization.load_pem_private_key(read_secret(authority_key(home)), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SiteKeysError(f"{authority_key(home)} is no key on an elliptic curve: restore it from a backup")
    certificate = read_certificate(authority_certificate(home))
    if certificate.public_key() != key.public_key():
        raise SiteKeysError(
            f"{authority_key(home)} is not the key of {authority_certificate(home)}: restore both from one backup"
        )
    return SiteAuthority(certificate=certificate, key=key)


def ensure_authority(home: Home, site: str, now: datetime) -> SiteAuthority:
    """Return the site's authority; make it, an empty revocation list and the console's certificate if missing.

    Raises:
        SiteKeysError, KeyProblemError: It cannot be used, or its certificate is there and its key is not.
        OSError: It cannot be written.
    """
    if not authority_key(home).exists():
        if authority_certificate(home).exists():
            raise KeyProblemError(
                f"{authority_key(home)} is missing: run this on the console host, or restore it from a backup of the "
                "private keys"
            )
        create_once(authority_key(home), _private_pem(new_key()))
    if not authority_certificate(home).exists():
        key = serialization.load_pem_private_key(read_secret(authority_key(home)), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        make_folder(authority_certificate(home).parent)
        create_once(authority_certificate(home), pem(_self_signed(key, site, now)).encode(), mode=None)
    authority = load_authority(home)
    if not revocation_list(home).exists():
        create_once(revocation_list(home), authority.revoke({}, 0, now).encode(), mode=None)
    ensure_console(home, authority, now)
    return authority


def ensure_console(home: Home, authority: SiteAuthority, now: datetime, name: str = "console") -> bool:
    """Make the console's client certificate if it is missing or ends soon; returns whether it was made."""
    create_once(console_key(home), _private_pem(new_key()))
    path = console_certificate(home)
    if path.exists() and read_certificate(path).not_valid_after_utc - now > SOON:
        return False
    key = serialization.load_pem_private_key(read_secret(console_key(home)), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    save_atomically(path, pem(authority.sign_console(key.public_key(), name, now)).encode())
    return True


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new private key for TLS."""
    return ec.generate_private_key(ec.SECP256R1())


def load_node_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return a node's TLS key; make it if it is missing.

    Raises:
        SiteKeysError, KeyProblemError: It cannot be used.
        OSError: It cannot be written.
    """
    create_once(path, _private_pem(new_key()), mode=None)
    key = serialization.load_pem_private_key(read_secret(path, is_groups=True), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SiteKeysError(f"{path} is no key on an elliptic curve: move it away, and run this again")
    return key


def new_request(key: ec.EllipticCurvePrivateKey, name: str, marks: Iterable[str]) -> str:
    """Return a certificate signing request, PEM, that its key signs together with some marks (URIs)."""
    names = x509.SubjectAlternativeName([x509.DNSName(name), *map(x509.UniformResourceIdentifier, marks)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(NODE, name)).add_extension(names, False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def read_certificate(path: Path) -> x509.Certificate:
    """Read a certificate, PEM.

    Raises:
        SiteKeysError: It cannot be read.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise SiteKeysError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SiteKeysError(f"{path} is no certificate: restore it from a backup") from error


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Tell whether an authority signed a certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def owner_of(certificate: x509.Certificate) -> tuple[str, str]:
    """Return role and name of a certificate's owner; empty texts for those that it does not have."""
    role, name = (
        next((str(one.value) for one in certificate.subject.get_attributes_for_oid(oid)), "")
        for oid in (NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME)
    )
    return role, name


def pem(certificate: x509.Certificate) -> str:
    """Return a certificate, PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    pkcs8 = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption())


def _subject(role: str, name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )


def _self_signed(key: ec.EllipticCurvePrivateKey, site: str, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{site[:40]} recorders {os.urandom(4).hex()}")])
    builder = (
        _builder(name, name, key.public_key(), now, AUTHORITY_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return builder.sign(key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, valid: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _BACKDATED)
        .not_valid_after(now.astimezone(UTC) + valid)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _address_names(address: str | None) -> list[x509.GeneralName]:
    """Return the host of ``HOST:PORT`` as a name of a certificate."""
    if address is None:
        return []
    host = address.rpartition(":")[0].strip("[]")
    try:
        return [x509.IPAddress(ipaddress.ip_address(host))]
    except ValueError:
        return [x509.DNSName(host)]
