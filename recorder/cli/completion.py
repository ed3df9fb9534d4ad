"""What the shell offers on Tab: ids, names and extensions, from the home's files and its daemon.

It asks for no password, so it offers only what the user of the operating system can read anyway, and says nothing when
it cannot: no file, no right, a database on a server, no daemon, or an answer that takes too long. It imports neither
the configuration nor the database's library.
"""

import os
import sqlite3
import threading
import tomllib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import typer

from recorder.common.home import Home

LIMIT_S = 0.5
"""How long the shell waits, seconds."""
MOST = 50
"""Most values that are offered, the newest ids first."""

Complete = Callable[[typer.Context, list[str], str], list[str]]


def _within(find: Callable[[], list[str]]) -> list[str]:
    """Return what is found within the limit; nothing if it fails or takes longer."""
    found: list[str] = []

    def run() -> None:
        with suppress(Exception):
            found.extend(find())

    finder = threading.Thread(target=run, name="completion", daemon=True)
    finder.start()
    finder.join(LIMIT_S)
    return [] if finder.is_alive() else found


def _home(context: typer.Context) -> Home:
    given = context.params.get("home") or os.environ.get("RECORDER_HOME") or Path()
    return Home(Path(given).resolve())


def _rows(file: Path, query: str, start: str) -> list[str]:
    """Return the values of a query about names that begin so."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=LIMIT_S)) as connection:
        return [
            str(row[0])
            for row in connection.execute(query, {"start": start, "end": f"{start}\U0010ffff", "most": MOST})
        ]


def _of_index(table: str) -> Complete:
    query = f"SELECT id FROM {table} WHERE id >= :start AND id < :end ORDER BY id DESC LIMIT :most"  # noqa: S608 - of constants

    def complete(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
        return _within(lambda: _rows(_home(ctx).index, query, incomplete))

    return complete


def _of_accounts(what: str, table: str, condition: str = "TRUE") -> Complete:
    query = (
        f'SELECT DISTINCT "{what}" FROM {table} WHERE "{what}" >= :start AND "{what}" < :end AND {condition} '  # noqa: S608 - of constants
        f'ORDER BY "{what}" LIMIT :most'
    )

    def complete(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
        return _within(lambda: _rows(_home(ctx).people, query, incomplete))

    return complete


recordings = _of_index("recordings")
holds = _of_index("holds")
findings = _of_index("assurance_findings")
claims = _of_index("claims")
orders = _of_index("erasures")
accounts = _of_accounts("name", "accounts")
tokens = _of_accounts("name", "tokens", "revoked_s IS NULL")
proposals = _of_accounts("id", "proposals", "state = 'waiting'")
requests = _of_accounts("id", "requests")
cases = _of_accounts("case", "case_entries")


def _configured(key: str, name: str) -> Complete:
    """Offer a key of all tables of one kind in recorder.toml."""

    def complete(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
        def find() -> list[str]:
            tables: list[dict[str, Any]] = tomllib.loads(_home(ctx).config.read_text()).get(key, [])
            return sorted({str(one[name]) for one in tables if one.get(name)})

        return [one for one in _within(find) if one.startswith(incomplete)]

    return complete


extensions = _configured("extension", "number")
operators = _configured("extension", "operator")
webhooks = _configured("webhook", "name")
services = _configured("service", "name")


def _fixed(*words: str) -> Complete:
    def complete(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
        return [one for one in words if one.startswith(incomplete)]

    return complete


messages = _fixed("first", "second")
message_languages = _fixed("cy", "en")


def _live(list_: Callable[[Any], list[str]]) -> Complete:
    """Offer ids that the daemon of this machine knows."""

    def complete(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
        def find() -> list[str]:
            from recorder.control.client import LiveClient  # noqa: PLC0415 - most completions need no daemon

            with LiveClient(_home(ctx).socket) as client:
                return list_(client)

        return [one for one in _within(find) if one.startswith(incomplete)]

    return complete


def _sounding(direction: str) -> Complete:
    """Offer names of sound devices with channels in a direction."""

    def complete(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
        def find() -> list[str]:
            from audio.sound_devices import sound_devices  # noqa: PLC0415 - most completions need none

            return sorted({one.name for one in sound_devices() if getattr(one, direction)})

        return [one for one in _within(find) if one.startswith(incomplete)]

    return complete


microphones = _sounding("inputs")
loudspeakers = _sounding("outputs")
live_calls = _live(lambda client: [row["id"] for row in client.calls()])
"""Ids of live calls, which the daemon shows to whoever may open its socket."""


def acts(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Offer acts of the audit log."""
    from recorder.rules.wording import audit_acts  # noqa: PLC0415 - other completions need no words

    return sorted(one for one in audit_acts() if one.startswith(incomplete) and not one.endswith(".not_stored"))


def reasons(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Offer reasons of outcomes."""
    from recorder.rules.words.reasons import EXPLAINED  # noqa: PLC0415 - other completions need no words

    return [one for one in EXPLAINED if one.startswith(incomplete)]
