"""A proposed change of an account reads as a sentence."""

from datetime import UTC, datetime

import pytest

from recorder.access.granting import Proposal, ProposedChange
from recorder.permissions import Role
from recorder.web.proposal_words import change_in_words

AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "roles", "words"),
    [
        (ProposedChange.GRANT, {Role.DPO}, "Give Olive Officer the role data protection officer"),
        (ProposedChange.GRANT, {Role.ICT, Role.ADMIN}, "Give Olive Officer the roles ICT and administrator"),
        (ProposedChange.RESET, set(), "Remove the authenticator of Olive Officer"),
        (ProposedChange.PASSWORD, set(), "Set a new password for Olive Officer"),
        (ProposedChange.TOKEN, set(), "Add a token for another system"),
        (ProposedChange.DEPUTY, set(), "Make Olive Officer the data protection officer’s deputy"),
    ],
)
def test_a_change_in_words(change: ProposedChange, roles: set[Role], words: str) -> None:
    proposal = Proposal(
        id="0a1b2c3d", account="olive", change=change, roles=frozenset(roles), reason="why", proposed_by="ada",
        proposed_at=AT, until=AT,
    )  # fmt: skip
    assert change_in_words(proposal, {"olive": "Olive Officer"}) == words
