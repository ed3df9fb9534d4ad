"""The tree of commands: every command's words, its function, and the words that it had before. Pure.

A noun has `list`, `show` and `add`, and `remove` for what then is gone. Where the law or the policy has a word of its
own, that word is the command's: a hold is released, a token revoked, a request granted. docs/commands.md and the manual
page are generated from this table and from the commands' own help.
"""

import enum
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

NOUNS: Mapping[str, str] = MappingProxyType(
    {
        "calls": "Live calls, and acts on them.",
        "recordings": "Finished calls and their recordings.",
        "erasures": "Orders to erase a span of a recording, and decisions on them.",
        "holds": "Legal holds, which keep recordings beyond their retention period.",
        "requests": "Requests to hear or export recordings, and decisions on them.",
        "approvers": "Who decides on requests: absences, and the data protection officer's deputy.",
        "break-glass": "Break-glass access to recordings.",
        "cases": "Cases: subject access requests, and disclosures to police, courts or insurers.",
        "claims": "Data subjects' requests for restriction, objection or erasure, and decisions on them.",
        "opt-outs": "Opt-out requests: an officer raises one for the caller, a manager of the call's team decides.",
        "users": "Accounts and their roles.",
        "proposals": "Changes to accounts that wait for a second person.",
        "tokens": "Tokens for other systems.",
        "agents": "Who is signed on at which extension.",
        "notices": "The messages that callers hear.",
        "mail": "Notification emails: addresses, test emails and the queue.",
        "webhooks": "Webhooks: other systems that are told of calls, and deliveries.",
        "reports": "Reports on calls, by officer.",
        "audit": "Verify, show and export the audit log.",
        "retention": "Retention: the schedule, and the sweep that deletes what is due. The daemon runs it each day.",
        "keys": "Keys that recordings are sealed to, and keys of accounts and nodes.",
        "nodes": "The machines of a site with several recorders.",
        "backups": "Snapshots at a destination: make, list, check and restore them.",
        "objects": "Finished recordings in the object store: state, upload, check.",
        "index": "Rebuild and check the index after damage or a restored backup.",
        "database": "The databases of a site on PostgreSQL.",
        "config": "The configuration file, recorder.toml.",
    }
)
"""What each noun is about; in the order of the help."""

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "init": "init:init",
        "site-check": "site_check:site_check",
        "up": "service:up",
        "run": "service:run",
        "console": "service:console",
        "reload": "live:reload",
        "drain": "drain:drain",
        "health": "health:health",
        "demo": "service:demo",
        "login": "login:login",
        "logout": "login:logout",
        "share": "share:share",
        "calls list": "live:calls",
        "calls show": "live:show_call",
        "calls pause": "live:pause",
        "calls resume": "live:resume",
        "calls retroactive-pause": "retroactive_pause:forgot",
        "calls second-message": "second_message:second_message",
        "calls opt-out": "opt_outs:opt_out",
        "recordings list": "records:find",
        "recordings show": "records:show",
        "recordings play": "copies:play",
        "recordings export": "exports:export",
        "recordings erase": "erase:erase",
        "recordings archive": "archive:archive",
        "recordings verify": "upkeep:verify",
        "recordings recover": "upkeep:recover",
        "erasures list": "erasures:list_orders",
        "erasures confirm": "erasures:confirm",
        "erasures decline": "erasures:decline",
        "holds list": "hold:list_holds",
        "holds add": "hold:add",
        "holds release": "hold:release",
        "holds reinstate": "hold:reinstate",
        "holds review": "hold:review",
        "requests list": "requests:list_requests",
        "requests add": "requests:ask",
        "requests grant": "requests:grant",
        "requests decline": "requests:decline",
        "requests withdraw": "requests:withdraw",
        "approvers absent": "requests:absent",
        "approvers back": "requests:back",
        "approvers deputy": "requests:deputy",
        "break-glass list": "requests:emergencies",
        "break-glass acknowledge": "requests:acknowledge_one",
        "cases list": "cases:list_cases",
        "cases show": "cases:show",
        "cases add": "cases:open_case",
        "cases record": "cases:record",
        "cases search": "case_scope:search",
        "cases narrow": "case_scope:narrow",
        "cases confirm-scope": "case_scope:confirm_scope",
        "cases dismiss": "case_scope:dismiss",
        "cases match": "case_scope:match",
        "cases decide": "cases:decide",
        "cases transcript": "cases:transcript",
        "cases letter": "cases:write_letter",
        "cases custody": "cases:custody",
        "claims list": "rights:list_claims",
        "claims add": "rights:ask",
        "claims uphold": "rights:uphold",
        "claims decline": "rights:decline",
        "claims lift": "rights:lift",
        "claims withdraw": "rights:withdraw",
        "claims allow-use": "rights:allow_use",
        "claims letter": "rights:letter",
        "opt-outs list": "opt_outs:list_requests",
        "opt-outs add": "opt_outs:raise_request",
        "opt-outs grant": "opt_outs:grant_request",
        "opt-outs decline": "opt_outs:decline_request",
        "users list": "users:list_users",
        "users show": "users:show_user",
        "users add": "users:add_user",
        "users remove": "users:remove_user",
        "users disable": "users:disable_user",
        "users enable": "users:enable_user",
        "users add-role": "users:grant",
        "users remove-role": "users:revoke",
        "users team": "users:set_team",
        "users password": "credentials:set_password",
        "users pin": "credentials:set_pin",
        "users reset-authenticator": "credentials:reset_authenticator",
        "users connect": "identities:connect",
        "users disconnect": "identities:disconnect",
        "users reseal": "reseal:reseal",
        "users enrol-again": "account_key:enrol_again",
        "proposals list": "proposals:list_proposals",
        "proposals confirm": "proposals:confirm",
        "proposals decline": "proposals:decline",
        "tokens list": "tokens:list_tokens",
        "tokens add": "tokens:add_token",
        "tokens revoke": "tokens:revoke_token",
        "agents list": "agents:list_agents",
        "agents sign-on": "agents:sign_on",
        "agents sign-off": "agents:sign_off",
        "notices list": "notices:list_notices",
        "notices add": "notices:set_notice",
        "notices generate": "notices:generate_notice",
        "mail show": "mail:status",
        "mail address": "mail:address",
        "mail test": "mail:test",
        "webhooks list": "webhooks:list_",
        "webhooks log": "webhooks:log",
        "webhooks test": "webhooks:test",
        "reports pauses": "reports:pauses",
        "reports bypassed": "reports:bypassed",
        "audit list": "audit:show",
        "audit verify": "audit:verify",
        "audit export": "audit:export",
        "retention show": "retention:look",
        "retention run": "retention:run",
        "retention confirm-share": "retention:confirm_larger_share",
        "retention confirm-shorter": "retention:confirm_shorter",
        "retention confirm-clock": "retention:confirm_clock",
        "retention write-off": "retention:write_off",
        "keys list": "keys:list_keys",
        "keys rotate": "keys:rotate",
        "keys rotate-accounts": "account_key:rotate_accounts",
        "keys rotate-signing": "signing_key:rotate_signing",
        "keys destroy": "keys:destroy",
        "keys tidy": "keys:tidy",
        "keys passphrase": "keys:passphrase",
        "nodes list": "node_list:list_nodes",
        "nodes request": "node_keys:request",
        "nodes add": "node_keys:add",
        "nodes join": "node_keys:join",
        "nodes remove": "node_keys:remove",
        "backups list": "backup:list_",
        "backups add": "backup:backup",
        "backups check": "backup:check",
        "backups restore": "backup:restore",
        "objects show": "objects:status",
        "objects push": "objects:push",
        "objects restore": "objects:restore",
        "objects check": "objects:check",
        "index rebuild": "repair:reindex",
        "index reconcile": "repair:reconcile",
        "index check": "repair:fsck",
        "database move": "migrate:migrate",
        "database move-accounts": "database:move_accounts",
        "database upgrade": "database:upgrade",
        "database roles": "database:roles",
        "config schema": "config:schema",
    }
)
"""Module and function of each command below `recorder.cli`; in the order of the help."""


class RecordedEvent(enum.StrEnum):
    """Events of a case that `recorder cases record` takes; each was a command before."""

    IDENTITY_ASKED = "identity-asked"
    IDENTITY_CHECKED = "identity-checked"
    IDENTITY_DOUBTED = "identity-doubted"
    FEE_ASKED = "fee-asked"
    FEE_PAID = "fee-paid"
    CLARIFICATION_ASKED = "clarification-asked"
    CLARIFIED = "clarified"
    EXTENDED = "extended"
    HANDED_OVER = "handed-over"
    PASSPHRASE_TOLD = "passphrase-told"  # noqa: S105 - an event, not a passphrase
    RECEIVED = "received"
    RETURNED = "returned"
    DESTROYED = "destroyed"
    NOTED = "noted"
    CLOSED = "closed"


_SAR = {
    "open": "add", "list": "list", "show": "show", "search": "search", "narrow": "narrow",
    "confirm-scope": "confirm-scope", "dismiss": "dismiss", "match": "match", "decide": "decide",
    "transcript": "transcript", "letter": "letter", "custody": "custody",
    **{str(word): f"record {word}" for word in RecordedEvent},
}  # fmt: skip
_RIGHTS = ("uphold", "decline", "lift", "withdraw", "allow-use", "list", "letter")

OLD: Mapping[str, str] = MappingProxyType(
    {
        "find": "recordings list",
        "show": "recordings show",
        "play": "recordings play",
        "export": "recordings export",
        "erase": "recordings erase",
        "archive": "recordings archive",
        "verify": "recordings verify",
        "recover": "recordings recover",
        "pause": "calls pause",
        "resume": "calls resume",
        "forgot": "calls retroactive-pause",
        "second-message": "calls second-message",
        "opt-out": "calls opt-out",
        "reindex": "index rebuild",
        "reconcile": "index reconcile",
        "fsck": "index check",
        "backup": "backups add",
        "restore": "backups restore",
        "migrate": "database move",
        "opt-outs raise": "opt-outs add",
        "users proposals": "proposals list",
        "users confirm": "proposals confirm",
        "users decline": "proposals decline",
        "requests ask": "requests add",
        **{f"requests {word}": f"approvers {word}" for word in ("absent", "back", "deputy")},
        "users grant": "users add-role",
        "users revoke": "users remove-role",
        "requests emergencies": "break-glass list",
        "requests acknowledge": "break-glass acknowledge",
        **{f"sar {old}": f"cases {new}" for old, new in _SAR.items()},
        "sar": "cases",
        **{f"hold {word}": f"holds {word}" for word in ("add", "release", "reinstate", "review", "list")},
        "hold": "holds",
        "rights ask": "claims add",
        **{f"rights {word}": f"claims {word}" for word in _RIGHTS},
        "rights": "claims",
        "notice list": "notices list",
        "notice set": "notices add",
        "notice generate": "notices generate",
        "notice": "notices",
        **{f"report {word}": f"reports {word}" for word in ("pauses", "bypassed")},
        "report": "reports",
        **{f"node {word}": f"nodes {word}" for word in ("list", "request", "add", "join", "remove")},
        "node": "nodes",
        "mail status": "mail show",
        "objects status": "objects show",
        "audit show": "audit list",
    }
)
"""New words for those of before, which go on working until 1.0."""

BARE: Mapping[str, str] = MappingProxyType({"calls": "calls list", "retention": "retention show"})
"""Nouns that were commands before: without a verb they are these."""


class _Option(NamedTuple):
    """An option that has become a command, or another option, and whether its value stays as an argument."""

    words: str
    now: str


OPTIONS: Mapping[tuple[str, str], _Option] = MappingProxyType(
    {
        ("erase", "--list"): _Option("erasures list", ""),
        ("erase", "--confirm"): _Option("erasures confirm", ""),
        ("erase", "--decline"): _Option("erasures decline", ""),
        ("reconcile", "--confirm"): _Option("index reconcile", "--yes"),
        ("retention run", "--confirm-share"): _Option("retention confirm-share", ""),
    }
)
"""Options that have become commands or have another name now."""


OPTION_NAMES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("requests add", "--leave"): "--access",
        ("recordings erase", "--third"): "--third-approver",
        ("holds add", "--against"): "--complained-about",
        ("recordings export", "--seal-with"): "--archive-passphrase-file",
    }
)
"""Options of a command, by its words of today, that have another name now."""


class Renamed(NamedTuple):
    """A command line in the words of today.

    Attributes:
        arguments: The command line.
        old: What was written before.
        new: What is written now.
    """

    arguments: list[str]
    old: str
    new: str


def renamed(arguments: Sequence[str]) -> Renamed | None:
    """Return a command line in the words of today, or None if it is that already."""
    found = _command_renamed(arguments)
    words = list(arguments) if found is None else found.arguments
    command = " ".join(words[:2])
    for place, argument in enumerate(words[2:], 2):
        option, equals, value = argument.partition("=")
        now = OPTION_NAMES.get((command, option))
        if now is not None:
            words[place] = f"{now}{equals}{value}"
            found = found or Renamed(words, f"{command} {option}", f"{command} {now}")
    return found


def _command_renamed(arguments: Sequence[str]) -> Renamed | None:
    for count in (2, 1):
        old, rest = " ".join(arguments[:count]), list(arguments[count:])
        for place, argument in enumerate(rest):
            name, equals, value = argument.partition("=")
            option = OPTIONS.get((old, name))
            if option is not None:
                kept = [option.now] if option.now else [value] if equals else []
                return Renamed([*option.words.split(), *rest[:place], *kept, *rest[place + 1 :]],
                               f"{old} {name}", f"{option.words} {option.now}".strip())  # fmt: skip
        if old in OLD:
            return Renamed([*OLD[old].split(), *rest], old, OLD[old])
    first = arguments[0] if arguments else ""
    if first in BARE and (len(arguments) == 1 or _is_option(arguments[1])):
        return Renamed([*BARE[first].split(), *arguments[1:]], first, BARE[first])
    return None


def _is_option(argument: str) -> bool:
    return argument.startswith("-") and argument not in {"-h", "--help"}


def former(words: str) -> list[str]:
    """Return the words that a command had before."""
    by_option = {f"{old} {option}": now.words for (old, option), now in OPTIONS.items()}
    return [old for old, new in {**OLD, **BARE, **by_option}.items() if " ".join(new.split()[:2]) == words]
