"""Keys reach the nodes of a site by the database: new months, rotations, exchanged signing keys, and no others."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from recorder.access.signing import Said, Signer, UnsignedError, Verifier, secret_path
from recorder.common.home import Home
from recorder.site_keys import following, rotation
from recorder.site_keys.epoch_needs import OtherNodes
from recorder.site_keys.following import KeyListFollower
from recorder.site_keys.key_list import parse_list
from recorder.site_keys.places import known_nodes
from recorder.site_keys.publishing import introduce, keep_published, publish
from storage import crypto
from storage.database import Database, sqlite_url
from storage.epochs import current_public, read_public
from storage.errors import DatabaseError
from storage.index import Index
from storage.key_list_rows import StoredList, newest_list, replace_list, reports
from storage.keys import NodeKeys, SealedKeys
from storage.rows import row_from_json
from storage.tables import key_lists
from storage.types import RecordingId
from storage.unfinished import UnfinishedRecordings
from tests.helpers.site_homes import NOW, KeyHolderHome
from tests.helpers.storage_home import row

ID = RecordingId("20261129T120000Z-2001-0a1b2c")


class FollowedSite:
    """A key holder and node ``north``, which follows it when it is told to look."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.database = database
        self.now = NOW
        self.holder = KeyHolderHome(folder)
        self.node, _ = self.holder.add(folder, "north")
        self.alarms: dict[str, int] = {}
        self.refusals: list[str] = []
        self.follower = self.another()
        publish(self.holder.home, database)

    def another(self) -> KeyListFollower:
        """Return a follower as the daemon has after a start."""
        return KeyListFollower(
            self.node, self.database, self.alarms, now=lambda: self.now, refused=self.refusals.append
        )

    @property
    def epoch(self) -> str:
        """The epoch that the node seals new recordings to."""
        return current_public(self.node.root / "keys" / "epochs", self.now).name

    def seal(self, recording: RecordingId = ID) -> None:
        """Seal a key at the node, as the beginning of a recording does."""
        epoch = current_public(self.node.root / "keys" / "epochs", self.now)
        SealedKeys(self.node.root).seal(recording, bytes(32), epoch)

    def needs(self, epoch: str) -> list[str]:
        """Return why the node needs an epoch."""
        return OtherNodes(self.holder.home, self.database, now=lambda: self.now).needs(epoch)

    def files(self) -> dict[str, bytes]:
        """Return the node's files."""
        return {str(path): path.read_bytes() for path in self.node.root.rglob("*") if path.is_file()}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FollowedSite]:
    database = Database(sqlite_url(tmp_path / "index.sqlite"))
    yield FollowedSite(tmp_path, database)
    database.close()


@pytest.fixture
def either(tmp_path: Path, database: Database) -> FollowedSite:
    """A site on either engine."""
    return FollowedSite(tmp_path, database)


def test_a_rotation_reaches_a_node_at_its_next_look(either: FollowedSite) -> None:
    either.follower.look()
    assert (either.epoch, either.alarms) == ("2026-11", {})
    either.holder.epochs.rotate(either.now)
    publish(either.holder.home, either.database)
    either.follower.look()
    assert either.epoch == "2026-11.2"
    either.seal()
    assert SealedKeys(either.node.root).open(ID, either.holder.epochs) == bytes(32)


def test_the_daemons_thread_brings_a_rotation_within_its_time(site: FollowedSite) -> None:
    assert following.LOOK_S == 10.0
    follower = KeyListFollower(site.node, site.database, site.alarms, now=lambda: site.now, every_s=0.05)
    follower.start()
    try:
        site.holder.epochs.rotate(site.now)
        publish(site.holder.home, site.database)
        deadline = time.monotonic() + 10
        while site.epoch != "2026-11.2":
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        follower.close()


def test_a_node_whose_newest_month_has_run_out_goes_on_and_raises_an_alarm(site: FollowedSite) -> None:
    site.now = datetime(2027, 2, 3, tzinfo=NOW.tzinfo)
    site.follower.look()
    assert (site.epoch, site.alarms) == ("2027-01", {"epoch_missing": 1})
    site.seal()
    site.holder.epochs.ensure_epochs(site.now)
    publish(site.holder.home, site.database)
    site.follower.look()
    assert (site.epoch, site.alarms) == ("2027-02", {})


def test_a_database_that_does_not_answer_leaves_the_keys_that_are_there(
    site: FollowedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.now = datetime(2027, 2, 3, tzinfo=NOW.tzinfo)
    before = site.files()

    def away(_: Database) -> None:
        raise DatabaseError("it is away", is_passing=True)

    monkeypatch.setattr(following, "newest_list", away)
    with pytest.raises(DatabaseError):
        site.follower.look()
    assert (site.files(), site.epoch, site.alarms) == (before, "2027-01", {"epoch_missing": 1})


def forge(site: FollowedSite, **changes: object) -> None:
    """Change the published list, as somebody who may write the table could."""
    found = newest_list(site.database)
    assert found is not None
    fields = json.loads(found.text)
    text = json.dumps({**fields, **changes}, sort_keys=True, separators=(",", ":"))
    replace_list(site.database, StoredList(number=found.number, text=text, signature=found.signature))


def test_a_forged_list_is_refused_with_an_alarm_and_an_entry_until_it_is_right_again(either: FollowedSite) -> None:
    either.follower.look()
    before = either.files()
    forge(either, epochs={"2026-11.9": "ab" * 32})
    for _ in range(3):
        either.follower.look()
    assert (either.files(), either.epoch) == (before, "2026-11")
    assert either.alarms == {"key_list_refused": 1}
    assert either.refusals == ["its signature is wrong: the key holder did not publish it like this"]
    publish(either.holder.home, either.database)  # as the console does each minute
    either.follower.look()
    assert either.alarms == {}


def test_an_older_list_is_refused(either: FollowedSite) -> None:
    old = newest_list(either.database)
    assert old is not None
    either.holder.epochs.rotate(either.now)
    publish(either.holder.home, either.database)
    either.follower.look()
    replace_list(either.database, old)
    either.another().look()
    assert (either.epoch, either.alarms) == ("2026-11.2", {"key_list_refused": 1})
    assert [one.split(",")[0] for one in either.refusals] == ["it is older"]
    publish(either.holder.home, either.database)
    either.follower.look()
    assert (either.epoch, either.alarms) == ("2026-11.2", {})


def test_a_list_that_cannot_be_read_or_that_somebody_removed_has_an_alarm(site: FollowedSite) -> None:
    with site.database.begin() as connection:
        connection.execute(sa.update(key_lists).values(document="nonsense"))
    site.follower.look()
    assert site.alarms == {"key_list_refused": 1}
    with site.database.begin() as connection:
        connection.execute(sa.delete(key_lists))
    site.alarms.clear()
    site.another().look()
    assert (site.epoch, site.alarms) == ("2026-11", {"key_list_refused": 1})
    assert [one.partition(":")[0] for one in site.refusals[1:]] == ["it is not there"]
    publish(site.holder.home, site.database)
    site.another().look()
    assert site.alarms == {}


def test_the_console_puts_the_list_right_by_itself(site: FollowedSite) -> None:
    forge(site, number=2**62)
    stopping = threading.Event()
    site.holder.epochs.rotate(site.now)
    arguments = (site.holder.home, site.database, stopping)
    console = threading.Thread(target=keep_published, args=arguments, kwargs={"now": lambda: NOW, "every_s": 0.05})
    console.start()
    try:
        deadline = time.monotonic() + 10
        while site.epoch != "2026-11.2":
            assert time.monotonic() < deadline
            site.follower.look()
    finally:
        stopping.set()
        console.join()
    found = newest_list(site.database)
    assert found is not None
    assert found.number < 100, "a number that the key holder did not sign counts for nothing"


def test_a_home_restored_from_a_backup_publishes_above_what_the_nodes_have(site: FollowedSite) -> None:
    path = site.holder.home.root / "keys" / "site" / "list.json"
    backup = path.read_bytes()
    site.holder.epochs.rotate(site.now)
    publish(site.holder.home, site.database)
    site.follower.look()
    path.write_bytes(backup)
    publish(site.holder.home, site.database)
    site.follower.look()
    assert (site.epoch, site.alarms) == ("2026-11.2", {})


def said(signer: Signer, verifier: Verifier) -> bool:
    """Tell whether a verifier accepts what a signer signs."""
    words = Said(method="POST", target="/x", actor="ann", content=b"")
    try:
        verifier.check(words, signer.sign(words))
    except UnsignedError:
        return False
    return True


def test_the_signing_key_is_exchanged_without_a_moment_in_which_a_node_accepts_neither(site: FollowedSite) -> None:
    holder, database = site.holder.home, site.database
    signer, here, there = Signer(holder.root), Verifier(holder.root), Verifier(site.node.root)
    assert (said(signer, here), said(signer, there)) == (True, True)
    stolen = Home(site.folder / "stolen")
    secret_path(stolen.root).parent.mkdir(parents=True)
    secret_path(stolen.root).write_bytes(secret_path(holder.root).read_bytes())
    secret_path(stolen.root).chmod(0o600)

    found = rotation.begin(holder, database)
    assert found is not None
    assert rotation.waits_for(holder, database, found) == ["north"]
    assert said(signer, there)
    site.follower.look()
    assert rotation.waits_for(holder, database, found) == []
    assert (said(signer, here), said(signer, there)) == (True, True)

    noted: list[bytes] = []
    rotation.finish(holder, database, note=noted.append)
    assert (said(signer, here), said(signer, there)) == (True, True), "before the node has seen the next list"
    site.follower.look()
    assert (said(signer, here), said(signer, there)) == (True, True)
    assert (said(Signer(stolen.root), here), said(Signer(stolen.root), there)) == (False, False)
    assert noted == [crypto.signing_pair(bytes.fromhex(secret_path(holder.root).read_text()))[0]]
    assert sorted(path.name for path in secret_path(holder.root).parent.iterdir()) == ["actor.key", "actor.pub"]
    assert [path.name for path in (site.node.root / "keys" / "actor").iterdir()] == ["actor.pub"]


def test_a_node_that_was_away_for_two_exchanges_follows_the_chain(site: FollowedSite) -> None:
    for _ in range(2):
        rotation.begin(site.holder.home, site.database)
        rotation.finish(site.holder.home, site.database, note=lambda _: None)
    site.follower.look()
    assert site.alarms == {}
    assert said(Signer(site.holder.home.root), Verifier(site.node.root))


@pytest.mark.parametrize("step", ["replace_wiped", "save_if_new", "destroy_secret", "remove"])
def test_an_exchange_that_is_interrupted_is_finished_by_another(
    site: FollowedSite, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, database = site.holder.home, site.database
    rotation.begin(holder, database)
    site.follower.look()

    def killed(*_: object, **__: object) -> None:
        raise OSError(5, "killed")

    with monkeypatch.context() as patch:
        patch.setattr(rotation, step, killed)
        with pytest.raises(OSError, match="killed"):
            rotation.finish(holder, database, note=lambda _: None)
    signer = Signer(holder.root)
    assert (said(signer, Verifier(holder.root)), said(signer, Verifier(site.node.root))) == (True, True)
    rotation.begin(holder, database)
    site.follower.look()
    assert said(signer, Verifier(site.node.root))
    rotation.finish(holder, database, note=lambda _: None)
    site.follower.look()
    assert (said(signer, Verifier(holder.root)), said(signer, Verifier(site.node.root))) == (True, True)
    assert sorted(path.name for path in secret_path(holder.root).parent.iterdir()) == ["actor.key", "actor.pub"]


def test_a_list_in_the_middle_of_an_exchange_is_not_signed_by_a_third_key(site: FollowedSite) -> None:
    found = rotation.begin(site.holder.home, site.database)
    assert found is not None
    _, secret = crypto.signing_pair(bytes([9]) * 32)
    introduce(site.holder.home, site.database, found.content.signers, secret)
    site.follower.look()
    assert site.alarms == {"key_list_refused": 1}


def test_a_private_key_stays_while_a_node_needs_it(either: FollowedSite) -> None:
    assert either.needs("2026-11") == ["node north has never told which keys it uses"]
    either.follower.look()
    assert either.needs("2026-11") == ["node north seals new recordings to it"]
    assert either.needs("2026-12") == []
    either.seal()
    either.holder.epochs.rotate(either.now)
    publish(either.holder.home, either.database)
    assert either.needs("2026-11.2") == []
    either.follower.look()
    assert either.needs("2026-11") == ["keys at node north are sealed to it"]
    assert either.needs("2026-11.2") == ["node north seals new recordings to it"]
    SealedKeys(either.node.root).destroy(ID)
    either.follower.look()
    assert either.needs("2026-11") == []
    either.now += timedelta(hours=3)
    assert either.needs("2026-11") == ["node north has been silent since 29 November 2026, midday UTC"]


def test_a_recording_whose_key_is_not_here_keeps_its_months_private_keys(either: FollowedSite) -> None:
    either.now = datetime(2026, 12, 20, tzinfo=NOW.tzinfo)
    either.follower.look()
    assert either.needs("2026-11") == []
    opened = RecordingId("20261115T120000Z-2001-0a1b2c")
    UnfinishedRecordings(either.database).change("north", opened=[opened], ended=())
    assert either.needs("2026-11") == ["recordings of its month may be sealed to it on other nodes"]
    UnfinishedRecordings(either.database).change("north", opened=(), ended=[opened])
    index = Index(either.database)
    index.save(row_from_json(row(ID, started_at="2026-11-30T23:59:59Z", path="2026/11/30/k7/x.rec")))
    index.save(
        row_from_json(row(RecordingId(ID.replace("2001", "2002")), started_at="2026-11-30T23:59:59Z", path=None))
    )
    needed = "recordings of its month may be sealed to it on other nodes"
    assert (either.needs("2026-11"), either.needs("2026-10")) == ([needed], [])
    assert either.needs("2026-12")[-1] == needed, "a call that began at the month's end may be sealed in the next"
    either.holder.remove("north", either.database)
    assert either.needs("2026-11") == [needed]
    november = read_public(either.holder.home.root / "keys" / "epochs", "2026-11")
    SealedKeys(either.holder.home.root).seal(ID, bytes(32), november)
    assert either.needs("2026-11") == []


def test_a_report_is_renewed_when_something_changes_and_each_minute(site: FollowedSite) -> None:
    site.follower.look()
    site.now += timedelta(seconds=30)
    site.follower.look()
    own = NodeKeys.load(site.node.root).fingerprint
    assert reports(site.database)[own].reported_at == NOW
    site.now += timedelta(seconds=30)
    site.follower.look()
    assert reports(site.database)[own].reported_at == site.now
    site.seal()
    site.now += timedelta(seconds=1)
    site.follower.look()
    said = reports(site.database)[own]
    assert (said.reported_at, said.sealed) == (site.now, frozenset({"2026-11"}))


def test_a_home_that_has_not_joined_and_the_key_holder_follow_nothing(site: FollowedSite, tmp_path: Path) -> None:
    forge(site, epochs={})
    for home in (site.holder.home, Home(tmp_path / "alone")):
        KeyListFollower(home, site.database, site.alarms, now=lambda: site.now).look()
    assert (site.alarms, reports(site.database)) == ({}, {})


def test_a_list_is_stored_alone(either: FollowedSite) -> None:
    either.holder.epochs.rotate(either.now)
    publish(either.holder.home, either.database)
    with either.database.connect() as connection:
        rows = connection.execute(sa.select(key_lists)).all()
    assert [row.number for row in rows] == [parse_list(rows[0].document, rows[0].signature).content.number]


def test_a_node_of_which_the_key_holder_has_no_record_keeps_an_epoch_too(either: FollowedSite) -> None:
    """As after the key holder's home was restored without them, or where machines share an index without records."""
    shutil.rmtree(known_nodes(either.holder.home))
    assert either.needs("2026-11") == []
    Index(either.database).save(row_from_json(row(ID, started_at=NOW.isoformat(), path="2026/11/29/k7/x.rec")))
    assert either.needs("2026-11") == [], "there is one machine"
    with either.database.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO nodes (name, fingerprint, address, version, state, calls, capacity) "
            "VALUES ('north', 'f00d', '', '', 'accepting', 0, 0)"
        )
    assert either.needs("2026-11") == ["recordings of its month may be sealed to it on other nodes"]
