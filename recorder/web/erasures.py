"""Orders to erase that a person may see; reading them is logged."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from recorder.permissions import Act, Actor, Person
from recorder.recordings.visibility import none_such
from recorder.reports.reports import teams_seen_by
from recorder.retention.erasure_approvals import Approval
from recorder.rules.call_parts import owners_of
from recorder.rules.erasing import SpanFacts, facts_of, span_of
from recorder.web.parts import ConsoleParts
from storage.errors import NotFoundError
from storage.retention_types import ErasureOrder, ErasureState

SHOWN = 200
"""Number of orders shown, newest first."""


def orders_for(console: ConsoleParts, actor: Actor) -> list[ErasureOrder]:
    """Return the newest orders that a person may see: a manager those of their teams' calls.

    Raises:
        ProblemError: They may not see orders, or the audit log cannot be written.
    """
    console.audit_service.authorise(actor, Act.CONFIRM_ERASURE)
    console.audit_service.note("erasure.view", actor.actor, "")
    orders = console.deps.repos.erasures.newest(SHOWN)
    assert isinstance(actor, Person), "no token may confirm anything"
    seen = teams_seen_by(actor)
    return orders if seen is None else [order for order in orders if _team_of(console, order) in seen]


def order_for(console: ConsoleParts, person: Person, order_id: str) -> ErasureOrder:
    """Return one order that a person may see.

    Raises:
        ProblemError: 403, they may not see orders; 404, there is none for them; 503, the audit log cannot be written.
    """
    console.audit_service.authorise(person, Act.CONFIRM_ERASURE)
    try:
        order = console.deps.repos.erasures.get(order_id)
    except NotFoundError as error:
        raise none_such("order") from error
    console.audit_service.note("erasure.view", person.actor, order.recording)
    seen = teams_seen_by(person)
    if seen is not None and _team_of(console, order) not in seen:
        raise none_such("order")
    return order


def three_of(console: ConsoleParts, orders: Iterable[ErasureOrder]) -> dict[str, tuple[Approval, SpanFacts]]:
    """Return the approval and the facts of each waiting order that needs three people, by order id."""
    found = {}
    for order in orders:
        approvals = console.deps.repos.approvals
        approval = approvals.get(order.id) if approvals and order.state is ErasureState.WAITING else None
        if approval is not None:
            with suppress(NotFoundError):
                found[order.id] = approval, facts_of(console.deps.repos.index.get(order.recording), order)
    return found


def approval_to_json(approval: Approval, facts: SpanFacts) -> dict[str, Any]:
    """Return the approval and the facts of an order that needs three people, as JSON-able values."""
    return {
        "third": approval.third, "has_third": approval.has_third, "dpo_by": approval.dpo_by,
        "heard_by": approval.heard_by, "length_s": facts.length_s, "caller_s": facts.caller_s,
        "officer_s": facts.officer_s, "pauses": [{"start_s": start, "end_s": end} for start, end in facts.pauses],
    }  # fmt: skip


def _team_of(console: ConsoleParts, order: ErasureOrder) -> str | None:
    try:
        row = console.deps.index.get(order.recording)
    except NotFoundError:
        return None  # deleted: it belongs to no team
    return owners_of(row, *span_of(order, row.duration_s))[1]
