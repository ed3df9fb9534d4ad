"""The tree of commands: every command's words, and its function. `former_words` has those of before. Pure.

A noun has `list`, `show` and `add`, and `remove` for what then is gone. Where the law or the policy has a word of its
own, that word is the command's: a hold is released, a token revoked, a request granted. docs/commands.md and the manual
page are generated from this table and from the commands' own help.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType

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
        "selftest": "selftest:selftest",
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
