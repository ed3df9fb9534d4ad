"""Paths of a site's keys in the home of the key holder and in the home of a node."""

from pathlib import Path

from recorder.access.signing import secret_path
from recorder.common.home import Home
from storage.errors import KeyProblemError
from storage.known_nodes import list_path


class SiteKeysError(KeyProblemError):
    """A key, request or welcome cannot be used; the message is a sentence that says what to do."""


def is_key_holder(home: Home) -> bool:
    """Tell whether this home signs for its site: it has the accounts' signing key."""
    return secret_path(home.root).exists()


def has_joined(home: Home) -> bool:
    """Tell whether this home follows the key list of a site whose keys another machine holds."""
    return list_path(home.root).exists() and not is_key_holder(home)


def authority_key(home: Home) -> Path:
    """Return the private key of the site's certificate authority; on the key holder only."""
    return home.private_keys / "site-ca.key"


def authority_certificate(home: Home) -> Path:
    """Return the certificate of the site's certificate authority, PEM."""
    return home.root / "keys" / "site" / "ca.pem"


def revocation_list(home: Home) -> Path:
    """Return the list of revoked certificates, PEM."""
    return home.root / "keys" / "site" / "revoked.pem"


def console_certificate(home: Home) -> Path:
    """Return the client certificate of console and command line, PEM; on the key holder only."""
    return home.root / "keys" / "site" / "console.pem"


def console_key(home: Home) -> Path:
    """Return the key of the console's certificate; on the key holder only."""
    return home.private_keys / "console-tls.key"


def known_nodes(home: Home) -> Path:
    """Return the folder with a file for each node that was added; on the key holder only."""
    return home.root / "keys" / "nodes"


def node_certificate(home: Home) -> Path:
    """Return the node's own certificate, PEM."""
    return home.root / "keys" / "node" / "tls.pem"


def node_key(home: Home) -> Path:
    """Return the key of the node's certificate."""
    return home.root / "keys" / "node" / "tls.key"


def node_request(home: Home) -> Path:
    """Return the node's last request, which a welcome must answer."""
    return home.root / "keys" / "node" / "request.json"
