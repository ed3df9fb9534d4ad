"""Rows of proposals."""

from typing import Any

from recorder.access.database import from_s
from recorder.access.granting import Proposal, ProposalState, ProposedChange
from recorder.permissions import Role


def columns_of_proposal(proposal: Proposal) -> dict[str, Any]:
    """Return a proposal as columns of the table; its decision and a waiting password are other columns."""
    return {
        "id": proposal.id,
        "account": proposal.account,
        "change": proposal.change,
        "roles": ",".join(sorted(proposal.roles)),
        "reason": proposal.reason,
        "proposed_by": proposal.proposed_by,
        "proposed_s": proposal.proposed_at.timestamp(),
        "until_s": proposal.until.timestamp(),
        "state": proposal.state,
        "address": proposal.address,
    }


def proposal_of(row: Any) -> Proposal:  # noqa: ANN401 - a RowMapping
    """Return the proposal of a row."""
    proposed_at, until = from_s(row["proposed_s"]), from_s(row["until_s"])
    assert proposed_at is not None
    assert until is not None
    return Proposal(
        id=row["id"],
        account=row["account"],
        change=ProposedChange(row["change"]),
        roles=frozenset(Role(role) for role in row["roles"].split(",") if role),
        reason=row["reason"],
        proposed_by=row["proposed_by"],
        proposed_at=proposed_at,
        until=until,
        state=ProposalState(row["state"]),
        address=row["address"],
    )


def details_of_proposal(proposal: Proposal) -> dict[str, Any]:
    """Return a proposal as details of an audit entry."""
    return {
        "proposal": proposal.id,
        "change": proposal.change,
        "roles": sorted(proposal.roles),
        "proposed_by": proposal.proposed_by,
        "until": proposal.until.isoformat(),
    }
