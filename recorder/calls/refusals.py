"""The headers of a 503 that says that this recorder takes no new call now."""

from recorder.rules.availability import UnavailableReason
from sip.commands import RETRY_AFTER
from sip.events import Header


def refusal_headers(obstacle: UnavailableReason) -> tuple[Header, ...]:
    """Return the headers of a 503: why it is sent (RFC 3261 section 20.43) and, in a drain, when to try again.

    There is no Retry-After for a limit: until then a peer sends nothing at all (section 21.5.4), emergency calls
    neither, though the place of one call may be free in the next moment.
    """
    why = ("Warning", f'399 recorder "{obstacle}"')
    return (why, RETRY_AFTER) if obstacle is UnavailableReason.DRAINING else (why,)
