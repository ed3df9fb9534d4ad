"""The words for a proposed change of an account. Pure."""

from collections.abc import Mapping

from recorder.access.granting import Proposal, ProposedChange
from recorder.rules import wording


def change_in_words(proposal: Proposal, names: Mapping[str, str]) -> str:
    """Return what a proposal changes, as a sentence without its full stop.

    Args:
        proposal: The proposal.
        names: How each account is called, by its name.
    """
    who = names.get(proposal.account, proposal.account)
    match proposal.change:
        case ProposedChange.GRANT:
            roles = wording.listed(sorted(map(wording.words, proposal.roles)))
            return f"Give {who} the {'role' if len(proposal.roles) == 1 else 'roles'} {roles}"
        case ProposedChange.RESET:
            return f"Remove the authenticator of {who}"
        case ProposedChange.PASSWORD:
            return f"Set a new password for {who}"
        case ProposedChange.MAIL if proposal.address:
            return f"Send the email of {who} to {proposal.address}"
        case ProposedChange.MAIL:
            return f"Send no more email to {who}"
        case ProposedChange.TOKEN:
            return "Add a token for another system"
        case ProposedChange.DEPUTY:
            return f"Make {who} the data protection officer’s deputy"
