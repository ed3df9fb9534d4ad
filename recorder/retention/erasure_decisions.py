"""Decides on waiting orders to erase: one person, or the two that an order takes, confirm or decline."""

from dataclasses import replace

from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.permissions import (
    MAX_REASON_CHARACTERS,
    MIN_REASON_CHARACTERS,
    Act,
    Actor,
    Allowed,
    DeniedError,
    Person,
    Refusal,
)
from recorder.recordings.visibility import none_such
from recorder.retention.erasure_approvals import Approval
from recorder.retention.erasure_repositories import (
    ErasureRepositories,
    check_known_row,
    erasure_facts,
    knows_unfiled,
    storage_problems,
    takes_three,
)
from recorder.rules.call_parts import owners_of
from recorder.rules.erasing import HELD_ALONE_S, ErasureFacts, may_decide, span_of
from recorder.rules.vouching import Vouched
from storage.errors import ErasureStateError, NotFoundError
from storage.retention_types import ErasureOrder, ErasureState
from storage.rows import time_to_json
from storage.types import RecordingRow

APPROVED = "erasure.approved"
"""Audit act: one of the two approvals of an order that takes three people."""


def decide_erasure(
    repos: ErasureRepositories, person: Actor, order_id: str, *, confirm: bool, reason: str = ""
) -> ErasureOrder:
    """Confirm or decline a waiting order, or decline a failed one.

    Raises:
        ProblemError: Refused, with a sentence; nothing was changed.
    """
    person, order, row, approval = _decidable(repos, person, order_id, confirm=confirm)
    about = _order_facts(repos, order, row)
    if confirm and not MIN_REASON_CHARACTERS <= len(reason.strip()) <= MAX_REASON_CHARACTERS:
        raise incomplete("Enter why it should be erased permanently, in words that can be checked later.", "reason")
    if confirm and about.is_held and takes_three(repos.erasures, row) and not _approved(repos, person, order, approval):
        return order
    act = "erasure.confirmed" if confirm else "erasure.declined"
    at = repos.now()
    repos.audit_service.note(
        act, person.actor, order.recording, {"order": order.id, "at": time_to_json(at)}, text=reason
    )
    with storage_problems():
        try:
            return repos.erasures.decide(order.id, by=person.actor, at=at, confirm=confirm)
        except ErasureStateError as error:
            raise ProblemError(409, f"{error}.") from error


def decidable(repos: ErasureRepositories, person: Actor, order_id: str, *, confirm: bool) -> ErasureOrder:
    """Return an order that a person may confirm or decline now.

    Raises:
        ProblemError: They may not, with a sentence, and the refusal is in the audit log; or it is too late.
    """
    return _decidable(repos, person, order_id, confirm=confirm)[1]


def decisions_offered(repos: ErasureRepositories, person: Person, order: ErasureOrder) -> list[str]:
    """Return what a person may decide about an order now: ``confirm``, ``decline``; empty if it is for others."""
    try:
        row = repos.index.get(order.recording)
    except NotFoundError:
        return []
    about, approval = _order_facts(repos, order, row), repos.approvals.get(order.id) if repos.approvals else None
    vouched = repos.vouched()
    return [
        word
        for word, confirm in (("confirm", True), ("decline", False))
        if _is_open_to(order, confirm=confirm)
        and not isinstance(_decision(person, order, about, approval, vouched, confirm=confirm), Refusal)
    ]


def order_to_hear(repos: ErasureRepositories, person: Actor, order_id: str) -> tuple[ErasureOrder, RecordingRow]:
    """Return a waiting order whose span a person may hear as one of its two approvers.

    Raises:
        ProblemError: Refused, with a sentence, and the refusal is in the audit log.
    """
    person, order, row = _known_order(repos, person, order_id)
    approval = repos.approvals.get(order.id) if repos.approvals else None
    if approval is None or order.state is not ErasureState.WAITING:
        raise ProblemError(409, "You can listen here only if the order is waiting and needs 3 people.")
    decision = _decision(person, order, _order_facts(repos, order, row), approval, repos.vouched(), confirm=True)
    if isinstance(decision, Refusal):
        raise repos.audit_service.refusal(person.actor, Act.PLAY, row.id, decision.reason)
    return order, row


def _decidable(
    repos: ErasureRepositories, actor: Actor, order_id: str, *, confirm: bool
) -> tuple[Person, ErasureOrder, RecordingRow, Approval | None]:
    person, order, row = _known_order(repos, actor, order_id)
    approval = repos.approvals.get(order.id) if repos.approvals else None
    decision = _decision(person, order, _order_facts(repos, order, row), approval, repos.vouched(), confirm=confirm)
    if isinstance(decision, Refusal):
        raise repos.audit_service.refusal(person.actor, Act.CONFIRM_ERASURE, order.recording, decision.reason)
    if not _is_open_to(order, confirm=confirm):
        raise ProblemError(409, f"The order is not waiting for a decision: it is {order.state}.")
    return person, order, row, approval


def _decision(
    person: Person, order: ErasureOrder, about: ErasureFacts, approval: Approval | None, vouched: Vouched, *,
    confirm: bool,
) -> Allowed | Refusal:  # fmt: skip
    two = {approval.third, approval.dpo_by} if approval else set()
    return may_decide(
        person, order, about, confirm=confirm, third=approval.third if approval else None,
        others=sorted(one for one in two if one not in (None, person.name)), vouched=vouched,
    )  # fmt: skip


def _is_open_to(order: ErasureOrder, *, confirm: bool) -> bool:
    return order.state is ErasureState.WAITING or (not confirm and order.state is ErasureState.FAILED)


def _order_facts(repos: ErasureRepositories, order: ErasureOrder, row: RecordingRow) -> ErasureFacts:
    """Return the facts of an order's recording; the team is that of the span."""
    _, team = owners_of(row, *span_of(order, row.duration_s))
    return replace(erasure_facts(row, repos.now()), team=team)


def _known_order(repos: ErasureRepositories, actor: Actor, order_id: str) -> tuple[Person, ErasureOrder, RecordingRow]:
    """Return the decider, an order that they may know of, and its recording."""
    person = repos.audit_service.require(actor, Act.CONFIRM_ERASURE, order_id)
    with storage_problems():
        try:
            order = repos.erasures.get(order_id)
        except NotFoundError as error:
            raise none_such("order") from error
        try:
            row = repos.index.get(order.recording)
            check_known_row(repos, person, Act.CONFIRM_ERASURE, row, what="order")
        except NotFoundError as error:
            if not knows_unfiled(repos, person, order.recording):
                raise none_such("order") from error
            raise ProblemError(
                409, "The call goes on or is not filed yet: the order can be decided once it is."
            ) from error
    return person, order, row


def _approved(repos: ErasureRepositories, person: Person, order: ErasureOrder, approval: Approval | None) -> bool:
    """Approve an order that takes three people; tell whether that was the last approval."""
    if approval is None or repos.approvals is None:
        raise ProblemError(
            409,
            f"The order erases over {HELD_ALONE_S:.0f} s of card data from a held recording and names no third person: "
            "decline it, and ask for a new order with one.",
        )
    if approval.is_complete:  # the last approver was interrupted before the order was confirmed
        return True
    at = repos.now()
    details = {"order": order.id, "at": time_to_json(at), "is_third": person.name == approval.third}

    def enter() -> None:
        repos.audit_service.note(APPROVED, person.actor, order.recording, details)

    try:
        return repos.approvals.approve(order.id, person.name, at, enter=enter).is_complete
    except DeniedError as error:
        raise ProblemError(409, str(error)) from error
