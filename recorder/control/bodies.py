"""Request bodies of the daemon's socket, and the identity of the caller."""

import re
import time
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from recorder.access.signing import Said, UnsignedError, Verifier
from recorder.calls.opt_out_acts import OptOutDecision
from recorder.common.problems import ProblemError
from recorder.control.headers import ACTOR_HEADER, SIGNATURE_HEADER
from recorder.control.network_peer import console_of
from recorder.control.peercred import user_name
from recorder.permissions import MAX_REASON_CHARACTERS, Actor, Application, LocalUser, Person, Role, Scope
from recorder.rules.live_access import Around
from recorder.rules.opt_out import Statements

_LONGEST_S = 86_400.0
_USER = "os:"
"""Before the name of a user of the operating system of another machine."""
_TOKEN = re.compile(r"token:[\w.@ -]{1,64}\Z")
Reason = Annotated[str, Field(max_length=MAX_REASON_CHARACTERS)]
Name = Annotated[str, Field(max_length=100)]


class SocketCaller(BaseModel):
    """The caller: the user that the kernel names, and the name that console or command line signed.

    Of a request from another machine, ``os_user`` is ``USER@CONSOLE`` as signed there, and ``console`` is set.
    """

    os_user: str
    name: str
    console: str | None = None

    @property
    def actor(self) -> str:
        """Return the name for the audit log: a person's, else the OS user's."""
        return self.name or f"os:{self.os_user}"


_KNOWN_S, _MOST_KNOWN = 60.0, 64
_known: dict[tuple[str, int], tuple[str | None, float]] = {}


async def _user_of(client: tuple[str, int]) -> str | None:
    """Return a caller's user name, cached for a minute, because the lookup may ask a directory server."""
    name, until_s = _known.get(client, (None, 0.0))
    if time.monotonic() >= until_s:
        name = await run_in_threadpool(user_name, client)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[client] = name, time.monotonic() + _KNOWN_S
    return name


async def _caller(request: Request) -> SocketCaller:
    console = console_of((request.client.host, request.client.port)) if request.client else None
    if console is not None:
        return await _remote_caller(request, console)
    user = await _user_of((request.client.host, request.client.port)) if request.client else None
    if user is None:
        raise ProblemError(403, "The kernel does not name the caller; use the recorder's own socket.")
    actor = request.headers.get(ACTOR_HEADER, "")
    if actor:
        await _check_signature(request, actor)
    return SocketCaller(os_user=user, name=unquote(actor)[:100])


async def _remote_caller(request: Request, console: str) -> SocketCaller:
    """Return a caller on another machine: all that they say is signed, as no kernel vouches for them."""
    actor = request.headers.get(ACTOR_HEADER, "")
    await _check_signature(request, actor, is_remote=True)
    named = unquote(actor)[:100]
    user = named.removeprefix(_USER) if named.startswith(_USER) else "console"
    return SocketCaller(os_user=f"{user}@{console}", name="" if named.startswith(_USER) else named, console=console)


async def _check_signature(request: Request, actor: str, *, is_remote: bool = False) -> None:
    verifier: Verifier = request.app.state.verifier
    query = request.scope["query_string"]
    target = request.scope["raw_path"] + (b"?" + query if query else b"")
    said = Said(method=request.method, target=target.decode("ascii"), actor=actor, content=await request.body())
    try:
        verifier.check(said, request.headers.get(SIGNATURE_HEADER, ""), is_remote=is_remote)
    except (UnsignedError, UnicodeDecodeError) as error:
        raise ProblemError(403, str(error), title="Not signed") from error


WhoCalls = Annotated[SocketCaller, Depends(_caller)]


class _Body(BaseModel):
    model_config = ConfigDict(populate_by_name=True, extra="forbid")


class PersonBody(_Body):
    """The account of the person who acts, as console or command line checked it.

    The daemon does not open the accounts. It trusts what the user who owns them has signed, and decides itself what the
    person may do.
    """

    display_name: Name
    roles: list[Role]
    teams: list[Name] = []
    extension: Name | None = None
    managed: list[Name] | None = None
    """Teams of which a manager is signed in; None if unknown."""


class ActBody(_Body):
    """Why an act is done, and by whom: a person or ``token:NAME``; with neither, a user of the machine.

    Permissions follow from the account; ``officer`` and ``manager`` are accepted but have no effect.
    """

    reason: Reason = ""
    authority: Annotated[str, Field(alias="as", max_length=80)] = "officer"
    extensions: list[Name] = []
    """The only extensions that the token is valid for; empty for all."""
    person: PersonBody | None = None
    is_spread: bool = False
    """Whether every node gets it, so that a node without such a call has nothing to do: no refusal, no entry."""

    def actor_of(self, who: SocketCaller) -> Actor:
        """Return the actor.

        Raises:
            ProblemError: 422: neither a person nor a token. 403: an application is given as a person, or the token is
                not the one that was signed.
        """
        token = _TOKEN.match(self.authority)
        if token is not None:
            if who.name != self.authority:
                raise ProblemError(403, "This is done with a token: use the console's interface.")
            return Application(
                name=self.authority.removeprefix("token:"),
                scopes=frozenset({Scope.PAUSE}),
                extensions=frozenset(self.extensions),
            )
        if self.authority not in ("officer", "manager"):
            raise ProblemError(422, "as must be officer, manager or token:NAME.")
        return LocalUser(name=who.os_user) if self.person is None else self.person_of(who)

    def around(self, colleagues: frozenset[str]) -> Around:
        """Return what is known of the actor besides their account; ``colleagues``: teams of phones that are theirs."""
        managed = None if self.person is None else self.person.managed
        return Around(colleagues=colleagues, managed=None if managed is None else frozenset(managed))

    def person_of(self, who: SocketCaller) -> Person:
        """Return the person who acts.

        Raises:
            ProblemError: 403: no person is named.
        """
        if self.person is None or not who.name or who.name.startswith(("os:", "token:")):
            raise ProblemError(403, "This is done by a person with an account: give --as NAME.")
        return Person(
            name=who.name,
            display_name=self.person.display_name,
            roles=frozenset(self.person.roles),
            teams=tuple(self.person.teams),
            extension=self.person.extension,
        )


class PersonalBody(ActBody):
    """An act that only a person may do."""


class GrantBody(PersonalBody):
    """A granted opt-out, with the manager's statements."""

    caller_asked: bool = False
    distress_judged: bool = False
    erase_before: bool | None = None

    def order(self, details: dict[str, Any], around: Around) -> OptOutDecision:
        """Return it as the opt-out workflow takes it."""
        statements = Statements(caller_asked=self.caller_asked, distress_judged=self.distress_judged)
        return OptOutDecision(
            statements=statements, reason=self.reason, erase_before=self.erase_before, details=details, around=around
        )


class RetroactivePauseBody(PersonalBody):
    """A retroactive pause: seconds before now, None for since the start."""

    seconds: Annotated[float | None, Field(gt=0, le=_LONGEST_S)] = None


class SignOnBody(PersonalBody):
    """A sign-on of a person at a phone."""

    is_anothers: bool = True
    """Whether it is the own extension of another account; the daemon does not open the accounts."""
    code: Annotated[str | None, Field(pattern=r"^[0-9]{6}$")] = None
    """The code that another node of the site has given them, so that it is valid here too."""
