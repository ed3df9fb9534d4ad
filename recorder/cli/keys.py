"""`recorder keys`: list, rotate, destroy and re-encrypt the private keys of the epochs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from recorder.cli.context import CommandContext, HomeContext, KeysContext, PersonContext
from recorder.cli.entries import permit
from recorder.cli.options import YesOption
from recorder.cli.output import fail, print_json, print_table, say
from recorder.cli.records import opened_index
from recorder.cli.results.keys import ChangedPassphrase, DestroyedKey
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.system_user import os_user
from recorder.permissions import Act, Person
from recorder.recordings.home_stores import open_vault
from recorder.recordings.keyring import epoch_keys, new_passphrase
from recorder.retention.housekeeping import KeyHolder
from recorder.site_keys.epoch_needs import OtherNodes
from recorder.site_keys.publishing import has_nodes, publish
from storage.audit import AuditLog
from storage.epochs import EpochKeys, current_public, epoch_order, is_epoch, names_in, read_public
from storage.errors import KeyProblemError

_COLUMNS = (
    ("epoch", "Epoch"),
    ("fingerprint", "Fingerprint"),
    ("sealed", "Recordings"),
    ("private", "Private key"),
    ("use", "Use"),
)
_TIDIED = "{resealed} recordings were re-sealed to a later epoch, private keys of {destroyed} epochs were destroyed"


def list_keys(context: HomeContext) -> None:
    """List the epochs: fingerprint, number of recordings sealed to each, and whether its private key is here."""
    with _holding(context) as holder:
        epochs = [_described(holder, name) for name in _names(holder)]
        nodes = OtherNodes(context.home, holder.index.database, now=utc_now).states()
    if context.json:
        print_json(epochs)
        return
    print_table([_shown(epoch) for epoch in epochs], _COLUMNS, empty="there are no epochs")
    for node in nodes:
        say(node)
    if any(epoch["is_fallback"] for epoch in epochs):
        say("this month has no key: start the console, or run `recorder keys rotate`, where the private keys are")


def rotate(context: KeysContext) -> None:
    """Make new keys for this month and the months prepared, because the private keys may be compromised."""
    with _holding(context) as holder:
        person = _permit(context, "rotate")
        holder.keys.ensure_epochs(utc_now())
        made = holder.keys.rotate(utc_now())
        fingerprints = {key.name: key.fingerprint for key in made}
        _note(holder, "keys.rotated", person, {"epochs": fingerprints})
        is_published = has_nodes(context.home)
        if is_published:
            publish(context.home, holder.index.database)
    if context.json:
        print_json([{"epoch": epoch, "fingerprint": mark} for epoch, mark in fingerprints.items()])
        return
    say(f"new recordings are sealed to {made[0].name}; keys made: {', '.join(fingerprints)}")
    if is_published:
        say("other nodes have them within 15 s, if they reach the database; `recorder keys list` shows what they use")
    say("in an hour run `recorder keys tidy` to re-seal existing recordings to the new keys, or let the console do it")


_WHAT = "managing keys"


def destroy(
    context: PersonContext,
    epoch: Annotated[str, typer.Argument(metavar="MONTH", help="YYYY-MM, or YYYY-MM.2 after a rotation.")],
    yes: YesOption = False,
) -> None:
    """Destroy the private key of an epoch that nothing needs any longer. The console also does this automatically."""
    if not is_epoch(epoch):
        fail(f"{epoch!r} is not an epoch of the form YYYY-MM or YYYY-MM.2", 2)
    with _holding(context) as holder:
        person = context.sign_in(_WHAT)  # only the key holder may learn what needs the key
        if not yes:
            sentences = holder.use_of(epoch).sentences
            if sentences:
                fail(_refusal(epoch, sentences))
            fail(f"nothing needs the key of {epoch}; give --yes to destroy it", 2)
        _note_permit(context.home, person, f"destroy {epoch}")
        sentences = holder.destroy(epoch, by=person.actor, details={"os_user": os_user()})
        if sentences:
            fail(_refusal(epoch, sentences))
    context.tell(DestroyedKey(epoch=epoch), f"the private key of {epoch} is destroyed")


def tidy(context: KeysContext) -> None:
    """Run the console's daily key maintenance now: re-seal held recordings, destroy keys of empty epochs."""
    with _holding(context) as holder:
        _permit(context, "tidy")
        holder.keys.check_passphrase()
        tended = holder.maintain(wait=True)
    if context.json:
        resealed = [{"id": one.id, "from": one.old, "to": one.new.name} for one in tended.resealed]
        print_json({"resealed": resealed, "destroyed": tended.destroyed, "problems": tended.problems})
    else:
        say(_TIDIED.format(resealed=len(tended.resealed), destroyed=len(tended.destroyed)))
        for problem in tended.problems:
            say(problem)
    if tended.problems:
        raise typer.Exit(1)


def passphrase(
    context: KeysContext,
    new_file: Annotated[
        Path | None,
        typer.Option("--new-passphrase-file", metavar="FILE", help="File with the new passphrase in its first line."),
    ] = None,
    is_removed: Annotated[bool, typer.Option("--remove", help="Store the private keys without a passphrase.")] = False,
) -> None:
    """Set, change or remove the passphrase of all private keys. After an interruption, run it again."""
    if (new_file is None) is not is_removed:
        fail("give either --new-passphrase-file FILE or --remove", 2)
    with _holding(context) as holder:
        new = None if new_file is None else new_passphrase(new_file)
        if not holder.keys.names():
            raise KeyProblemError(f"there are no private keys in {holder.keys.private_folder}")
        person = _permit(context, "passphrase")
        changed = holder.keys.change_passphrase(new)
        _note(holder, "keys.passphrase", person, {"epochs": changed, "is_set": new is not None})
    where = "off" if new_file is None else str(new_file.resolve())
    context.tell(
        ChangedPassphrase(epochs=list(changed), has_passphrase=new is not None),
        f"{len(changed)} private keys {'need no passphrase any more' if new is None else 'have the new passphrase'}",
        f'set passphrase_file = "{where}" in [storage] of recorder.toml, and start the console again',
    )


@contextmanager
def _holding(context: CommandContext) -> Iterator[KeyHolder]:
    home = context.home
    with opened_index(context) as index:
        yield KeyHolder(
            vault=open_vault(home, context.config, index),
            keys=epoch_keys(home, context.config, context.passphrase_file),
            index=index,
            audit=AuditLog(home.audit),
            lock=home.erasing_lock,
            now=utc_now,
            elsewhere=OtherNodes(home, index.database, now=utc_now).needs,
        )


def _permit(context: CommandContext, what: str) -> Person:
    person = context.sign_in(_WHAT)
    _note_permit(context.home, person, what)
    return person


def _note_permit(home: Home, person: Person, what: str) -> None:
    permit(home, Act.MANAGE_KEYS, person, reason="", subject="", operator=None, details={"what": what})


def _note(holder: KeyHolder, act: str, person: Person, details: dict[str, Any]) -> None:
    holder.audit.append(act=act, actor=person.actor, subject="", details={**details, "os_user": os_user()})


def _refusal(epoch: str, sentences: list[str]) -> str:
    return f"the private key of {epoch} cannot be destroyed: {' and '.join(sentences)}"


def _names(holder: KeyHolder) -> list[str]:
    known = {*names_in(holder.keys.public_folder, ".pub"), *holder.keys.names(), *holder.vault.sealed.epochs()}
    return sorted(known, key=epoch_order)


def _described(holder: KeyHolder, name: str) -> dict[str, Any]:
    need = holder.use_of(name)
    is_here = name in holder.keys.names()
    return {
        **asdict(need),
        "month": epoch_order(name)[0],
        "fingerprint": _fingerprint(holder.keys, name, is_here=is_here),
        "is_private_here": is_here,
        "has_passphrase": holder.keys.is_sealed(name) if is_here else None,
        "is_fallback": need.is_current and current_public(holder.keys.public_folder, utc_now()).is_fallback,
        "needed_because": need.sentences,
    }


def _fingerprint(keys_: EpochKeys, name: str, *, is_here: bool) -> str | None:
    try:
        return (keys_.public_of(name) if is_here else read_public(keys_.public_folder, name)).fingerprint
    except KeyProblemError:
        return None


def _shown(epoch: dict[str, Any]) -> dict[str, Any]:
    private = "not here"
    if epoch["is_private_here"]:
        private = "here, with a passphrase" if epoch["has_passphrase"] else "here"
    use = "now, as this month has none" if epoch["is_fallback"] else "now" if epoch["is_current"] else ""
    over = "over" if epoch["is_over"] else "to come"
    return {**epoch, "fingerprint": (epoch["fingerprint"] or "")[:16], "private": private, "use": use or over}
