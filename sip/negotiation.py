"""How far offer and answer of a leg are (RFC 3264, RFC 6337): what the parts of a leg that carry them share."""

from dataclasses import dataclass

from sip.events import Body
from sip.reactor import Sippy


@dataclass(slots=True)
class Negotiation:
    """The session descriptions of one leg.

    Attributes:
        local: Our session description in force, or None.
        remote: The peer's.
        late_answer: Our INVITE's transaction whose 2xx brought an offer and whose ACK awaits our answer, or None.
        is_early_settled: An offer and its answer crossed reliably before the call was answered: more offers may follow
            (RFC 3311).
    """

    local: Body | None = None
    remote: Body | None = None
    late_answer: Sippy = None
    is_early_settled: bool = False
