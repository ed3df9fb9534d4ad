"""A node's request and its welcome: what each proves, and what is refused when it was changed on its way."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from recorder.backups.rules import BackupClass
from recorder.backups.sources import Sources
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.site_keys.authority import ensure_authority
from recorder.site_keys.joining import check_can_join, join
from recorder.site_keys.node_request import make_request, read_request
from recorder.site_keys.places import SiteKeysError, node_certificate, node_key, node_request
from recorder.site_keys.publishing import prepare
from recorder.site_keys.signed_json import compact, fingerprint, is_same_fingerprint, sign, unpack
from recorder.site_keys.welcome import make_welcome, read_welcome
from storage.audit import AuditLog
from storage.database import Database, sqlite_url
from storage.epochs import names_in, read_public
from storage.keys import NodeKeys
from storage.known_nodes import other_nodes
from tests.helpers.site_homes import NOW, KeyHolderHome


def changed(content: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Change the document of a signed file, and leave the signature."""
    whole = json.loads(content)
    document = json.loads(whole["document"])
    change(document)
    return json.dumps(whole | {"document": compact(document)}).encode()


def signed_anew(kind: str, content: bytes, secret: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Change the document, and sign it again as somebody else."""
    whole = json.loads(changed(content, change))
    return json.dumps(whole | {"signature": sign(kind, whole["document"], secret)}).encode()


def files_of(home: Home) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.root.rglob("*") if path.is_file()}


def test_a_request_names_the_node_and_is_signed_by_both_of_its_keys(tmp_path: Path) -> None:
    home = Home(tmp_path / "north")
    content, made = make_request(home, "north", "10.1.2.3:7443", NOW)
    assert (made.name, made.address) == ("north", "10.1.2.3:7443")
    assert made.sign_public == NodeKeys.load(home.root).sign_public
    assert node_request(home).read_bytes() == content
    assert node_key(home).stat().st_mode & 0o777 == 0o600
    again, same = make_request(home, "north", "10.1.2.3:7443", NOW + timedelta(days=300))
    assert (same.sign_public, same.csr.public_key()) == (made.sign_public, made.csr.public_key())
    assert (again != content, same.fingerprint != made.fingerprint) == (True, True)


def test_no_secret_is_in_what_people_carry(tmp_path: Path) -> None:
    holder = KeyHolderHome(tmp_path)
    node = Home(tmp_path / "north")
    request, _ = make_request(node, "north", None, NOW)
    carried = request + holder.welcome(request)
    secrets = [path for home in (holder.home, node) for path in home.root.rglob("*.key")]
    assert len(secrets) == 11
    for path in secrets:
        for line in path.read_text().split("\n"):
            if line and not line.startswith("-----"):
                assert line.encode() not in carried, path
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("name", ["", "North", "a_b", "-a", "a-", "x" * 41, "a/b", "a.b", "key-holder"])
def test_names_that_cannot_be_a_nodes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SiteKeysError):
        KeyHolderHome(tmp_path).add(tmp_path, name)


@pytest.mark.parametrize("address", ["10.1.2.3", "10.1.2.3:0", "10.1.2.3:70000", "a b:1", "::1:80", "http://x:1"])
def test_addresses_that_cannot_be_reached_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(SiteKeysError, match="write HOST:PORT"):
        make_request(Home(tmp_path), "north", address, NOW)


def test_a_request_that_was_changed_is_refused(tmp_path: Path) -> None:
    north, _ = make_request(Home(tmp_path / "north"), "north", None, NOW)
    south, other = make_request(Home(tmp_path / "south"), "south", None, NOW)
    stranger = NodeKeys.create(tmp_path / "stranger")
    csr = json.loads(json.loads(south)["document"])["csr"]
    with pytest.raises(SiteKeysError, match="changed since the node signed it"):
        read_request(changed(north, lambda it: it.update(address="10.9.9.9:1")))
    with pytest.raises(SiteKeysError, match="changed since the node signed it"):
        read_request(changed(north, lambda it: it.update(sign_public=other.sign_public.hex())))
    with pytest.raises(SiteKeysError, match="two keys do not belong together"):
        north_secret = NodeKeys.load(tmp_path / "north").sign_secret
        read_request(signed_anew("node request", north, north_secret, lambda it: it.update(csr=csr)))
    with pytest.raises(SiteKeysError, match="two keys do not belong together"):
        by_stranger = {"sign_public": stranger.sign_public.hex()}
        read_request(signed_anew("node request", north, stranger.sign_secret, lambda it: it.update(by_stranger)))
    for cut in (b"", b"{}", b"[]", north[:-40], b"\xff", b'{"kind":"node request"}', b"[" * 200_000):
        with pytest.raises(SiteKeysError, match="no file of `recorder nodes request`"):
            read_request(cut)
    for field in json.loads(json.loads(north)["document"]):
        with pytest.raises(SiteKeysError, match="lacks a field"):
            read_request(changed(north, lambda it, field=field: it.pop(field)))  # type: ignore[misc]
    with pytest.raises(SiteKeysError, match="has version 2, this program reads 1"):
        read_request(json.dumps(json.loads(north) | {"version": 2}).encode())


def test_people_compare_fingerprints_however_they_are_written() -> None:
    mark = fingerprint("x")
    assert (len(mark), mark.count(" ")) == (39, 7)
    assert is_same_fingerprint(mark, mark.upper().replace(" ", "-"))
    assert is_same_fingerprint(mark, mark.replace(" ", ""))
    assert not is_same_fingerprint(mark, mark[:-1])
    assert not is_same_fingerprint(mark, fingerprint("y"))


def test_a_welcome_brings_certificate_and_keys_and_may_come_twice(tmp_path: Path) -> None:
    holder = KeyHolderHome(tmp_path)
    node, welcome = holder.add(tmp_path, "north", "[2001:db8::7]:7443")
    certificate = x509.load_pem_x509_certificate(node_certificate(node).read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["north"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["2001:db8::7"]
    assert certificate.subject.rfc4514_string() == "CN=north,OU=node"
    assert certificate.not_valid_after_utc == NOW + timedelta(days=365)
    theirs, ours = (home.root / "keys" / "epochs" for home in (holder.home, node))
    assert names_in(ours, ".pub") == names_in(theirs, ".pub") == ["2026-11", "2026-12", "2027-01"]
    assert read_public(ours, "2026-12") == read_public(theirs, "2026-12")
    assert not list(node.private_keys.glob("*"))
    assert not (node.root / "keys" / "actor" / "actor.key").exists()
    assert other_nodes(node.root) == other_nodes(holder.home.root)
    before = files_of(node)
    join(node, welcome)
    assert files_of(node) == before


def test_a_welcome_is_for_one_request_of_one_machine(tmp_path: Path) -> None:
    holder = KeyHolderHome(tmp_path)
    north, south = Home(tmp_path / "north"), Home(tmp_path / "south")
    request, _ = make_request(north, "north", None, NOW)
    welcome = holder.welcome(request)
    with pytest.raises(SiteKeysError, match="has made no request"):
        read_welcome(south, welcome)
    make_request(south, "south", None, NOW)
    with pytest.raises(SiteKeysError, match="answers another request"):
        read_welcome(south, welcome)
    with pytest.raises(SiteKeysError, match="changed since the key holder signed it"):
        read_welcome(north, changed(welcome, lambda it: it.update(name="south")))
    _, text, _ = unpack("node welcome", welcome, command="")
    assert read_welcome(north, welcome).fingerprint == fingerprint(text)
    make_request(north, "north", None, NOW + timedelta(minutes=1))
    with pytest.raises(SiteKeysError, match="answers another request"):
        read_welcome(north, welcome)
    with pytest.raises(SiteKeysError, match="no file of `recorder nodes add`"):
        read_welcome(north, request)


def test_a_home_with_private_keys_does_not_become_a_node_of_another_site(tmp_path: Path) -> None:
    holder, other = KeyHolderHome(tmp_path / "a"), KeyHolderHome(tmp_path / "b")
    request, _ = make_request(other.home, "north", None, NOW)
    welcome = read_welcome(other.home, holder.welcome(request))
    with pytest.raises(SiteKeysError, match="has accounts or private keys of its own"):
        check_can_join(other.home, welcome)


def test_the_key_holder_may_record_too(tmp_path: Path) -> None:
    holder = KeyHolderHome(tmp_path)
    request, _ = make_request(holder.home, "hall", None, NOW)
    welcome = read_welcome(holder.home, holder.welcome(request))
    before = files_of(holder.home)
    check_can_join(holder.home, welcome)
    join(holder.home, welcome)
    new = files_of(holder.home).keys() - before.keys()
    assert new == {str(node_certificate(holder.home))}
    assert files_of(holder.home) | before == files_of(holder.home)


def test_a_name_belongs_to_one_key(tmp_path: Path) -> None:
    holder = KeyHolderHome(tmp_path)
    holder.add(tmp_path / "one", "north")
    with pytest.raises(SiteKeysError, match="north is a node already, with another key"):
        holder.add(tmp_path / "two", "north")
    request, _ = make_request(Home(tmp_path / "one" / "north"), "south", None, NOW)
    with pytest.raises(SiteKeysError, match="this machine is node north already"):
        holder.welcome(request)


@pytest.mark.parametrize(
    "made_at", ["2026-11-29\n12:00:00+00:00\nfingerprint of the request: 1234", "x\ny", None, 5, ""]
)
def test_a_request_prints_no_second_fingerprint(tmp_path: Path, made_at: object) -> None:
    """People compare what is printed; whoever exchanged the file signs it with keys of their own."""
    home = Home(tmp_path / "north")
    content, _ = make_request(home, "north", None, NOW)
    forged = signed_anew(
        "node request", content, NodeKeys.load(home.root).sign_secret, lambda it: it.update(made_at=made_at)
    )
    with pytest.raises(SiteKeysError, match="make it again"):
        read_request(forged)
    separated = signed_anew(
        "node request", content, NodeKeys.load(home.root).sign_secret,
        lambda it: it.update(made_at="2026-11-29\n12:00:00+00:00"),
    )  # fmt: skip
    assert "\n" not in read_request(separated).made_at


def test_a_welcome_names_the_node_as_it_asked(tmp_path: Path) -> None:
    """The name is printed before people compare fingerprints."""
    node, holder = Home(tmp_path / "north"), KeyHolderHome(tmp_path)
    request, made = make_request(node, "north", None, NOW)
    authority = ensure_authority(holder.home, "Town", NOW)
    for name in ("south", "north\nfingerprint: 1"):
        certificate = authority.sign_node(made.csr, name, None, NOW)
        welcome, _ = make_welcome(holder.home, certificate, request, prepare(holder.home))
        with pytest.raises(SiteKeysError, match="another name than this machine asked for"):
            read_welcome(node, welcome)


def test_a_backup_has_what_a_key_holder_and_a_node_cannot_make_again(tmp_path: Path) -> None:
    holder = KeyHolderHome(tmp_path)
    node, _ = holder.add(tmp_path, "north")
    found = {}
    for home in (holder.home, node):
        home.config.touch()
        database = Database(sqlite_url(home.index))
        sources = Sources(
            home=home, config=Config(), database=database, audit=AuditLog(home.audit), staging=tmp_path / "staging"
        )
        for name in (BackupClass.INDEX, BackupClass.KEYS):
            found[home.root.name, name] = {one.path for one in sources.of(name)}
        database.close()
    public = {"keys/site/ca.pem", "keys/site/revoked.pem", "keys/site/list.json"}
    assert found["holder", BackupClass.INDEX] >= {*public, "keys/nodes/north.json", "keys/site/console.pem"}
    assert found["holder", BackupClass.KEYS] >= {"private/site-ca.key", "private/console-tls.key"}
    assert found["north", BackupClass.INDEX] >= {*public, "keys/node/tls.pem", "keys/actor/actor.pub"}
    assert found["north", BackupClass.KEYS] >= {"keys/node/tls.key", "keys/node/sign.key", "keys/node/index.key"}
