"""The words that commands had before 1.0, and what they are now. Pure."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from recorder.cli.tree import RecordedEvent

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
        "notice set": "notices import --accept-warnings",
        "notices add": "notices import --accept-warnings",
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
