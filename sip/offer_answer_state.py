"""The state of offer and answer of a leg (RFC 3264, RFC 6337), shared by the components of the leg."""

from dataclasses import dataclass

from sip.events import Body
from sip.reactor import Sippy


@dataclass(slots=True)
class Negotiation:
    """The session descriptions of one leg.

    Attributes:
        local: Our session description in force, or None.
        remote: The peer's.
        late_answer: The transaction of our INVITE if its 2xx brought an offer and our answer is still to be sent in the
            ACK, or None.
        is_early_settled: Offer and answer were exchanged reliably before the call was answered, so that more offers may
            follow (RFC 3311).
    """

    local: Body | None = None
    remote: Body | None = None
    late_answer: Sippy = None
    is_early_settled: bool = False
