"""Commands that keep the store in order: verify and recover."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from recorder.clock import utc_now
from recorder.commands.records import row_of
from recorder.commands.shared import HomeOption, JsonOption, fail, load_home, print_json, print_table, say
from recorder.config import Config
from recorder.home import Home
from recorder.opening import AlreadyRunningError, held, recover_all
from storage.errors import StorageError
from storage.keys import NodeKeys
from storage.vault import Vault
from storage.verify import verify as verify_file


def verify(
    recording: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every recording in the vault.")] = False,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Prove that recordings are as they were closed; needs no private key."""
    if (recording is None) != all_:
        fail("give either an ID or --all", 2)
    place, config = load_home(home)
    try:
        node = NodeKeys.load(place.root)
    except StorageError as error:
        fail(str(error))
    vault = Vault(place.root, node)
    found = []
    for path in _paths(place, config, vault, recording):
        result = verify_file(path, node.sign_public)
        found.append(
            {
                "id": result.id,
                "ok": result.problem is None,
                "is_complete": result.is_complete,
                "bytes": result.bytes,
                "sha256": result.sha256,
                "problem": result.problem,
            }
        )
    bad = [one for one in found if not one["ok"]]
    if json:
        print_json(found)
    else:
        columns = [("id", "Recording"), ("ok", "Unchanged"), ("is_complete", "Complete"), ("problem", "Problem")]
        print_table(found, columns, empty="there are no finished recordings")
        say(f"{len(found) - len(bad)} of {len(found)} recordings are unchanged")
    if bad:
        raise typer.Exit(1)


def _paths(home: Home, config: Config, vault: Vault, recording: str | None) -> Iterator[Path]:
    if recording is None:
        yield from vault.finished()
        return
    row = row_of(home, config, recording)
    if row.path is None:
        fail(f"nothing was kept of {row.id}: {row.outcome}, {row.reason}")
    yield vault.locate(row.path)


def recover(home: HomeOption = Path(), json: JsonOption = False) -> None:
    """Close what a killed daemon left open, as partial recordings; needs no private key."""
    place, config = load_home(home)
    try:
        with held(place):
            recovered = recover_all(place, config, utc_now())
    except AlreadyRunningError as error:
        fail(f"{error}; it recovered what was left when it started")
    except (StorageError, OSError) as error:
        fail(str(error))
    rows = [{"id": r.id, "cut_bytes": r.cut_bytes, "problem": r.problem, "ok": r.problem is None} for r in recovered]
    if json:
        print_json(rows)
    else:
        columns = [("id", "Recording"), ("ok", "Recovered"), ("cut_bytes", "Torn bytes cut"), ("problem", "Problem")]
        print_table(rows, columns, empty="nothing was left open")
    if any(r.problem for r in recovered):
        raise typer.Exit(1)
