"""What is sent to the daemon's socket, and who sends it."""

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
from recorder.control.peercred import user_name
from recorder.permissions import MAX_REASON_CHARACTERS, Actor, Application, LocalUser, Person, Role, Scope
from recorder.rules.live_access import Around
from recorder.rules.opt_out import Statements

_LONGEST_S = 86_400.0
_TOKEN = re.compile(r"token:[\w.@ -]{1,64}\Z")
Reason = Annotated[str, Field(max_length=MAX_REASON_CHARACTERS)]
Name = Annotated[str, Field(max_length=100)]


class SocketCaller(BaseModel):
    """Who is at the other end: the kernel's word, and the name that console or command line signed for them."""

    os_user: str
    name: str

    @property
    def actor(self) -> str:
        """Return the name for the audit log: a person's, else the OS user's."""
        return self.name or f"os:{self.os_user}"


_KNOWN_S, _MOST_KNOWN = 60.0, 64
_known: dict[tuple[str, int], tuple[str | None, float]] = {}


async def _user_of(client: tuple[str, int]) -> str | None:
    """Return a caller's name; asked again after a minute: the system may have to ask a directory for it."""
    name, until_s = _known.get(client, (None, 0.0))
    if time.monotonic() >= until_s:
        name = await run_in_threadpool(user_name, client)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[client] = name, time.monotonic() + _KNOWN_S
    return name


async def _caller(request: Request) -> SocketCaller:
    user = await _user_of((request.client.host, request.client.port)) if request.client else None
    if user is None:
        raise ProblemError(403, "The kernel does not say who is calling; use the recorder's own socket.")
    actor = request.headers.get(ACTOR_HEADER, "")
    if actor:
        await _check_signature(request, actor)
    return SocketCaller(os_user=user, name=unquote(actor)[:100])


async def _check_signature(request: Request, actor: str) -> None:
    verifier: Verifier = request.app.state.verifier
    query = request.scope["query_string"]
    target = request.scope["raw_path"] + (b"?" + query if query else b"")
    said = Said(method=request.method, target=target.decode("ascii"), actor=actor, content=await request.body())
    try:
        verifier.check(said, request.headers.get(SIGNATURE_HEADER, ""))
    except (UnsignedError, UnicodeDecodeError) as error:
        raise ProblemError(403, str(error), title="Not signed") from error


WhoCalls = Annotated[SocketCaller, Depends(_caller)]


class _Body(BaseModel):
    model_config = ConfigDict(populate_by_name=True, extra="forbid")


class PersonBody(_Body):
    """The account of the person who acts, as console or command line know it after its password was checked.

    The daemon does not open the accounts: it believes what is signed by the user that owns them. What somebody may do
    it decides itself.
    """

    display_name: Name
    roles: list[Role]
    teams: list[Name] = []
    extension: Name | None = None
    managed: list[Name] | None = None
    """Teams of which a manager is signed in; None: it is not known."""


class ActBody(_Body):
    """Why an act is done, and who does it: a person, or ``token:NAME``; neither is somebody at the machine.

    What somebody may do follows from who they are; ``officer`` and ``manager`` are taken and mean nothing.
    """

    reason: Reason = ""
    authority: Annotated[str, Field(alias="as", max_length=80)] = "officer"
    extensions: list[Name] = []
    """The only extensions whose calls are meant, as a token is good for them; none: every one."""
    person: PersonBody | None = None

    def actor_of(self, who: SocketCaller) -> Actor:
        """Return who acts.

        Raises:
            ProblemError: 422: it is neither a person nor a token; 403: an application is called a person, or a token
                is not the one that was signed for.
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
        """Return what is known of who acts beside their account, and the teams at whose extensions they sit."""
        managed = None if self.person is None else self.person.managed
        return Around(colleagues=colleagues, managed=None if managed is None else frozenset(managed))

    def person_of(self, who: SocketCaller) -> Person:
        """Return the person who acts.

        Raises:
            ProblemError: 403: nobody is named, or an application.
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
    """An opt-out granted, with what the manager puts their name to."""

    caller_asked: bool = False
    distress_judged: bool = False
    erase_before: bool | None = None

    def order(self, details: dict[str, Any], around: Around) -> OptOutDecision:
        """Return it in the words of the workflow."""
        statements = Statements(caller_asked=self.caller_asked, distress_judged=self.distress_judged)
        return OptOutDecision(
            statements=statements, reason=self.reason, erase_before=self.erase_before, details=details, around=around
        )


class RetroactivePauseBody(PersonalBody):
    """A pause that was forgotten: how far back it should have begun, None from the joining."""

    seconds: Annotated[float | None, Field(gt=0, le=_LONGEST_S)] = None


class SignOnBody(PersonalBody):
    """A person signs on at a phone."""

    is_anothers: bool = True
    """Whether the extension is another account's own one; the daemon does not open the accounts."""
