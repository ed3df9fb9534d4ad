"""Whether sippy can read a message: asked before it begins a transaction that an exception would leave behind.

sippy reads headers when they are first asked for, in the middle of its work. What a peer wrote into them must end in an
answer to that peer, and not in a traceback. Knows sippy; see `sip.reactor`.
"""

from sippy.SipRequest import SipRequest
from sippy.SipResponse import SipResponse

from sip.message import MalformedMessageError, RawMessage
from sip.reactor import Sippy

_READ = ("via", "from", "to", "call-id", "cseq", "max-forwards", "expires", "contact", "route", "record-route")
_ADDRESSES = {"contact", "route", "record-route"}


def check_readable(message: RawMessage) -> None:
    """Have sippy read every header that it will need.

    Raises:
        MalformedMessageError: It cannot; the error names the kind of trouble only, never what stands there.
    """
    try:
        _read((SipRequest if message.status is None else SipResponse)(message.text_for_stack()))
    except Exception as error:
        malformed = MalformedMessageError(f"{type(error).__name__} in the stack")
        if message.status is None and message.method != "ACK":
            malformed.request = message
        raise malformed from error


def _read(parsed: Sippy) -> None:
    for name in _READ:
        for body in parsed.getHFBodys(name):
            if name == "via":
                _check_port(body.getTAddr()[1])
            elif name in _ADDRESSES and not getattr(body, "asterisk", False):
                _check_port(body.getUrl().getAddr()[1])


def _check_port(port: int) -> None:
    if not 0 < int(port) < 65536:
        raise ValueError("a port out of range")
