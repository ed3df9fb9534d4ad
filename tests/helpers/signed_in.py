"""Who acts where a test only reads: commands that name a person get the token of one, as `recorder login` gives it.

A password would cost each such command a tenth of a second of argon2.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx2

from recorder.access.database import open_people
from recorder.access.sessions import SessionKind, Sessions
from recorder.access.signing import Said, Signer
from recorder.cli.former_words import renamed
from recorder.cli.identity import TOKEN_VARIABLE
from recorder.common.clock import utc_now
from recorder.control.headers import ACTOR_HEADER, SIGNATURE_HEADER

_READS = frozenset(
    {
        ("recordings", "list"), ("recordings", "show"), ("holds", "list"), ("users", "list"), ("proposals", "list"),
        ("tokens", "list"), ("break-glass", "list"), ("mail", "show"), ("erasures", "list"),
    }
)  # fmt: skip
_AT_PHONES = ("agents", "list")


def token_of(home: Path, account: str) -> str:
    """Begin a session of the shell for an account of a home; returns its token."""
    engine = open_people(home / "people.sqlite")
    try:
        return Sessions(engine, now=utc_now).start(account, kind=SessionKind.SHELL, is_proven=True)
    finally:
        engine.dispose()


def signing(home: Path) -> dict[str, list[Callable[[httpx2.Request], None]]]:
    """Return the event hooks of a client of the daemon's socket that signs who acts, as console and command line do."""
    signer = Signer(home)

    def sign(request: httpx2.Request) -> None:
        actor = request.headers.get(ACTOR_HEADER, "")
        if actor and SIGNATURE_HEADER not in request.headers:
            target = request.url.raw_path.decode("ascii")
            said = Said(method=request.method, target=target, actor=actor, content=request.read())
            request.headers[SIGNATURE_HEADER] = signer.sign(said)

    return {"request": [sign]}


def environment_for(words: Sequence[str], *, reader: str, at_phones: str) -> Mapping[str, str]:
    """Return the environment in which a command that reads is somebody's who was not named in it.

    Args:
        words: The command's.
        reader: The account that reads.
        at_phones: The account that sees who sits where.
    """
    if "--as" in words or "-C" not in words or "--password-file" in words:
        return {}
    home = Path(words[words.index("-C") + 1])
    if not (home / "people.sqlite").exists():
        return {}
    found = renamed(words)
    command = tuple((words if found is None else found.arguments)[:2])
    if command == _AT_PHONES:
        return {TOKEN_VARIABLE: token_of(home, at_phones)}
    return {TOKEN_VARIABLE: token_of(home, reader)} if command in _READS else {}
