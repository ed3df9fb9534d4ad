"""`recorder archive`: what the rule of ``[archive]`` is about to pack, and packing it now."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recorder.cli.records import opened_index
from recorder.cli.shared import (
    AsOption,
    HomeOption,
    JsonOption,
    PassphraseOption,
    PasswordOption,
    fail,
    load_home,
    permit,
    print_json,
    progress_bar,
    say,
    sign_in,
)
from recorder.common.clock import utc_now
from recorder.permissions import Act
from recorder.recordings.archiving import Archiver
from recorder.recordings.keyring import epoch_keys
from storage.audit import AuditLog
from storage.erasures import Erasures
from storage.errors import StorageError
from storage.holds import Holds
from storage.keys import NodeKeys
from storage.vault import Vault

_OFF = "nothing is archived: after_days in [archive] of recorder.toml is off"


def archive(
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Say what is due, and change nothing.")] = False,
    name: AsOption = None,
    password_file: PasswordOption = None,
    passphrase_file: PassphraseOption = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Pack finished recordings that are old enough and not held, as the console does each day; where the keys are."""
    place, config = load_home(home)
    rule = config.archive
    if rule.after_days is None:
        fail(_OFF)
    if not is_dry:
        person = sign_in(place, name, password_file, "archiving")
        details = {"what": "archive"}
        permit(place, Act.MANAGE_KEYS, person, reason="", subject="", operator=None, details=details)
    try:
        with opened_index(place, config) as index:
            archiver = Archiver(
                vault=Vault(place.root, NodeKeys.load(place.root)),
                keys=epoch_keys(place, config, passphrase_file),
                index=index,
                erasures=Erasures(index.database),
                holds=Holds(index.database),
                audit=AuditLog(place.audit),
                lock=place.erasing_lock,
                rule=rule,
                now=utc_now,
            )
            if is_dry:
                due = archiver.due()
                if json:
                    print_json({**asdict(due), "after_days": rule.after_days, "format": str(rule.format)})
                else:
                    say(f"{due.recordings} recordings of {due.bytes} bytes are due; nothing was changed")
                return
            archiver.keys.check_passphrase()
            with progress_bar("archiving", 0) as progress:
                done = archiver.run(progress=progress)
    except StorageError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or place.root}: {error.strerror}")
    if json:
        print_json(asdict(done))
    else:
        say(f"{done.recordings} recordings are archived: {done.bytes_before} bytes before, {done.bytes_after} now")
        for problem in done.problems:
            say(problem)
    if done.problems:
        raise typer.Exit(1)
