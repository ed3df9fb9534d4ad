"""Seals the key of a recording again, to a later epoch: for held recordings, so that their old epoch can end.

Only the sealed key moves; the container stays as its node closed it, and `storage.verify` says so without any private
key. The recording's own key stays the same, so the move is undone by nothing that was kept of the old one but the old
private key, which is destroyed once nothing else needs it.

Steps, each durable before the next: the new sealed key beside the old one, proved by opening the container with it;
the caller's entry in the audit log; the old sealed key is destroyed. Killed anywhere, either opens the recording, the
newer counts, and the next run goes on. The caller holds the lock that erasing takes (`RecordingRow` is not touched).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.epochs import EpochKeys, EpochPublicKey
from storage.errors import KeyProblemError
from storage.keys import destroy_key
from storage.reader import RecordingReader
from storage.types import RecordingId
from storage.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed:
    """A recording whose key is sealed to a later epoch.

    Attributes:
        id: Recording id.
        old: Epoch that it was sealed to.
        new: Epoch that it is sealed to now.
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
) -> Resealed | None:
    """Seal a recording's key to another epoch, which is later than those that it is sealed to.

    Args:
        vault: Where the recording lies; its container must be finished.
        keys: The private keys, that of the new epoch included.
        recording: Its id.
        to: The new epoch.
        note: Called when both keys are there and the new one is proved, before the old one is destroyed.

    Returns:
        What was done; None if it is sealed to that epoch, and to no other, already.

    Raises:
        KeyProblemError: A key is missing or does not open; the recording opens as before.
        DamagedError: The new key does not open the container; the recording opens as before.
        OSError: As the system says; the recording opens as before, and the next run goes on.
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
    for path in _containers(vault, recording):
        RecordingReader(path, key)
    done = Resealed(id=recording, old=old[0], new=to)
    note(done)
    for epoch in old:
        destroy_key(vault.sealed.path(recording, epoch))
    return done


def _containers(vault: Vault, recording: RecordingId) -> Iterator[Path]:
    found = [path for path in vault.files_of(recording) if path.suffix == ".rec"]
    if not found:
        raise KeyProblemError(f"recording {recording} has no finished container that its key could open")
    yield from found
