"""`recorder nodes request`, `add`, `join`, `remove` in two homes; certificates over real TLS; a node's recordings."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recorder.cli import signing_key
from recorder.cli.cli import app  # noqa: F401 - loads what every command needs
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.permissions import Role
from recorder.recordings.inspection import Inspector
from recorder.site_keys.places import (
    authority_certificate,
    authority_key,
    console_certificate,
    console_key,
    node_certificate,
    node_key,
    revocation_list,
)
from storage.audit import AuditLog
from storage.database import Database, sqlite_url
from storage.epochs import EpochKeys, current_public
from storage.errors import DamagedError
from storage.index import Index
from storage.key_list_rows import newest_list
from storage.keys import NodeKeys
from storage.nodes import NodeRow, Nodes
from storage.objects import Objects
from storage.reader import open_recording
from storage.rows import row_from_json, time_to_json
from storage.types import RecordingHead, RecordingId
from storage.unfinished import UnfinishedRecordings
from storage.vault import Vault
from storage.verify import verify
from tests.helpers.recorder_home import RecorderHome, run
from tests.helpers.storage_home import block, row


class TwoHomes:
    """The console host's home, where ``ian`` of ICT adds nodes, and the folder of a new node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.console = RecorderHome(folder, next_hop="127.0.0.1:5070")
        self.console.add_person("ian", Role.ICT)
        self.holder = Home(self.console.root)
        self.node = Home(folder / "north")
        self.said = ""

    def run(self, *words: str, code: int = 0, stdin: str = "") -> Any:
        """Run a command; returns what it printed as JSON."""
        done = run(*words, "--json", stdin=stdin)
        self.said = done.stderr
        assert done.returncode == code, (done.stdout, done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stdout

    def request(self, *words: str, node: Home | None = None, name: str = "north") -> tuple[Path, str]:
        """Make a request; returns its file and fingerprint."""
        place = node or self.node
        file = self.folder / f"{name}.request"
        told = self.run("node", "request", "--name", name, "-o", str(file), "-C", str(place.root), *words)
        return file, told["fingerprint"]

    def add(self, file: Path, *words: str, code: int = 0, by: str = "ian") -> Any:
        """Add a node; returns what is told."""
        who = ("--as", by, "--password-file", str(self.console.password_file), "-C", str(self.console.root))
        return self.run("node", "add", str(file), *words, *who, code=code)

    def join(self, welcome: Path, *words: str, node: Home | None = None, code: int = 0) -> Any:
        """Have a node join; returns what is told."""
        return self.run("node", "join", str(welcome), *words, "-C", str((node or self.node).root), code=code)

    def remove(self, name: str, *words: str, code: int = 0, by: str = "ian") -> Any:
        """Remove a node; returns what is told."""
        who = ("--as", by, "--password-file", str(self.console.password_file), "-C", str(self.console.root))
        return self.run("node", "remove", name, *words, *who, code=code)

    def enter(self, node: Home | None = None, name: str = "north") -> Any:
        """Request, add and join; returns what the last told."""
        file, mark = self.request("--address", "127.0.0.1:7443", node=node, name=name)
        welcome = self.folder / f"{name}.welcome"
        told = self.add(file, "--fingerprint", mark, "-o", str(welcome))
        return self.join(welcome, "--fingerprint", told["fingerprint"], node=node)

    def files(self, home: Home) -> dict[str, bytes]:
        """Return the files of a home, but for its audit log and its databases."""
        found = (path for path in home.root.rglob("*") if path.is_file() and "sqlite" not in path.name)
        return {str(path): path.read_bytes() for path in found if path.parent.name not in ("audit", "state")}

    def entries(self, home: Home, act: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Return actor, subject and details of the entries of an act."""
        return [(e.actor, e.subject, dict(e.details)) for e in AuditLog(home.audit).entries() if e.act == act]


@pytest.fixture
def homes(tmp_path: Path) -> TwoHomes:
    return TwoHomes(tmp_path)


def test_a_new_machine_becomes_a_node_by_three_commands(homes: TwoHomes) -> None:
    file, mark = homes.request("--address", "10.1.2.3:7443")
    assert f"fingerprint of the request: {mark}" in homes.said
    assert "recorder.toml" in homes.said
    before = homes.files(homes.holder)
    shown = homes.add(file, "--dry-run")
    assert shown == {"name": "north", "address": "10.1.2.3:7443", "fingerprint": mark}
    assert (homes.files(homes.holder), homes.entries(homes.holder, "node.added")) == (before, [])
    welcome = homes.folder / "welcome"
    told = homes.add(file, "--fingerprint", mark.upper(), "-o", str(welcome))
    assert homes.entries(homes.holder, "node.added")[0][:2] == ("ian", "north")
    assert f'console_key = "{console_key(homes.holder)}"' in homes.said
    assert "set index_url in [storage]" in homes.said
    joined = homes.join(welcome, "--fingerprint", told["fingerprint"])
    assert joined["configuration"].splitlines()[:3] == ["[node]", 'name = "north"', 'listen = "10.1.2.3:7443"']
    assert str(node_certificate(homes.node)) in joined["configuration"]
    epochs = [home.root / "keys" / "epochs" for home in (homes.holder, homes.node)]
    now = utc_now()
    assert current_public(epochs[0], now) == current_public(epochs[1], now)
    assert [one[1] for one in homes.entries(homes.node, "node.joined")] == ["north"]
    once = homes.files(homes.node)
    homes.join(welcome, "--fingerprint", told["fingerprint"])
    assert homes.files(homes.node) == once
    database = Database(sqlite_url(homes.holder.index))
    assert newest_list(database) is not None
    database.close()
    for path in (authority_key(homes.holder), console_key(homes.holder), node_key(homes.node)):
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_files_also_go_through_standard_output(homes: TwoHomes) -> None:
    made = homes.run("node", "request", "--name", "north", "-C", str(homes.node.root))
    plain = run("node", "request", "--name", "north", "-C", str(homes.node.root))
    assert json.loads(made["file"])["kind"] == json.loads(plain.stdout)["kind"] == "node request"
    file = homes.folder / "request"
    file.write_text(plain.stdout)
    mark = homes.add(file, "--dry-run")["fingerprint"]
    welcome = homes.add(file, "--fingerprint", mark)
    (homes.folder / "welcome").write_text(welcome["file"])
    homes.join(homes.folder / "welcome", "--fingerprint", welcome["fingerprint"])
    assert node_certificate(homes.node).exists()


def test_a_fingerprint_that_nobody_compared_or_that_differs_stops_everything(homes: TwoHomes) -> None:
    file, mark = homes.request()
    before = homes.files(homes.holder)
    homes.add(file, code=2)
    assert "compare the fingerprint" in homes.said
    homes.add(file, "--fingerprint", "0" * 32, code=1)
    assert "the fingerprints differ" in homes.said
    assert (homes.files(homes.holder), homes.entries(homes.holder, "node.added")) == (before, [])
    welcome = homes.folder / "welcome"
    homes.add(file, "--fingerprint", mark, "-o", str(welcome))
    node = homes.files(homes.node)
    homes.join(welcome, code=2)
    homes.join(welcome, "--fingerprint", mark, code=1)
    assert (homes.files(homes.node), homes.entries(homes.node, "node.joined")) == (node, [])


def test_only_ict_adds_and_removes_and_only_on_the_console_host(homes: TwoHomes) -> None:
    homes.console.add_person("lea", Role.TEAM_LEADER)
    file, mark = homes.request()
    homes.add(file, "--fingerprint", mark, by="lea", code=1)
    assert "does not allow you to manage keys" in homes.said
    homes.enter()
    homes.remove("north", by="lea", code=1)
    assert "does not allow you to manage keys" in homes.said
    assert homes.entries(homes.holder, "node.removed") == []


def test_bad_input_is_answered_with_what_to_do(homes: TwoHomes) -> None:
    file, mark = homes.request()
    homes.add(homes.folder / "missing", code=2)
    assert "missing: No such file" in homes.said
    (homes.folder / "other").write_bytes(b"\0" * 9_000_000)
    homes.add(homes.folder / "other", code=1)
    assert "no file of `recorder nodes request`" in homes.said
    homes.run("node", "request", "--name", "North", "-C", str(homes.node.root), code=1)
    assert "cannot be the name of a node" in homes.said
    homes.run("node", "request", "--name", "north", "--address", "x", "-C", str(homes.node.root), code=1)
    assert "write HOST:PORT" in homes.said
    stranger = homes.folder / "stranger"
    stranger.mkdir()
    (stranger / "letters").touch()
    homes.run("node", "request", "--name", "north", "-C", str(stranger), code=1)
    assert "neither empty nor a recorder's home" in homes.said
    assert [path.name for path in stranger.iterdir()] == ["letters"]
    homes.add(file, "--fingerprint", mark, "-o", str(homes.folder / "welcome"))
    homes.join(homes.folder / "welcome", node=Home(homes.folder / "stranger"), code=1)
    assert "has made no request" in homes.said
    homes.join(file, code=1)
    assert "no file of `recorder nodes add`" in homes.said
    homes.remove("south", code=1)
    assert "there is no node 'south'; known are north" in homes.said


def test_a_name_in_use_is_refused_and_a_renewal_is_not(homes: TwoHomes) -> None:
    homes.enter()
    first = node_certificate(homes.node).read_bytes()
    other, mark = homes.request(node=Home(homes.folder / "other"))
    homes.add(other, "--fingerprint", mark, code=1)
    assert "north is a node already, with another key" in homes.said
    homes.enter()
    assert node_certificate(homes.node).read_bytes() != first
    assert [one[2]["is_renewed"] for one in homes.entries(homes.holder, "node.added")] == [False, True]


def subject_of(secured: ssl.SSLSocket) -> dict[str, str]:
    """Return the subject of the peer's certificate."""
    found: Any = secured.getpeercert()
    return dict(part[0] for part in found["subject"])


def _serve(listening: socket.socket, context: ssl.SSLContext, seen: list[Any]) -> None:
    """Accept one connection, and note whom its certificate names or why it is refused."""
    plain, _ = listening.accept()
    plain.settimeout(5)
    try:
        with context.wrap_socket(plain, server_side=True) as secured:
            seen.append(subject_of(secured))
            secured.sendall(b"hello")
    except (ssl.SSLError, OSError) as error:
        seen.append(str(error))
    finally:
        plain.close()


def _context(purpose: int, home: Home, certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority_certificate(home))
    context.load_verify_locations(revocation_list(home))
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def talk(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> tuple[Any, Any]:
    """Connect over real TLS; returns whom the server and whom the client saw, or why they refused."""
    seen: list[Any] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        thread = threading.Thread(target=_serve, args=(listening, server, seen))
        thread.start()
        try:
            plain = socket.create_connection(listening.getsockname(), 5)
            with client.wrap_socket(plain, server_hostname=name) as secured:
                said = secured.recv(5)
                peer: Any = subject_of(secured) if said == b"hello" else "closed"
        except (ssl.SSLError, OSError) as error:
            peer = str(error)
        thread.join(10)
    return seen[0], peer


def test_a_removed_nodes_certificate_is_refused_over_tls_by_console_and_nodes(homes: TwoHomes) -> None:
    south = Home(homes.folder / "south")
    homes.enter()
    homes.enter(node=south, name="south")

    def console(purpose: int) -> ssl.SSLContext:
        return _context(purpose, homes.holder, console_certificate(homes.holder), console_key(homes.holder))

    def of_node(purpose: int, home: Home) -> ssl.SSLContext:
        return _context(purpose, home, node_certificate(home), node_key(home))

    server, client = ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT
    north, ours = {"organizationalUnitName": "node", "commonName": "north"}, "console"
    assert talk(of_node(server, homes.node), console(client), "north") == (
        {"organizationalUnitName": "console", "commonName": ours}, north,
    )  # fmt: skip
    assert talk(of_node(server, south), of_node(client, homes.node), "south")[0] == north
    assert "Hostname mismatch" in talk(of_node(server, homes.node), console(client), "south")[1]
    told = homes.remove("north")
    assert (told["name"], told["recordings"]) == ("north", 0)
    assert "change the password that it has" in homes.said
    assert "certificate revoked" in talk(of_node(server, homes.node), console(client), "north")[1]
    shutil.copy(revocation_list(homes.holder), revocation_list(south))  # as its daemon takes it from the database
    assert "certificate revoked" in talk(of_node(server, south), of_node(client, homes.node), "south")[0]
    assert talk(of_node(server, south), console(client), "south")[1]["commonName"] == "south"
    openssl = ("openssl", "verify", "-crl_check", "-CAfile", str(authority_certificate(homes.holder)))
    for home, is_good in ((homes.node, False), (south, True)):
        words = (*openssl, "-CRLfile", str(revocation_list(homes.holder)), str(node_certificate(home)))
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is is_good, done.stderr


def test_removing_says_what_is_left_and_a_dry_run_changes_nothing(homes: TwoHomes) -> None:
    homes.enter()
    before = homes.files(homes.holder)
    assert homes.remove("north", "--dry-run")["sealed"] == []
    assert "it has never reported which keys it uses" in homes.said
    assert (homes.files(homes.holder), homes.entries(homes.holder, "node.removed")) == (before, [])
    homes.remove("north")
    assert homes.entries(homes.holder, "node.removed")[0][:2] == ("ian", "north")
    once = homes.files(homes.holder)
    homes.remove("north")
    assert homes.entries(homes.holder, "node.removed")[1:] == []
    assert homes.files(homes.holder) == once
    file, mark = homes.request(node=Home(homes.folder / "other"))
    homes.add(file, "--fingerprint", mark, code=1)
    assert "was removed, and its recordings are still checked by it" in homes.said


def test_removing_marks_the_row_and_counts_what_the_tables_have_of_the_node(homes: TwoHomes) -> None:
    homes.enter()
    fingerprint = NodeKeys.load(homes.node.root).fingerprint
    database = Database(sqlite_url(homes.holder.index))
    beat = NodeRow(
        name="north", fingerprint=fingerprint, address="10.1.2.3:7443", version="1", started_us=None, seen_us=None,
        state="accepting", calls=7, capacity=9,
    )  # fmt: skip
    assert not Nodes(database).renew(beat).is_removed
    index, ids = Index(database), [RecordingId(f"20261129T12000{n}Z-2001-0a1b2c") for n in range(4)]
    for recording, path, node in zip(ids, ("a", "b", None, "d"), ("north", "north", "north", "south"), strict=True):
        index.save(row_from_json(row(recording, path=path, sha256="ab" * 32, node=node)))
    UnfinishedRecordings(database).change("north", opened=ids[:1], ended=())
    Objects(database).add([index.get(ids[1])], fingerprint, utc_now())
    told = homes.remove("north", "--dry-run")
    counted = {key: told[key] for key in ("calls", "recordings", "unfinished", "not_stored", "files_waiting")}
    assert counted == {"calls": 7, "recordings": 2, "unfinished": 1, "not_stored": 1, "files_waiting": 0}
    assert "1 recordings there are not in the object store yet" in homes.said
    homes.remove("north")
    assert Nodes(database).renew(beat).is_removed
    homes.enter()
    assert not Nodes(database).renew(beat).is_removed, "it was added again"
    database.close()


@pytest.fixture
def recorded(homes: TwoHomes) -> Iterator[tuple[TwoHomes, Path]]:
    """A recording that node ``north`` made, with its sealed key and row, in the console host's home."""
    homes.request()
    started = utc_now().replace(microsecond=0)
    node, recording = NodeKeys.load(homes.node.root), RecordingId(f"{started:%Y%m%dT%H%M%SZ}-2001-0a1b2c")
    shutil.copytree(homes.holder.root / "keys" / "epochs", homes.node.root / "keys" / "epochs")
    fields = row(recording, started_at=time_to_json(started), ended_at=time_to_json(started))
    vault = Vault(homes.node.root, node)
    opened = vault.create(RecordingHead(id=recording, started_at=started, operator_key="k7", index_row=fields))
    opened.append(block(0))
    done = opened.close(fields, is_complete=True)
    for folder in ("recordings", "keys/sealed"):
        shutil.copytree(homes.node.root / folder, homes.holder.root / folder, dirs_exist_ok=True)
    index = Index(sqlite_url(homes.holder.index))
    index.save(row_from_json({**fields, "path": done.path, "bytes": done.bytes, "sha256": done.sha256}))
    index.close()
    yield homes, homes.holder.recordings / done.path


def test_a_nodes_recording_verifies_and_opens_once_the_node_is_added(recorded: tuple[TwoHomes, Path]) -> None:
    homes, path = recorded
    home = homes.holder
    vault = Vault(home.root, NodeKeys.load(home.root))
    keys = EpochKeys(home.root / "keys" / "epochs", home.private_keys)

    def problem() -> str | None:
        index = Index(sqlite_url(home.index))
        try:
            return next(iter(Inspector(vault=vault, index=index).all())).problem
        finally:
            index.close()

    assert "signed by a node that is not trusted" in str(problem())
    other = Home(homes.folder / "other")
    homes.enter(node=other, name="other")
    assert "signed by a node that is not trusted" in str(problem())
    with pytest.raises(DamagedError, match="signed by a node that this site does not know"):
        open_recording(path, home.root, keys)
    homes.enter()
    assert problem() is None
    assert list(open_recording(path, home.root, keys).blocks()) == [block(0)]
    assert verify(path, vault.trusted).signed_by == NodeKeys.load(homes.node.root).fingerprint
    homes.remove("north")
    assert problem() is None, "what it recorded stays valid"
    content = bytearray(path.read_bytes())
    content[-20 - 1] ^= 1  # in the signature; the last 16 bytes are the check
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="signature is wrong"):
        open_recording(path, home.root, keys)
    path.write_bytes(content[:-200])
    with pytest.raises(DamagedError, match="does not end with a footer"):
        open_recording(path, home.root, keys)


def test_the_signing_key_is_exchanged_by_a_command_that_names_who_does_not_know_it(
    homes: TwoHomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_key, "WAIT_S", 0.2)
    homes.enter()
    public = homes.holder.root / "keys" / "actor" / "actor.pub"
    before = public.read_bytes()
    who = ("--as", "ian", "--password-file", str(homes.console.password_file), "-C", str(homes.console.root))
    done = run("keys", "rotate-signing", *who)
    assert done.returncode == 0, done.stderr
    assert "north does not know it yet" in done.stderr
    assert public.read_bytes() != before
    (entry,) = homes.entries(homes.holder, "keys.signing_rotated")
    assert (entry[0], entry[2]["missing"]) == ("ian", ["north"])
