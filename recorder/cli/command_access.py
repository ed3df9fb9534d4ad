"""Which commands need a person with which permission, and which need none. Pure.

Every command of `recorder` is in one of the two tables, or it does not run (`recorder.cli.cli`). A command that shows
or changes something about people or calls needs a person. Pausing a call, and repairing a home whose accounts are lost,
need none: their audit entry names the user of the operating system, with ``without_account``. docs/permissions.md is
generated from both tables.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from recorder.permissions import Act, Role
from recorder.rules.requirement import Requirement, UnlistedError, kept, known, live, matter, takes

_CASE_WORDS = (
    "open", "search", "match", "dismiss", "transcript", "letter", "custody", "list", "show",
    "identity-asked", "identity-checked", "identity-doubted", "fee-asked", "fee-paid", "clarification-asked",
    "clarified", "extended", "handed-over", "passphrase-told", "received", "returned", "destroyed", "noted", "closed",
)  # fmt: skip
"""Commands for anybody who works on cases."""

NAMED: Mapping[str, Requirement] = MappingProxyType(
    {
        "resume": live(Act.RESUME),
        "forgot": live(Act.RETROACTIVE_PAUSE, "of a finished call too"),
        "second-message": live(Act.SECOND_MESSAGE),
        "opt-out": live(Act.OPT_OUT),
        "opt-outs list": takes(Act.SEE_LIVE),
        "opt-outs raise": live(Act.RAISE_OPT_OUT),
        "opt-outs grant": live(Act.OPT_OUT),
        "opt-outs decline": live(Act.DECLINE_OPT_OUT),
        "agents list": takes(Act.SEE_LIVE),
        "agents sign-on": takes(Act.SIGN_ON),
        "agents sign-off": takes(Act.SIGN_ON, note="one's own sign-on"),
        "find": takes(Act.SEARCH),
        "show": kept(Act.VIEW),
        "play": kept(Act.PLAY, note="with leave that was granted; ICT by break-glass"),
        "export": kept(Act.EXPORT, note="with leave that was granted"),
        "erase": kept(Act.ERASE, note="to confirm or decline: not of a call that they were on"),
        "archive": takes(Act.MANAGE_KEYS),
        "hold add": kept(Act.PLACE_HOLD),
        "hold release": kept(Act.RELEASE_HOLD, others=True),
        "hold reinstate": kept(Act.PLACE_HOLD),
        "hold review": kept(Act.PLACE_HOLD, others=True),
        "hold list": takes(Act.PLACE_HOLD),
        "requests ask": kept(Act.ASK),
        "requests grant": matter(Act.DECIDE, others=True, deputy=True, stand_in=Role.DPO),
        "requests decline": matter(Act.DECIDE, others=True, deputy=True, stand_in=Role.DPO),
        "requests withdraw": matter(Act.ASK, own=True),
        "requests list": takes(Act.ASK),
        "requests absent": takes(Act.MARK_ABSENT),
        "requests back": takes(Act.MARK_ABSENT),
        "requests deputy": takes(Act.NAME_DEPUTY),
        "requests emergencies": takes(Act.ACKNOWLEDGE, deputy=True),
        "requests acknowledge": takes(Act.ACKNOWLEDGE, deputy=True, note="not one's own"),
        **{f"sar {word}": takes(Act.WORK_ON_CASES) for word in _CASE_WORDS},
        "sar decide": matter(Act.WORK_ON_CASES, others=True, note="not whoever opened it"),
        "sar narrow": takes(Act.SCOPE_CASE),
        "sar confirm-scope": takes(Act.SCOPE_CASE),
        "rights ask": takes(Act.WRITE_CLAIM),
        "rights withdraw": takes(Act.WRITE_CLAIM),
        "rights list": takes(Act.WRITE_CLAIM, deputy=True),
        "rights letter": takes(Act.WRITE_CLAIM, deputy=True),
        **{
            f"rights {word}": kept(Act.DECIDE_CLAIM, others=True, deputy=True)
            for word in ("uphold", "decline", "lift", "allow-use")
        },
        **{
            f"users {word}": takes(Act.MANAGE_PEOPLE)
            for word in (
                "add", "grant", "revoke", "team", "disable", "enable", "reset-authenticator", "connect", "disconnect",
            )
        },
        "users list": takes(Act.CONFIRM_GRANT, Act.MANAGE_PEOPLE),
        "users proposals": takes(Act.CONFIRM_GRANT, Act.MANAGE_PEOPLE),
        "users confirm": matter(Act.CONFIRM_GRANT, others=True, stand_in=Role.TEAM_LEADER),
        "users decline": matter(Act.CONFIRM_GRANT, others=True, stand_in=Role.TEAM_LEADER),
        "users password": known("one's own; anybody else's takes `people.manage`"),
        "users pin": known("one's own; anybody else's takes `people.manage`"),
        **{f"tokens {word}": takes(Act.MANAGE_TOKENS) for word in ("add", "revoke", "list")},
        "mail address": takes(Act.MANAGE_PEOPLE),
        "mail status": takes(Act.SEE_SYSTEM),
        "webhooks list": takes(Act.SEE_SYSTEM),
        "webhooks log": takes(Act.SEE_SYSTEM),
        "audit show": takes(Act.VIEW_AUDIT),
        "audit export": takes(Act.VIEW_AUDIT),
        **{
            f"keys {word}": takes(Act.MANAGE_KEYS)
            for word in ("rotate", "rotate-accounts", "destroy", "tidy", "passphrase")
        },
        "retention run": takes(Act.RUN_RETENTION, Act.CONFIRM_SWEEP, deputy=True, note="`--confirm-share`: two people"),
        "retention confirm-shorter": takes(Act.SHORTEN_RETENTION),
        "retention confirm-clock": takes(Act.CONFIRM_SWEEP, deputy=True, note="two people"),
        "retention write-off": takes(Act.RECONCILE),
        "report pauses": takes(Act.REPORT),
        "report bypassed": takes(Act.REPORT),
        "notice set": takes(Act.SET_NOTICE),
    }
)  # fmt: skip
"""Commands that need a person, and the permission they need."""

COUNTS_ONLY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "archive": frozenset({"is_dry"}),
        "retention confirm-shorter": frozenset({"dry_run"}),
        "retention write-off": frozenset({"dry_run"}),
    }
)
"""Parameters with which some of these show only counts, and need no person."""

UNNAMED: Mapping[str, str] = MappingProxyType(
    {
        "init": "makes the first account; the entry names the user of the operating system",
        "site-check": "looks at the configuration and the machine; it counts accounts, and names those that combine "
        "roles which exclude each other",
        "up": "runs daemon and console",
        "run": "runs the daemon",
        "console": "runs the console",
        "reload": "as SIGHUP: brings recorder.toml into force, whose changes are in the audit log",
        "config schema": "prints what recorder.toml may have; opens no recorder",
        "drain": "as SIGTERM, for the users who may send that. The entries `daemon.draining` and `daemon.stopping` "
        "name the user of the operating system",
        "node list": "shows machines, states and counts, nothing about people or calls",
        "health": "shows alarms and counts, nothing about people or calls",
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
        "backup": "copies what the owner of the files can copy anyhow, sealed as it is; shows counts. The entries "
        "`backup.begun` and `backup.made` name the user of the operating system",
        "backups list": "shows times and sizes",
        "backups check": "shows what is damaged at a destination; the entry `backup.checked` says so",
        "restore": "makes a new folder from a backup, also when accounts are gone; nothing is deleted in it before the "
        "data protection officer reconciles. The entry `backup.restored` says so",
        "users reseal": "has roles count again after the audit log was begun anew, when nobody has a right; "
        "refused while an administrator can sign in. The entry `people.resealed` says so",
        "users enrol-again": "removes the authenticators that no key opens, after the key of the accounts was lost and "
        "nobody can give a code; refused for those that it opens. The entry `people.second_factors_lost` says so",
        "mail test": "sends a mail without anything about people or calls",
        "webhooks test": "sends a signed event without anything about people or calls",
        "audit verify": "proves that the audit log is unchanged; shows nothing of what is in it",
        "keys list": "shows months, fingerprints and how many recordings each has",
        "retention": "shows periods and counts",
        "notice list": "shows the messages that callers hear",
        "notice generate": "makes a sound file; opens no recorder",
        "database roles": "prints SQL for the administrator of a PostgreSQL server; opens no recorder",
        "database upgrade": "creates or upgrades tables on a server, whose owner's password it takes; shows nothing of "
        "what is in them. The entry `database.upgraded` says so",
        "database move-accounts": "copies accounts between file and server for who owns both, and shows counts. The "
        "entry `accounts.moved` says so",
        "share": "gives a group of the operating system rights on files, at the machine; nothing of them is shown. The "
        "entry `home.shared` says so",
    }
)
"""Commands that need no person, and why."""

IF_NAMED: Mapping[str, Requirement] = MappingProxyType(
    {
        "calls": takes(Act.SEE_LIVE),
        "pause": live(Act.PAUSE),
        "reindex": takes(Act.REPAIR_INDEX),
        "fsck": takes(Act.REPAIR_INDEX),
        "reconcile": takes(Act.RECONCILE),
    }
)
"""Permission that these need of a person who is named."""

ASKED_BY_THE_DAEMON = frozenset({"pause"})
"""The shell never delays a pause: the daemon checks the person, and root can pause without an account."""

_BY_OPTION: Mapping[str, str] = MappingProxyType({"reconcile": "confirm", "fsck": "write_off"})
"""Commands that need a person only with an option; the option's parameter."""

WITHOUT_ACCOUNT: Mapping[str, Any] = MappingProxyType({"without_account": True})
"""Details of the audit entry of a command without a person."""


def takes_person(command: str, parameters: Mapping[str, Any]) -> bool:
    """Tell whether a command with these parameters needs a person.

    Args:
        command: Words of the command, such as ``hold list``.
        parameters: Its parameters by name.

    Raises:
        UnlistedError: The command is in neither table.
    """
    if command in NAMED:
        return not any(parameters.get(name) for name in COUNTS_ONLY.get(command, ()))
    if command not in UNNAMED:
        raise UnlistedError(f"`recorder {command}` is not listed in recorder/cli/command_access.py, so it does not run")
    option = _BY_OPTION.get(command)
    return option is not None and bool(parameters.get(option))


def requirement_of(command: str) -> Requirement | None:
    """Return the permission that a command needs, or None if it needs no person.

    Args:
        command: Words of the command, such as ``hold list``.
    """
    return NAMED.get(command) or IF_NAMED.get(command)
