"""What people and other systems do to calls in progress, for pages and API alike."""

from collections.abc import Callable
from typing import Any, TypeVar

from recorder.console.deps import Live
from recorder.console.rules import Rules
from recorder.domain.access import Act, Actor, Application, Person, speaks_as_manager
from recorder.live_client import DaemonRefusedError, DaemonUnavailableError
from recorder.problems import ProblemError

T = TypeVar("T")


class LiveDesk:
    """Decides, then asks the daemon.

    Every method blocks and raises ProblemError: 403 refused, 404 no such call, 503 the audit log cannot be written, 504
    the daemon did not confirm. Whatever else the daemon refuses keeps its status and sentence.
    """

    def __init__(self, live: Live, rules: Rules) -> None:
        self._live = live
        self._rules = rules

    def calls(self, actor: Actor) -> list[dict[str, Any]]:
        """Return the calls in progress that this actor may see."""
        self._rules.require(actor, Act.SEE_LIVE)
        calls = self._daemon(lambda: self._live.calls(actor=actor.actor))
        if isinstance(actor, Application) and actor.extensions:
            return [call for call in calls if call.get("extension") in actor.extensions]
        return calls

    def pause(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Pause a call. The daemon writes the audit log; that it cannot never stops a pause."""
        self._require_call(actor, Act.PAUSE, call)
        live = self._live
        return self._daemon(lambda: live.pause(call, actor=actor.actor, reason=reason, authority=_authority(actor)))

    def resume(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Resume a call, as far as this actor may."""
        self._require_call(actor, Act.RESUME, call)
        live = self._live
        return self._daemon(lambda: live.resume(call, actor=actor.actor, reason=reason, authority=_authority(actor)))

    def opt_out(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Stop recording for the rest of a call."""
        allowed = self._rules.require(actor, Act.OPT_OUT, call, reason=reason)
        self._rules.note(actor.actor, Act.OPT_OUT, call, text=reason, break_glass=allowed.break_glass)
        live = self._live
        return self._daemon(lambda: live.opt_out(call, actor=actor.actor, reason=reason, authority="manager"))

    def pause_extension(self, actor: Actor, number: str, reason: str) -> dict[str, Any]:
        """Pause every call of an extension."""
        self._rules.require(actor, Act.PAUSE, number, extension=number)
        act = self._live.pause_extension
        return self._daemon(lambda: act(number, actor=actor.actor, reason=reason, authority=_authority(actor)))

    def resume_extension(self, actor: Actor, number: str, reason: str) -> dict[str, Any]:
        """Resume every call of an extension."""
        self._rules.require(actor, Act.RESUME, number, extension=number)
        act = self._live.resume_extension
        return self._daemon(lambda: act(number, actor=actor.actor, reason=reason, authority=_authority(actor)))

    def _require_call(self, actor: Actor, act: Act, call: str) -> None:
        self._rules.require(actor, act, call)
        if not (isinstance(actor, Application) and actor.extensions):
            return
        calls = self._daemon(lambda: self._live.calls(actor=actor.actor))
        extension = next((str(c.get("extension")) for c in calls if c.get("call") == call), None)
        if extension is None:
            raise ProblemError(404, "There is no such call in progress.")
        self._rules.require(actor, act, call, extension=extension)

    def _daemon(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except DaemonUnavailableError as error:
            raise ProblemError(504, str(error), title="Not confirmed", extra={"state": "not_confirmed"}) from error
        except DaemonRefusedError as error:
            if error.status == 504:
                raise ProblemError(504, str(error), title="Not confirmed", extra={"state": "not_confirmed"}) from error
            status = error.status if 400 <= error.status < 500 else 502
            raise ProblemError(status, str(error)) from error


def _authority(actor: Actor) -> str:
    if isinstance(actor, Application):
        return actor.actor
    return "manager" if isinstance(actor, Person) and speaks_as_manager(actor) else "officer"
