"""Reseals the key of a held recording to a later epoch, so that the private key of its old epoch can be destroyed.

Only the sealed key changes. The container stays as its node closed it, which `storage.verify` shows without a private
key. The recording's own key does not change, so a copy of the old sealed key still opens it with the old private key,
until that is destroyed.

Steps, each durable before the next: write the new sealed key and prove it by opening the container; write the caller's
entry in the audit log; destroy the old sealed key. After a kill both keys open the recording, the newer counts, and the
next run continues. The caller holds the lock for erasing. The index does not change.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from storage.containers import Container
from storage.epochs import EpochKeys, EpochPublicKey
from storage.errors import KeyProblemError
from storage.keys import destroy_key
from storage.reader import RecordingReader
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed:
    """A recording whose key was resealed.

    Attributes:
        id: Recording id.
        old: The epoch before.
        new: The new epoch.
    """

    id: RecordingId
    old: str
    new: EpochPublicKey


def reseal(
    vault: Vault,
    keys: EpochKeys,
    recording: RecordingId,
    to: EpochPublicKey,
    *,
    note: Callable[[Resealed], None] = lambda _resealed: None,
    row: RecordingRow | None = None,
) -> Resealed | None:
    """Seal a recording's key to a later epoch.

    Args:
        vault: The store; the recording's container must be finished.
        keys: The private keys, with that of the new epoch.
        recording: Its id.
        to: The new epoch.
        note: Called after the new key is proved and before the old one is destroyed.
        row: Its row, for a container that is only elsewhere.

    Returns:
        The change, or None: the key is already sealed to that epoch alone.

    Raises:
        KeyProblemError: A key is missing or does not open; the old key still opens the recording.
        DamagedError: The new key does not open the container; the old key still does.
        OSError: From the system; the old key still opens the recording, and the next run continues.
    """
    epochs = vault.sealed.find_all(recording)
    old = [epoch for epoch in epochs if epoch != to.name]
    if not old and epochs:
        return None
    key = vault.sealed.open(recording, keys)
    if to.name not in epochs:
        vault.sealed.seal(recording, key, to)
    if vault.sealed.unseal(recording, keys.load_private(to.name)) != key:
        raise KeyProblemError(f"the key of recording {recording} in epoch {to.name} is another one")
    for container in _containers(vault, recording, row):
        RecordingReader(container, key)
    done = Resealed(id=recording, old=old[0], new=to)
    note(done)
    for epoch in old:
        destroy_key(vault.sealed.path(recording, epoch))
    return done


def _containers(vault: Vault, recording: RecordingId, row: RecordingRow | None) -> Iterator[Container]:
    found: list[Container] = [path for path in vault.files_of(recording) if path.suffix == ".rec"]
    if not found and row is not None and row.path is not None and vault.elsewhere is not None:
        found.append(vault.container(row))
    if not found:
        raise KeyProblemError(f"recording {recording} has no finished container that its key could open")
    yield from found
