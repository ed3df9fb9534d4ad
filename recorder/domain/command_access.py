"""Which commands name a person, and which need none. Pure.

Every command of `recorder` is in one of the two tables, or it does not run (`recorder.cli`). What shows or changes
something about people or calls names a person. Pausing a call, and repairing a home whose accounts are gone, need none:
their audit entry names the user of the operating system, with ``without_account``. docs/permissions.md is generated
from the second table.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

NAMED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "resume": frozenset(),
        "forgot": frozenset(),
        "second-message": frozenset(),
        "opt-out": frozenset(),
        "find": frozenset(),
        "show": frozenset(),
        "play": frozenset(),
        "export": frozenset(),
        "erase": frozenset(),
        "archive": frozenset({"is_dry"}),
        "users": frozenset(),
        "tokens": frozenset(),
        "opt-outs": frozenset(),
        "requests": frozenset(),
        "sar": frozenset(),
        "hold": frozenset(),
        "rights": frozenset(),
        "mail address": frozenset(),
        "mail status": frozenset(),
        "audit show": frozenset(),
        "audit export": frozenset(),
        "keys rotate": frozenset(),
        "keys destroy": frozenset(),
        "keys tidy": frozenset(),
        "keys passphrase": frozenset(),
        "retention run": frozenset(),
        "retention confirm-shorter": frozenset({"dry_run"}),
        "retention confirm-clock": frozenset(),
        "agents": frozenset(),
        "report": frozenset(),
        "notice set": frozenset(),
    }
)
"""Commands, or groups of them, that name a person; each with the parameters that make it one that shows counts only."""

UNNAMED: Mapping[str, str] = MappingProxyType(
    {
        "init": "makes the first account; the entry names the user of the operating system",
        "site-check": "looks at the configuration and the machine; it counts accounts, and names those that combine "
        "roles which exclude each other",
        "up": "runs daemon and console",
        "run": "runs the daemon",
        "console": "runs the console",
        "reload": "as SIGHUP: brings recorder.toml into force, whose changes are in the audit log",
        "demo": "makes a recorder of its own",
        "calls": "without a person it shows extension and state: enough to pause. The entry `live.view` says so",
        "pause": "pausing never needs an account; the entry says so, and health has an alarm",
        "login": "asks for the account and its password itself",
        "logout": "ends the session of the token that it is given",
        "verify": "proves that recordings are unchanged: their ids, hashes and problems. The entry "
        "`recording.verified` says so",
        "recover": "closes what a killed daemon left open, also when accounts are gone. The entry "
        "`recording.recovered` says so",
        "reindex": "makes the index anew, also when accounts are gone; nothing is deleted before the data protection "
        "officer reconciles. The entry `index.repair` says so. Given a name, that person's role counts",
        "fsck": "compares, and with `--repair` mends what costs no evidence, also when accounts are gone. The entry "
        "`index.repair` says so. Given a name, that person's role counts. `--write-off-missing` takes a person",
        "reconcile": "shows counts; with `--confirm` it takes a person",
        "users reseal": "has roles count again after the audit log was begun anew, when nobody has a right; "
        "refused while an administrator can sign in. The entry `people.resealed` says so",
        "mail test": "sends a mail without anything about people or calls",
        "audit verify": "proves that the audit log is unchanged; shows nothing of what is in it",
        "keys list": "shows months, fingerprints and how many recordings each has",
        "retention": "shows periods and counts",
        "notice list": "shows the messages that callers hear",
        "notice generate": "makes a sound file; opens no recorder",
        "share": "gives a group of the operating system rights on files, at the machine; nothing of them is shown. The "
        "entry `home.shared` says so",
    }
)
"""Commands that need no person, and why."""

_BY_OPTION: Mapping[str, str] = MappingProxyType({"reconcile": "confirm", "fsck": "write_off"})
"""Commands that name a person only with an option; its parameter."""

WITHOUT_ACCOUNT: Mapping[str, Any] = MappingProxyType({"without_account": True})
"""What the audit entry of a command says that nobody put their name to."""


class UnlistedCommandError(Exception):
    """A command is in neither table; a sentence."""


def takes_person(command: str, parameters: Mapping[str, Any]) -> bool:
    """Tell whether a command, called so, names a person.

    Args:
        command: Its words, as ``hold list``.
        parameters: What it was called with, by the names of its parameters.

    Raises:
        UnlistedCommandError: Nobody has said.
    """
    group = command.partition(" ")[0]
    found = None if command in UNNAMED else next((name for name in (command, group) if name in NAMED), None)
    if found is not None:
        return not any(parameters.get(name) for name in NAMED[found])
    if command not in UNNAMED:
        raise UnlistedCommandError(
            f"nobody has said whether `recorder {command}` takes a person: see recorder/domain/command_access.py"
        )
    option = _BY_OPTION.get(command)
    return option is not None and bool(parameters.get(option))
