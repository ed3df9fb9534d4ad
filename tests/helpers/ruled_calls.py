"""Calls in progress of a daemon that is not there: whose act is allowed is decided by the product's own rules.

As the daemon decides (`recorder.control.permits`); acts change nothing, so that everybody meets the same calls.
"""

from collections.abc import Callable, Mapping
from typing import Any

from recorder.control.client import OptOutGrant
from recorder.control.errors import DaemonRefusedError
from recorder.permissions import Act, Actor, DeniedError, Person
from recorder.rules.call_target import CallTarget, Target
from recorder.rules.live_access import NOTHING_KNOWN, Around, HiddenError, require
from recorder.rules.live_facts import facts_listed
from recorder.rules.opt_out import Statements, check_decline, check_grant
from recorder.rules.policy import Extension
from recorder.rules.seats import own_teams

NUMBER = "02079460000"


def request_of(call: str) -> str:
    """Return the id of the request to opt out that stands for a call."""
    return f"0pt{call[9:15]}"


class RuledCalls:
    """Stands for `recorder.control.client.LiveClient`.

    Args:
        phones: The extensions, each with who sits there; each has a call.
    """

    def __init__(self, phones: Mapping[str, Extension]) -> None:
        self._phones = phones
        self._ids = {number: f"20261125T09{n:04d}Z-{number}-aaaaaa" for n, number in enumerate(phones)}

    def call_at(self, number: str) -> str:
        """Return the id of the call at an extension."""
        return self._ids[number]

    # --- what is listed

    def calls(self, *, actor: str = "") -> list[dict[str, Any]]:
        return [self._row(number) for number in self._phones]

    def _row(self, number: str) -> dict[str, Any]:
        phone, call = self._phones[number], self._ids[number]
        return {
            "call": call, "id": call, "state": "recording", "reasons": [], "position_s": 1.5, "extension": number,
            "operator": phone.operator, "phase": "joined", "second_message": "ready", "service": "Revenues",
            "extensions": [number], "operators": [phone.operator], "teams_now": [phone.team],
            "extensions_now": [number], "operators_now": [phone.operator], "configured_now": [number],
            "proven_now": [phone.operator], "caller": NUMBER, "called": number, "team": phone.team,
            "started_at": "2026-11-25T09:00:00Z", "state_since": "2026-11-25T09:00:05Z", "pause_max_s": 600.0,
            "paused_s": None, "opt_out": {"id": request_of(call), "state": "raised"}, "is_recorded": True,
        }  # fmt: skip

    def opt_outs(self, *, actor: str = "") -> list[dict[str, Any]]:
        return [self._request(row) for row in self.calls()]

    def _request(self, row: dict[str, Any]) -> dict[str, Any]:
        kept = ("call", "team", "extensions", "operators", "teams_now", "extensions_now", "operators_now",
                "configured_now", "proven_now")  # fmt: skip
        return {
            **{name: row[name] for name in kept}, "id": request_of(row["call"]), "state": "raised",
            "raised_by": row["operator"], "raised_at": "2026-11-25T09:01:00Z", "reason": "", "decided_by": None,
            "decided_at": None, "erase_on_opt_out": False,
        }  # fmt: skip

    def agents(self) -> list[dict[str, Any]]:
        return [
            {
                "extension": number, "operator": phone.operator, "configured": phone.operator, "service": "Revenues",
                "team": phone.team, "is_signed_on": False, "is_proven": True, "until": None,
            }
            for number, phone in self._phones.items()
        ]  # fmt: skip

    def takeovers(self) -> list[dict[str, Any]]:
        return []

    def nodes(self) -> list[dict[str, Any]]:
        return []

    def drain_state(self) -> dict[str, Any]:
        return {"state": "running", "since": None, "calls": 1, "refused": 0, "left_s": None}

    def acknowledge_alarm(self, alarm: str, *, person: Person, remark: str, hours: float) -> dict[str, Any]:
        return {"name": alarm, "acknowledged": {"by": person.actor, "remark": remark, "hours": hours}}

    def health(self) -> dict[str, Any]:
        return {
            "status": "ok", "alarms": {}, "sip": "udp:127.0.0.1:5060", "calls": 1, "counts": {},
            "retention": {"last_success": None, "problem": "", "stopped": "", "unconfirmed": [], "next": None},
            "audit": {"late_entries": 0}, "names_not_resolved": [], "carriage": {}, "notices": [],
        }  # fmt: skip

    def sign_on(self, extension: str, *, person: Person, is_anothers: bool) -> dict[str, Any]:
        return {"extension": extension}

    def sign_off(self, extension: str, *, person: Person) -> dict[str, Any]:
        return {"extension": extension}

    # --- acts

    def pause(self, target: Target, *, actor: Actor, reason: str = "") -> dict[str, Any]:
        return self._act_on(target, Act.PAUSE, actor)

    def resume(self, target: Target, *, actor: Actor, reason: str = "") -> dict[str, Any]:
        return self._act_on(target, Act.RESUME, actor)

    def pause_retroactively(
        self, target: Target, *, person: Person, seconds: float | None, reason: str = ""
    ) -> dict[str, Any]:
        return self._act_on(target, Act.RETROACTIVE_PAUSE, person)

    def second_message(self, target: Target, *, person: Person, reason: str = "") -> dict[str, Any]:
        return self._act_on(target, Act.SECOND_MESSAGE, person)

    def ask_opt_out(self, call: str, *, person: Person, reason: str = "") -> dict[str, Any]:
        return self._act(call, Act.RAISE_OPT_OUT, person)

    def opt_out(self, target: Target, *, person: Person, grant: OptOutGrant, around: Around) -> dict[str, Any]:
        assert isinstance(target, CallTarget)
        return self._granted(self._found(target.call), person, grant, around)

    def grant_opt_out(self, request: str, *, person: Person, grant: OptOutGrant, around: Around) -> dict[str, Any]:
        return self._granted(self._found(request), person, grant, around)

    def decline_opt_out(self, request: str, *, person: Person, reason: str, around: Around) -> dict[str, Any]:
        row = self._found(request)
        self._asked(lambda: check_decline(person, facts_listed(row), reason, around))
        return self._request(row)

    def _found(self, sent: str) -> dict[str, Any]:
        for row in self.calls():
            if sent in (row["call"], row["extension"], request_of(row["call"])):
                return row
        raise DaemonRefusedError(404, {"detail": "There is no such call."})

    def _act_on(self, target: Target, act: Act, actor: Actor) -> dict[str, Any]:
        if isinstance(target, CallTarget):
            return self._act(target.call, act, actor)
        return {"calls": [self._act(target.number, act, actor)]}

    def _act(self, sent: str, act: Act, actor: Actor) -> dict[str, Any]:
        row = self._found(sent)
        around = (
            Around(colleagues=own_teams(actor, self._phones.values())) if isinstance(actor, Person) else NOTHING_KNOWN
        )
        self._asked(lambda: require(actor, act, facts_listed(row), around))
        return {"call": row["call"], "state": "paused", "reasons": ["agent"], "position_s": 2.0}

    def _granted(self, row: dict[str, Any], person: Person, grant: OptOutGrant, around: Around) -> dict[str, Any]:
        said = Statements(caller_asked=grant.caller_asked, distress_judged=grant.distress_judged)
        self._asked(lambda: check_grant(person, facts_listed(row), said, grant.reason, around))
        return {"call": row["call"], "state": "opted_out", "reasons": [], "position_s": 2.0}

    def _asked(self, check: Callable[[], object]) -> None:
        try:
            check()
        except HiddenError as error:
            raise DaemonRefusedError(404, {"detail": "There is no such call."}) from error
        except DeniedError as error:
            raise DaemonRefusedError(403, {"detail": str(error)}) from error
