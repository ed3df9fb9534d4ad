"""Opens what keeps the recordings of a home in the object store; only its process and commands need it."""

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.objects.elsewhere import WORKING, open_objects
from recorder.objects.parts import PartKeeper
from recorder.objects.removing import Remover
from recorder.objects.uploading import Uploader
from recorder.objects.work import ObjectWork
from recorder.recordings.home_stores import open_vault, shared_name
from storage.audit import AuditLog
from storage.index import Index
from storage.objects import Objects
from storage.tombstones import Deletions


def open_object_work(home: Home, config: Config, index: Index) -> ObjectWork:
    """Open what keeps the recordings of a home in the object store, which must be configured.

    Raises:
        StorageError: The node's keys or the store's account cannot be read.
    """
    vault, store = open_vault(home, config, index), open_objects(config.objects, home.state, WORKING)
    node, objects = vault.node.fingerprint, Objects(index.database)
    return ObjectWork(
        Uploader(store=store, vault=vault, index=index, objects=objects, node=node, now=utc_now),
        Remover(
            store=store, vault=vault, index=index, objects=objects, node=node, name=shared_name(config),
            erasing_lock=home.erasing_lock, now=utc_now,
        ),
        objects, AuditLog(home.audit), keep_local_days=config.objects.keep_local_days, now=utc_now,
    )  # fmt: skip


def open_part_keeper(home: Home, config: Config, index: Index) -> PartKeeper:
    """Open what stores calls in progress in parts. Raises StorageError: The keys or the account cannot be read."""
    vault, database = open_vault(home, config, index), index.database
    return PartKeeper(
        store=open_objects(config.objects, home.state, WORKING), vault=vault, index=index, objects=Objects(database),
        deletions=Deletions(database), node=vault.node.fingerprint, now=utc_now,
    )  # fmt: skip
