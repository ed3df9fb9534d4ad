"""Makes sippy's messages: those that arrive from ours, without parsing text again, and our requests in a dialog.

Of a message that arrives sippy would split the text into lines, and make an object of every header, of the body and of
its type; here it has only the headers that sippy or a leg reads. Knows sippy; see `sip.reactor`.
"""

import functools
from collections.abc import Sequence

from sippy.ESipHeaderCSV import ESipHeaderCSV
from sippy.SipCallId import SipCallId
from sippy.SipContact import SipContact
from sippy.SipContentType import SipContentType
from sippy.SipCSeq import SipCSeq
from sippy.SipExpires import SipExpires
from sippy.SipFrom import SipFrom
from sippy.SipHeader import SipHeader
from sippy.SipMaxForwards import SipMaxForwards
from sippy.SipRecordRoute import SipRecordRoute
from sippy.SipRequest import SipRequest
from sippy.SipResponse import SipResponse
from sippy.SipRoute import SipRoute
from sippy.SipTo import SipTo
from sippy.SipUserAgent import SipUserAgent
from sippy.SipVia import SipVia

from sip.message import RawMessage
from sip.reactor import Sippy
from sip.stack_addresses import parse_url

_ADDRESSES = {"from": SipFrom, "to": SipTo, "contact": SipContact, "route": SipRoute, "record-route": SipRecordRoute}
_TYPES = {
    **_ADDRESSES, "via": SipVia, "call-id": SipCallId, "cseq": SipCSeq, "max-forwards": SipMaxForwards,
    "expires": SipExpires,
}  # fmt: skip
"""The headers that sippy's message has, by lower-case name; others are read from ours."""


def stack_message(message: RawMessage) -> Sippy:
    """Return sippy's request or response with the headers of `_TYPES`, unparsed, and without a body.

    Raises:
        Exception: sippy's parsers cannot read the start line, or the type of the body.
    """
    if message.status is None:
        made = SipRequest.__new__(SipRequest)
        made.method, target, made.sipver = message.start_line.split()
        made.ruri = parse_url(target)
    else:
        made = SipResponse.__new__(SipResponse)
        made.setSL(message.start_line)
    made.headers = []
    for name, value in message.headers:
        if (lower := name.lower()) in _TYPES:
            made.headers += _headers(lower, value.strip())
    if message.body and (message.status is None or 100 < message.status < 400):
        _check_type(message)
    return made


def _headers(name: str, value: str) -> list[Sippy]:
    """Return a header, or one for each of its values."""
    if name in _ADDRESSES and "," not in value and value != "*":
        body = _ADDRESSES[name].__new__(_ADDRESSES[name])
        body.body = value  # all that the constructors of three classes do
        return [_header(name, body)]
    try:
        return [_header(name, _TYPES[name](value))]
    except ESipHeaderCSV as several:
        return [_header(name, _TYPES[name](one)) for one in several.bodys]


def _header(name: str, body: Sippy) -> Sippy:
    header = SipHeader.__new__(SipHeader)
    header.name, header.body = name, body
    return header


def _check_type(message: RawMessage) -> None:
    """Refuse a body whose type sippy cannot read, as sippy does."""
    types = message.values("content-type")
    if types and ";" in types[-1]:
        SipContentType(types[-1]).parse()


def stack_request(
    method: str,
    target: Sippy,
    *,
    to: Sippy,
    origin: Sippy,
    cseq: int,
    call_id: Sippy,
    contact: Sippy,
    routes: Sequence[Sippy],
    hop: Sippy,
    user_agent: str,
    max_forwards: int,
) -> Sippy:
    """Return a request as sippy's constructor makes it, with a new branch; ``hop`` is where it is sent."""
    request = SipRequest.__new__(SipRequest)
    request.method, request.ruri, request.sipver, request.target = method, target, "SIP/2.0", hop
    request.user_agent = user_agent
    via = SipVia()
    via.genBranch()
    request.headers = [
        _header("via", via),
        *[_header("route", route) for route in routes],
        _header("max-forwards", SipMaxForwards(number=max_forwards)),
        _header("from", origin),
        _header("to", to),
        _header("call-id", call_id),
        _header("cseq", SipCSeq(cseq=cseq, method=method)),
        *([_header("contact", contact)] if contact is not None else []),
        *([_header("expires", SipExpires())] if method == "INVITE" else []),
        _user_agent(user_agent),
    ]
    return request


@functools.lru_cache(8)
def _user_agent(value: str) -> Sippy:
    return _header("user-agent", SipUserAgent(value))
