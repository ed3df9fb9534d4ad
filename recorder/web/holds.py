"""Legal holds on a recording's page, and what the person may do with them."""

from typing import Any

from recorder.permissions import Refusal
from recorder.retention.hold_lists import holds_shown
from recorder.rules.holds import hold_facts, may_place, may_reinstate, may_release, may_review
from recorder.web.auth import ConsoleCaller
from recorder.web.parts import ConsoleParts
from storage.retention_types import Hold, HoldKind, HoldState
from storage.types import RecordingRow


def holds_on_page(console: ConsoleParts, caller: ConsoleCaller, row: RecordingRow) -> dict[str, Any]:
    """Return the holds that a person may see, with state and permitted acts, and the kinds that they may place.

    Raises:
        ProblemError: The database does not answer.
    """
    person = caller.person
    if person is None:
        return {"holds": [], "kinds": []}
    call, now = hold_facts(row), console.deps.now()

    def offered(hold: Hold) -> list[str]:
        rules = {
            HoldState.ACTIVE: {"release": may_release, "review": may_review},
            HoldState.GRACE: {"reinstate": may_reinstate},
        }.get(hold.state_at(now), {})
        return [act for act, rule in rules.items() if not isinstance(rule(person, hold, call, reason="shown"), Refusal)]

    shown = [
        (hold, hold.state_at(now), offered(hold)) for hold in holds_shown(console.deps.hold_repositories, person, row)
    ]
    kinds = [kind for kind in HoldKind if not isinstance(may_place(person, kind, call, reason="shown"), Refusal)]
    return {"holds": shown, "kinds": kinds if row.path is not None else []}
