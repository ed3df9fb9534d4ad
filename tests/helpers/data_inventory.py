"""Every place that the recorder writes to, as data: for docs/security.md and the leak suite. Pure.

A file that appears in a home and is in no row here is a fault: either the code writes where it must not, or nobody
thought about what the file may hold. Rows outside the home are those that the recorder itself opens; where the service
manager takes standard error to, and what the kernel keeps, is theirs, and in docs/security.md.
"""

import fnmatch
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath


class Content(StrEnum):
    """The most that a place may hold."""

    NOTHING = "nothing"
    """Names and random marks, nothing of a call."""
    SEALED_AUDIO = "sealed audio"
    """Ciphertext that only the key holder opens, in a clear frame that holds no numbers but the extension in the id."""
    PLAIN_AUDIO = "audio in the clear"
    """A copy that somebody asked for; audited before it was made."""
    METADATA = "metadata"
    """Who called whom and when: telephone numbers, names, reasons. Never a keyed digit, never audio."""
    MESSAGES = "messages to callers"
    """The notices; no caller's voice."""
    LOG = "log"
    """Sentences about what happened; no full telephone number, no digit, no body of SIP."""
    KEYS = "keys"
    """Key material."""


class Writer(StrEnum):
    """Who writes there."""

    DAEMON = "daemon"
    CONSOLE = "console"
    COMMANDS = "commands"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlace:
    """One kind of file.

    Attributes:
        pattern: Path with ``/`` between its parts; ``*`` and ``?`` stand for what is inside one part. Relative to the
            home, or absolute for a place outside it.
        holds: The most that may be in it.
        writers: Who opens it for writing.
        note: What it is, for a reader of the documentation.
        is_passing: It is there for moments only, or in memory only; it may be missing at any time.
    """

    pattern: str
    holds: Content
    writers: tuple[Writer, ...]
    note: str
    is_passing: bool = False


_DAEMON, _CONSOLE, _COMMANDS = ((writer,) for writer in Writer)
_KEY_HOLDER = (Writer.CONSOLE, Writer.COMMANDS)
_ALL = (Writer.DAEMON, Writer.CONSOLE, Writer.COMMANDS)
_RECORDING = "recordings/[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]/*"
_MONTH = "[0-9][0-9][0-9][0-9]-[0-9][0-9]"


def _place(
    pattern: str, holds: Content, writers: tuple[Writer, ...], note: str, *, is_passing: bool = False
) -> DataPlace:
    return DataPlace(pattern=pattern, holds=holds, writers=writers, note=note, is_passing=is_passing)


def _database(pattern: str, holds: Content, writers: tuple[Writer, ...], note: str) -> tuple[DataPlace, ...]:
    """Return a SQLite file and what SQLite keeps beside it, which holds the same."""
    beside = [
        _place(pattern + end, holds, writers, f"of {pattern}: {what}", is_passing=True)
        for end, what in (("-wal", "changes not yet moved into it"), ("-shm", "index of those changes"),
                          ("-journal", "pages as they were, during a change"))
    ]  # fmt: skip
    return (_place(pattern, holds, writers, note), *beside)


HOME_PLACES: tuple[DataPlace, ...] = (
    _place(f"{_RECORDING}/*.rec", Content.SEALED_AUDIO, _ALL, "finished recording"),
    _place(f"{_RECORDING}/*.part", Content.SEALED_AUDIO, _ALL, "recording in progress"),
    _place(
        f"{_RECORDING}/*.erasing",
        Content.SEALED_AUDIO,
        _KEY_HOLDER,
        "recording without its erased spans, about to take the place of the old one",
        is_passing=True,
    ),
    _place(f"keys/sealed/{_MONTH}/*.key", Content.KEYS, _ALL, "key of one recording, sealed to its month"),
    _place(
        f"keys/sealed/{_MONTH}/*.next",
        Content.KEYS,
        _KEY_HOLDER,
        "key of an *.erasing, about to take the place of the old one, which is destroyed",
        is_passing=True,
    ),
    _place(f"keys/epochs/{_MONTH}.pub", Content.NOTHING, _KEY_HOLDER, "public key of a month"),
    _place("keys/node/*.key", Content.KEYS, _COMMANDS, "keys of the node: signature, index metadata, TLS"),
    _place("keys/node/tls.pem", Content.NOTHING, _COMMANDS, "certificate of the node"),
    _place("keys/node/request.json", Content.NOTHING, _COMMANDS, "the node's request to join the site"),
    _place("keys/nodes/*.json", Content.NOTHING, _COMMANDS, "nodes of the site: keys, addresses, certificates"),
    _place("keys/site/*.pem", Content.NOTHING, _ALL, "the site's authority, revoked certificates, the console's"),
    _place("keys/site/list.json", Content.NOTHING, _ALL, "key list of the site"),
    _place("keys/actor/actor.key", Content.KEYS, _KEY_HOLDER, "key that signs for the daemon who acts"),
    _place("keys/actor/actor.pub", Content.NOTHING, _KEY_HOLDER, "its public half, with which the daemon checks that"),
    _place("keys/actor/actor.next.*", Content.KEYS, _ALL, "the next pair, while it is introduced", is_passing=True),
    _place(f"private/{_MONTH}.key", Content.KEYS, _KEY_HOLDER, "private key of a month"),
    _place("private/site-ca.key", Content.KEYS, _KEY_HOLDER, "key of the site's certificate authority"),
    _place("private/console-tls.key", Content.KEYS, _KEY_HOLDER, "key of the console's certificate"),
    _place("private/accounts.key", Content.KEYS, _KEY_HOLDER, "key that seals authenticators and recovery codes"),
    *_database("index.sqlite", Content.METADATA, _ALL, "index of recordings, orders to erase"),
    _place("index.sqlite-lock", Content.NOTHING, _ALL, "held while the tables of index.sqlite are made or changed"),
    *_database("index.sqlite.rebuilt", Content.METADATA, _COMMANDS, "index that is being made anew"),
    _place("index.sqlite.rebuilt-lock", Content.NOTHING, _COMMANDS, "held meanwhile", is_passing=True),
    _place("lost+found/*/*.key", Content.KEYS, _COMMANDS, "sealed key that opened nothing, moved aside by fsck"),
    _place("lost+found/*/*.rec", Content.SEALED_AUDIO, _COMMANDS, "second copy of a recording, likewise"),
    _place(
        "lost+found/*/*",
        Content.METADATA,
        _COMMANDS,
        "damaged index, old rows, unknown files, and a note of each",
    ),
    *_database("people.sqlite", Content.METADATA, _KEY_HOLDER, "accounts, authenticators, tokens, sessions"),
    _place("people.sqlite-moved", Content.METADATA, _COMMANDS, "that file, once the accounts are on a server"),
    _place("pins.json", Content.METADATA, _COMMANDS, "managers who have a PIN; of the PIN only a hash"),
    _place("audit/audit.log", Content.METADATA, _ALL, "who did what, hash-chained; free text only by its hash"),
    _place("audit/torn-*.bin", Content.METADATA, _ALL, "the torn end of the audit log after a power cut, put aside"),
    *_database("audit/texts.sqlite", Content.METADATA, _ALL, "the free text of the audit log, which can expire"),
    _place(
        "notices/*",
        Content.MESSAGES,
        (Writer.CONSOLE, Writer.COMMANDS),
        "messages that callers hear, their words, and from when each is in force",
    ),
    _place("state/pauses.journal", Content.METADATA, _DAEMON, "pauses in force: call, reasons; no numbers, no digits"),
    _place("state/dialogs.journal", Content.METADATA, _DAEMON, "what ends the calls in progress: numbers, addresses"),
    _place("state/dialogs_damaged.journal", Content.METADATA, _DAEMON, "the same, set aside as it could not be read"),
    _place("state/sessions.journal", Content.METADATA, _DAEMON, "how recording sessions stood; their names as digests"),
    _place("state/opt_outs.json", Content.METADATA, _DAEMON, "opt-outs asked for and not decided: call, who, team"),
    _place("state/wrong_pins.json", Content.METADATA, _DAEMON, "when wrong PINs were keyed at which extension"),
    _place(
        "state/rows/*.json",
        Content.METADATA,
        _DAEMON,
        "rows of calls that the index could not take yet",
        is_passing=True,
    ),
    _place(
        "state/late_entries/*.json",
        Content.METADATA,
        _DAEMON,
        "entries that the audit log could not take yet, with their free text",
        is_passing=True,
    ),
    _place(
        "state/late_console_entries/*.json",
        Content.METADATA,
        _CONSOLE,
        "the same of the console: sign-ins, refusals",
        is_passing=True,
    ),
    _place(
        "state/late_shell_entries/*.json",
        Content.METADATA,
        _COMMANDS,
        "the same of commands: refusals",
        is_passing=True,
    ),
    _place("state/audit_verified.json", Content.NOTHING, _COMMANDS, "what the last `recorder audit verify` found"),
    _place("rehearsal/**", Content.SEALED_AUDIO, _COMMANDS, "a home that is restored on trial, with keys (passing)"),
    _place("state/verified.json", Content.METADATA, _COMMANDS, "when recordings were verified, and damaged ones"),
    _place("state/rehearsal.lock", Content.NOTHING, _COMMANDS, "held while a backup is restored on trial"),
    _place(
        "state/alarms.json",
        Content.METADATA,
        _DAEMON,
        "alarms that stand and the last 500 that ended, with who acknowledged them and their remark",
    ),
    _place(
        "state/key_holder.json",
        Content.METADATA,
        (Writer.CONSOLE,),
        "what is wrong with the private keys, by month; no key",
    ),
    _place(
        "state/agents.json", Content.METADATA, _DAEMON, "who has signed on at which extension, and who took one over"
    ),
    _place("state/ports", Content.NOTHING, _DAEMON, "which media ports are in use, to let them rest after a crash"),
    _place("state/loop_mark", Content.NOTHING, _DAEMON, "mark of this recorder against loops"),
    _place("state/daemon.lock", Content.NOTHING, (Writer.DAEMON, Writer.COMMANDS), "held by the running daemon"),
    _place("state/console.lock", Content.NOTHING, _KEY_HOLDER, "held by running consoles"),
    _place("state/index_moved.json", Content.NOTHING, _COMMANDS, "where the index was, and where it is now"),
    _place("state/erasing.lock", Content.NOTHING, _ALL, "held while spans are erased, or recordings deleted"),
    _place("state/site-keys.lock", Content.NOTHING, _KEY_HOLDER, "held while the key list is made"),
    _place("state/holds.lock", Content.NOTHING, _ALL, "held while holds are placed or looked at"),
    _place("state/holds.unsettled", Content.NOTHING, _ALL, "a hold was begun and not finished", is_passing=True),
    *_database("webhooks.sqlite", Content.METADATA, _ALL, "events for webhooks, their deliveries: ids and extensions"),
    *_database("common/webhooks.sqlite", Content.METADATA, _ALL, "likewise where daemon and console are two users"),
    _place("state/syslog.json", Content.NOTHING, _DAEMON, "up to which entry the audit log was sent by syslog"),
    _place("state/forwarding.json", Content.METADATA, _DAEMON, "what waits to be sent elsewhere, and why: for health"),
    _place("state/forwarding.lock", Content.NOTHING, _DAEMON, "held by the process that sends to other systems"),
    _place(
        "state/objects.json", Content.METADATA, _DAEMON, "how many recordings wait for the object store: for health"
    ),
    _place("state/objects.lock", Content.NOTHING, _ALL, "held by the process that stores recordings elsewhere"),
    _place("state/mail.json", Content.METADATA, _CONSOLE, "how many mails wait, since when, and why: for health"),
    _place("state/people-sweep.json", Content.NOTHING, _ALL, "when what was due in the file of people was deleted"),
    _place("state/retention.json", Content.METADATA, _ALL, "when recordings were deleted last, and why it stopped"),
    _place("state/retention.lock", Content.NOTHING, _ALL, "held while recordings are deleted"),
    _place("state/agreement.json", Content.NOTHING, _ALL, "number by which a restored index or audit log is noticed"),
    _place("state/agreement.lock", Content.NOTHING, _ALL, "held while that number changes"),
    _place(
        "state/reconcile", Content.METADATA, _ALL, "index and audit log do not agree: what differs, until confirmed"
    ),
    _place("state/nodes.json", Content.NOTHING, _KEY_HOLDER, "the site's nodes, for while the database is away"),
    _place(
        "state/backup.json",
        Content.NOTHING,
        _KEY_HOLDER,
        "when the last backup was made, and whether deletions reach it",
    ),
    _place(
        "state/backup-staging/*",
        Content.METADATA,
        _COMMANDS,
        "copies of databases on their way to an object store",
        is_passing=True,
    ),
    _place("state/backup.lock", Content.NOTHING, _COMMANDS, "held while a backup is made"),
    _place("state/backup-journal.lock", Content.NOTHING, _KEY_HOLDER, "held while deletions are carried to the backup"),
    _place(
        "restore.json", Content.NOTHING, _COMMANDS, "which snapshot is being restored into this folder", is_passing=True
    ),
    _place(
        "restored.toml",
        Content.METADATA,
        _COMMANDS,
        "configuration of a restore that is not complete",
        is_passing=True,
    ),
    _place("recorder.toml", Content.METADATA, _COMMANDS, "configuration: extensions, operators, addresses"),
    _place(
        "former-*-recorder.toml", Content.METADATA, _COMMANDS, "the same before `recorder database move` changed it"
    ),
    *_database("common/index.sqlite", Content.METADATA, _ALL, "the same where daemon and console are two users"),
    _place("common/index.sqlite-lock", Content.NOTHING, _ALL, "likewise"),
    *_database("common/index.sqlite.rebuilt", Content.METADATA, _COMMANDS, "likewise, while it is made anew"),
    _place("common/index.sqlite.rebuilt-lock", Content.NOTHING, _COMMANDS, "likewise", is_passing=True),
    _place("common/recorder.sock", Content.NOTHING, _DAEMON, "likewise"),
    _place("common/.recorder.sock.new", Content.NOTHING, _DAEMON, "likewise", is_passing=True),
    _place("recorder.sock", Content.NOTHING, _DAEMON, "socket of the daemon"),
    _place(".recorder.sock.new", Content.NOTHING, _DAEMON, "that socket, before its mode is set", is_passing=True),
    _place("recorder.log", Content.LOG, (Writer.DAEMON, Writer.CONSOLE), "standard error of both, in the demo"),
)
"""What may be in a home. ``.new-*`` beside any of them is the same file while it is being written (`place_of`)."""

OUTSIDE_PLACES: tuple[DataPlace, ...] = (
    _place("/tmp/recorder-demo-*", Content.PLAIN_AUDIO, _COMMANDS,
           "`recorder demo`: a home of its own and what its phones say and hear", is_passing=True),
)  # fmt: skip
"""Beside these: what ``-o`` names, and ``.*.recorder-part`` and its lock beside that while it is written, standard
output and error, the database of ``[storage] index_url``."""

_UNFINISHED = ".new-"


def place_of(path: str | PurePath) -> DataPlace | None:
    """Return the row of a file by its path relative to the home; None if nothing may be written there.

    Folders have no rows: those above a row's files are its own. A file that is being written whole (``.new-*``) is
    taken for what its folder holds; where that is of more than one kind, for the first of them.
    """
    parts = PurePath(path).parts
    is_unfinished = bool(parts) and parts[-1].startswith(_UNFINISHED)
    for place in HOME_PLACES:
        pattern = place.pattern.split("/")
        if len(pattern) != len(parts):
            continue
        pairs = list(zip(parts, pattern, strict=True))
        if all(fnmatch.fnmatchcase(part, wanted) for part, wanted in (pairs[:-1] if is_unfinished else pairs)):
            return place
    return None
