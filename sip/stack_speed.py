"""Replaces methods of sippy that each message runs many times by faster ones with the same results.

sippy lists all headers of a message to find one, and copies the whole request for each response. `sip.stack_addresses`
has the methods of URIs and addresses. `tests/unit/sip/test_stack_speed.py` compares each replacement with what it
replaces. Knows sippy; see `sip.reactor`.
"""

import functools
from collections.abc import Callable
from typing import Any

from sippy.Core.EventDispatcher import EventDispatcher2, EventListener
from sippy.SipAddress import SipAddress
from sippy.SipAddressHF import SipAddressHF
from sippy.SipHeader import SipHeader
from sippy.SipMsg import SipMsg
from sippy.SipRequest import SipRequest
from sippy.SipResponse import SipResponse
from sippy.SipURL import SipURL
from sippy.SipVia import SipVia
from sippy.Time.MonoTime import MonoTime

from sip import stack_addresses
from sip.stack_addresses import Sippy

# -- messages


def _init_header(  # noqa: PLR0917 - sippy's signature
    header: Sippy, s: Sippy = None, name: Sippy = None, body: Sippy = None, bodys: Sippy = None, fixname: bool = False
) -> None:
    if s is None and name is not None and body is not None and not fixname:
        header.name, header.body = name.lower(), body
    else:
        ORIGINALS[SipHeader, "__init__"](header, s, name, body, bodys, fixname)


def _message_text(message: Sippy, local_addr: Sippy = None, compact: bool = False) -> str:
    if compact:
        return str(ORIGINALS[SipMsg, "localStr"](message, local_addr, compact))
    lines = [message.getSL(local_addr)]
    for header in message.headers:
        body = header.body
        lines.append(body.getCanName(header.name) + ": " + body.localStr(local_addr))
    if message.body is None:
        lines.append("Content-Length: 0\r\n\r\n")
    else:
        content = message.body.localStr(local_addr)
        lines += [f"Content-Type: {message.body.mtype}", f"Content-Length: {len(content)}\r\n\r\n{content}"]
    return "\r\n".join(lines)


def _body(message: Sippy, name: str, idx: int = 0) -> Sippy:
    for header in message.headers:
        if header.name == name:
            if idx == 0:
                if not header.body.parsed:
                    header.body.parse()
                return header.body
            idx -= 1
    raise IndexError(name)


def _bodies(message: Sippy, name: str) -> list[Sippy]:
    return [header.getBody() for header in message.headers if header.name == name]


def _count(message: Sippy, name: str) -> int:
    return sum([header.name == name for header in message.headers])


def _transaction_id(
    message: Sippy,
    wCSM: bool = False,  # noqa: N803 - sippy's name
    wBRN: bool = False,  # noqa: N803 - sippy's name
    wTTG: bool = False,  # noqa: N803 - sippy's name
) -> tuple[Sippy, ...]:
    found = {header.name: header for header in message.headers if header.name in ("cseq", "call-id", "from")}
    number, method = found["cseq"].getBody().getCSeq()
    made: tuple[Sippy, ...] = (str(found["call-id"].getBody()), found["from"].getBody().getTag(), number)
    if wCSM:
        made += (method,)
    if wBRN:
        made += (message.getHFBody("via").getBranch(),)
    if wTTG:
        made += (message.getHFBody("to").getTag(),)
    return made


@functools.lru_cache(8)
def _server_header(value: str) -> Sippy:
    return SipHeader(name="server", bodys=value)


def _response(  # noqa: PLR0917 - sippy's signature
    request: Sippy, scode: int, reason: str, body: Sippy = None, server: str | None = None, ext_reason: Sippy = None
) -> Sippy:
    """Make a response that shares the headers of its request but To, whose tag it may set."""
    if ext_reason is not None:
        return ORIGINALS[SipRequest, "genResponse"](request, scode, reason, body, server, ext_reason)
    response = SipResponse(scode=scode, reason=reason, sipver=request.sipver, body=body)
    vias, routes, first = [], [], dict[str, Sippy]()
    for header in request.headers:
        if header.name == "via":
            vias.append(header)
        elif header.name == "record-route":
            routes.append(header)
        else:
            first.setdefault(header.name, header)
    to = SipHeader(name="to", body=first["to"].getBCopy())
    response.headers = [*vias, *routes, first["from"], to, first["call-id"], first["cseq"]]
    if server is not None:
        response.headers.append(_server_header(server))
    return response


def _ack(request: Sippy, to: Sippy = None) -> Sippy:
    """Make the ACK of a request; it shares From, Call-ID and Max-Forwards, which do not change any more."""
    hops = request.getHFBodys("max-forwards")
    return SipRequest(
        method="ACK",
        ruri=request.ruri.getCopy(),
        sipver=request.sipver,
        fr0m=request.getHFBody("from"),
        to=request.getHFBody("to").getCopy() if to is None else to,
        via=request.getHFBCopy("via"),
        callid=request.getHFBody("call-id"),
        cseq=request.getHFBody("cseq").getCSeqNum(),
        maxforwards=hops[0] if hops else None,
        user_agent=request.user_agent,
    )


# -- timers


def _timer(
    dispatcher: Sippy, timeout_cb: Sippy, ival: Sippy, nticks: int = 1, abs_time: bool = False, *cb_params: object
) -> Sippy:
    dispatcher.last_ts = now = MonoTime()
    if nticks == 0:
        return None
    if abs_time and not isinstance(ival, MonoTime):
        raise TypeError("ival is not MonoTime")
    listener = EventListener()
    listener.itime = now  # never changed: its end is calculated from it
    listener.cb_func, listener.cb_params = timeout_cb, cb_params
    listener.ival, listener.nticks, listener.abs_time, listener.ed = ival, nticks, abs_time, dispatcher
    return listener


def _is_before(listener: Sippy, other: Sippy) -> bool:
    return bool(listener.etime.monot < other.etime.monot)


def _later(moment: Sippy, seconds: float) -> Sippy:
    later = MonoTime.__new__(MonoTime)
    later.monot, later.realt = moment.monot + seconds, moment.realt + seconds
    return later


_REPLACEMENTS: tuple[tuple[type, str, Callable[..., Any]], ...] = (
    (SipURL, "localStr", stack_addresses.url_text),
    (SipURL, "getCopy", stack_addresses.copy_url),
    (SipAddress, "localStr", stack_addresses.address_text),
    (SipAddress, "getCopy", stack_addresses.copy_address),
    (SipAddressHF, "parse", stack_addresses.parse_address),
    (SipAddressHF, "getCopy", stack_addresses.copy_address_header),
    (SipVia, "localStr", stack_addresses.via_text),
    (SipHeader, "__init__", _init_header),
    (SipMsg, "localStr", _message_text),
    (SipMsg, "getHFBody", _body),
    (SipMsg, "getHFBodys", _bodies),
    (SipMsg, "countHFs", _count),
    (SipMsg, "getTId", _transaction_id),
    (SipRequest, "genResponse", _response),
    (SipRequest, "genACK", _ack),
    (EventDispatcher2, "regTimer", _timer),
    (EventListener, "__lt__", _is_before),
    (MonoTime, "getOffsetCopy", _later),
)
ORIGINALS = {(owner, name): getattr(owner, name) for owner, name, _ in _REPLACEMENTS}
"""What is replaced, by class and name."""


def install() -> None:
    """Replace the methods; doing it again changes nothing."""
    for owner, name, method in _REPLACEMENTS:
        setattr(owner, name, method)
