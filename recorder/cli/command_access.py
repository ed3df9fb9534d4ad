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

_CASE_WORDS = ("add", "record", "search", "match", "dismiss", "transcript", "letter", "custody", "list", "show")
"""Commands for anybody who works on cases."""

NAMED: Mapping[str, Requirement] = MappingProxyType(
    {
        "calls show": takes(Act.SEE_LIVE),
        "calls resume": live(Act.RESUME),
        "calls retroactive-pause": live(Act.RETROACTIVE_PAUSE, "of a finished call too"),
        "calls second-message": live(Act.SECOND_MESSAGE),
        "calls opt-out": live(Act.OPT_OUT),
        "opt-outs list": takes(Act.SEE_LIVE),
        "opt-outs add": live(Act.RAISE_OPT_OUT),
        "opt-outs grant": live(Act.OPT_OUT),
        "opt-outs decline": live(Act.DECLINE_OPT_OUT),
        "agents list": takes(Act.SEE_LIVE),
        "agents sign-on": takes(Act.SIGN_ON),
        "agents sign-off": takes(Act.SIGN_ON, note="one's own sign-on"),
        "recordings list": takes(Act.SEARCH),
        "recordings show": kept(Act.VIEW),
        "recordings play": kept(Act.PLAY, note="with leave that was granted; ICT by break-glass"),
        "recordings export": kept(Act.EXPORT, note="with leave that was granted"),
        "recordings erase": kept(Act.ERASE),
        "erasures list": takes(Act.ERASE),
        "erasures confirm": kept(Act.CONFIRM_ERASURE, others=True),
        "erasures decline": kept(Act.CONFIRM_ERASURE, others=True),
        "recordings archive": takes(Act.MANAGE_KEYS),
        "holds add": kept(Act.PLACE_HOLD),
        "holds release": kept(Act.RELEASE_HOLD, others=True),
        "holds reinstate": kept(Act.PLACE_HOLD),
        "holds review": kept(Act.PLACE_HOLD, others=True),
        "holds list": takes(Act.PLACE_HOLD),
        "requests add": kept(Act.ASK),
        "requests grant": matter(Act.DECIDE, others=True, deputy=True, stand_in=Role.DPO),
        "requests decline": matter(Act.DECIDE, others=True, deputy=True, stand_in=Role.DPO),
        "requests withdraw": matter(Act.ASK, own=True),
        "requests list": takes(Act.ASK),
        "approvers absent": takes(Act.MARK_ABSENT),
        "approvers back": takes(Act.MARK_ABSENT),
        "approvers deputy": takes(Act.NAME_DEPUTY),
        "break-glass list": takes(Act.ACKNOWLEDGE, deputy=True),
        "break-glass acknowledge": takes(Act.ACKNOWLEDGE, deputy=True, note="not one's own"),
        **{f"cases {word}": takes(Act.WORK_ON_CASES) for word in _CASE_WORDS},
        "cases decide": matter(Act.WORK_ON_CASES, others=True, note="not whoever opened it"),
        "cases narrow": takes(Act.SCOPE_CASE),
        "cases confirm-scope": takes(Act.SCOPE_CASE),
        "claims add": takes(Act.WRITE_CLAIM),
        "claims withdraw": takes(Act.WRITE_CLAIM),
        "claims list": takes(Act.WRITE_CLAIM, deputy=True),
        "claims letter": takes(Act.WRITE_CLAIM, deputy=True),
        **{
            f"claims {word}": kept(Act.DECIDE_CLAIM, others=True, deputy=True)
            for word in ("uphold", "decline", "lift", "allow-use")
        },
        **{
            f"users {word}": takes(Act.MANAGE_PEOPLE)
            for word in (
                "add", "add-role", "remove-role", "team", "disable", "enable", "remove", "reset-authenticator",
                "connect",
                "disconnect",
            )
        },
        "users list": takes(Act.CONFIRM_GRANT, Act.MANAGE_PEOPLE),
        "users show": takes(Act.CONFIRM_GRANT, Act.MANAGE_PEOPLE),
        "users vouch": takes(Act.CONFIRM_GRANT),
        "proposals list": takes(Act.CONFIRM_GRANT, Act.MANAGE_PEOPLE),
        "proposals confirm": matter(Act.CONFIRM_GRANT, others=True, stand_in=Role.TEAM_LEADER),
        "proposals decline": matter(Act.CONFIRM_GRANT, others=True, stand_in=Role.TEAM_LEADER),
        "users password": known("one's own; anybody else's takes `people.manage`"),
        "users pin": known("one's own; anybody else's takes `people.manage`"),
        **{f"tokens {word}": takes(Act.MANAGE_TOKENS) for word in ("add", "revoke", "list")},
        "mail address": takes(Act.MANAGE_PEOPLE),
        "alarms acknowledge": takes(Act.SEE_SYSTEM),
        "mail show": takes(Act.SEE_SYSTEM),
        "webhooks list": takes(Act.SEE_SYSTEM),
        "webhooks log": takes(Act.SEE_SYSTEM),
        "audit list": takes(Act.VIEW_AUDIT),
        "audit export": takes(Act.VIEW_AUDIT),
        **{
            f"keys {word}": takes(Act.MANAGE_KEYS)
            for word in ("rotate", "rotate-accounts", "rotate-signing", "destroy", "tidy", "passphrase")
        },
        "nodes add": takes(Act.MANAGE_KEYS),
        "nodes remove": takes(Act.MANAGE_KEYS),
        "retention run": takes(Act.RUN_RETENTION),
        "retention confirm-share": takes(Act.CONFIRM_SWEEP, Act.RUN_RETENTION, deputy=True, note="two people, not ICT"),
        "retention confirm-shorter": takes(Act.SHORTEN_RETENTION),
        "retention confirm-clock": takes(Act.CONFIRM_SWEEP, deputy=True, note="two people"),
        "retention write-off": takes(Act.RECONCILE),
        "reports pauses": takes(Act.REPORT),
        "reports bypassed": takes(Act.REPORT),
        "notices import": takes(Act.SET_NOTICE),
        "notices use": takes(Act.SET_NOTICE),
        "assurance import": takes(Act.IMPORT_CALLS),
        "assurance report": takes(Act.REPORT),
        "assurance list": takes(Act.REPORT),
        "assurance explain": kept(Act.EXPLAIN),
    }
)  # fmt: skip
"""Commands that need a person, and the permission they need."""

COUNTS_ONLY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "recordings archive": frozenset({"dry_run"}),
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
        "explain": "prints what the documentation says; opens no recorder",
        "config schema": "prints what recorder.toml may have; opens no recorder",
        "drain": "as SIGTERM, for the users who may send that. The entries `daemon.draining` and `daemon.stopping` "
        "name the user of the operating system",
        "nodes list": "shows machines, states and counts, nothing about people or calls",
        "health": "shows alarms, who has acknowledged them, and counts, nothing about calls",
        "alarms list": "shows alarms and who has acknowledged them, nothing about calls",
        "selftest": "as SIGTERM, for the users who may send that. It makes a call of its own two phones, whose "
        "recording is deleted. The entries `selftest.begun` and `selftest.ended` name the user of the operating system",
        "demo": "makes a recorder of its own",
        "phone": "is a telephone, which anybody may have: it opens no recorder but for the keys in recorder.toml",
        "calls list": "without a person it shows extension and state: enough to pause. The entry `live.view` says so",
        "calls pause": "pausing never needs an account; the entry says so, and health has an alarm",
        "login": "asks for the account and its password itself",
        "logout": "ends the session of the token that it is given",
        "recordings verify": "proves that recordings are unchanged: their ids, hashes and problems. The entry "
        "`recording.verified` says so",
        "recordings recover": "closes what a killed daemon left open, also when accounts are gone. The entry "
        "`recording.recovered` says so",
        "index rebuild": "makes the index anew, also when accounts are gone; nothing is deleted before the data "
        "protection officer reconciles. The entry `index.repair` says so. Given a name, that person's role counts",
        "index check": "compares, and with `--repair` mends what costs no evidence, also when accounts are gone. The "
        "entry `index.repair` says so. Given a name, that person's role counts. `--write-off-missing` takes a person",
        "index reconcile": "shows counts; with `--yes` it takes a person",
        "backups add": "copies what the owner of the files can copy anyhow, sealed as it is; shows counts. The entries "
        "`backup.begun` and `backup.made` name the user of the operating system",
        "backups list": "shows times and sizes",
        "backups check": "shows what is damaged at a destination; the entry `backup.checked` says so",
        "backups rehearse": "restores what the owner of the files can read anyhow, and removes it. The entry "
        "`backup.rehearsed` names the user of the operating system",
        "objects show": "shows counts, and ids of recordings that wait",
        "objects push": "stores and removes what the daemon would store and remove, sealed as it is",
        "objects restore": "puts containers of a lost disk together again, sealed, before the daemon starts; "
        "the entry `objects.restored` says so",
        "objects check": "compares objects with the list of them; the entry `objects.checked` says so",
        "database move": "copies what the owner of the files can copy anyhow into another database; shows counts. The "
        "entries `index.moving`, `index.moved` and `accounts.moved` name the user of the operating system",
        "backups restore": "makes a new folder from a backup, also when accounts are gone; nothing is deleted in it "
        "before the data protection officer reconciles. The entry `backup.restored` says so",
        "users reseal": "has roles count again after the audit log was begun anew, when nobody has a right; "
        "refused while an administrator can sign in. The entry `people.resealed` says so",
        "users enrol-again": "removes the authenticators that no key opens, after the key of the accounts was lost and "
        "nobody can give a code; refused for those that it opens. The entry `people.second_factors_lost` says so",
        "mail test": "sends a mail without anything about people or calls",
        "webhooks test": "sends a signed event without anything about people or calls",
        "audit verify": "proves that the audit log is unchanged; shows nothing of what is in it",
        "keys list": "shows months, fingerprints and how many recordings each has",
        "nodes request": "makes the keys of a new machine, which has no accounts. The entry `node.requested` says so",
        "nodes join": "takes the public keys of a site, on a machine without accounts, after their fingerprint was "
        "compared. The entry `node.joined` says so",
        "retention show": "shows periods and counts",
        "notices list": "shows the messages that callers hear",
        "notices play": "plays what every caller hears; it concerns nobody",
        "notices check": "measures a sound file; opens no recorder",
        "notices record": "makes a sound file from a microphone; opens no recorder",
        "notices generate": "makes a sound file; opens no recorder",
        "notices template": "prints wording, filled from recorder.toml",
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
        "calls list": takes(Act.SEE_LIVE),
        "calls pause": live(Act.PAUSE),
        "index rebuild": takes(Act.REPAIR_INDEX),
        "index check": takes(Act.REPAIR_INDEX),
        "index reconcile": takes(Act.RECONCILE),
    }
)
"""Permission that these need of a person who is named."""

ASKED_BY_THE_DAEMON = frozenset({"calls pause"})
"""The shell never delays a pause: the daemon checks the person, and root can pause without an account."""

_BY_OPTION: Mapping[str, str] = MappingProxyType({"index reconcile": "confirm", "index check": "write_off"})
"""Commands that need a person only with an option; the option's parameter."""

WITHOUT_ACCOUNT: Mapping[str, Any] = MappingProxyType({"without_account": True})
"""Details of the audit entry of a command without a person."""


def takes_person(command: str, parameters: Mapping[str, Any]) -> bool:
    """Tell whether a command with these parameters needs a person.

    Args:
        command: Words of the command, such as ``holds list``.
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
        command: Words of the command, such as ``holds list``.
    """
    return NAMED.get(command) or IF_NAMED.get(command)
