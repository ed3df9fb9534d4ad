"""Sanity check: whether sippy can read a message, asked before a transaction begins.

sippy parses headers on first use, in the middle of its work, where an exception would leave a transaction behind. A
malformed header must lead to an answer, not to a traceback. A header that is not needed must not lead to a refusal:
see `repaired`. Knows sippy; see `sip.reactor`.
"""

from collections.abc import Iterable
from dataclasses import replace

from sip.message import MalformedMessageError, RawMessage, strip_quoted
from sip.options import Address, TransportKind
from sip.reactor import Sippy
from sip.stack_addresses import is_plain
from sip.stack_message import stack_message

_ECHOED = ("to", "record-route")
"""Read from a copy: sippy repeats a header in its responses as it came, unless it has read it."""
_ADDRESSES = {"contact", "route", "record-route"}
_FRAME = {"via", "from", "to", "call-id", "cseq"}
"""Headers that sippy needs in every message."""
_MOST = 16
"""Most headers with an address that are tried one by one; real messages do not have more."""


def check_readable(message: RawMessage) -> Sippy:
    """Have sippy parse every header that it will use, and return the message as sippy has it.

    Raises:
        MalformedMessageError: It cannot; the error names the kind of failure, never the content.
    """
    try:
        parsed = stack_message(message)
        _read(parsed)
        return parsed
    except Exception as error:
        malformed = MalformedMessageError(f"{type(error).__name__} in the stack")
        if message.status is None and message.method != "ACK":
            malformed.request = message
        raise malformed from error


def repaired(message: RawMessage, source: Address) -> RawMessage | None:
    """Return a message with its Route, Contact and Record-Route repaired for sippy, or None: that does not help.

    A missing bracket is added. An unreadable Route is left out, since it leads to us. An unreadable Contact is replaced
    by the source address of the message. An unreadable Record-Route is not replaced: our requests would go wrong.
    """
    headers: list[tuple[str, str]] = []
    looked_at = 0
    for name, value in message.headers:
        if name.lower() not in _ADDRESSES:
            headers.append((name, value))
            continue
        looked_at += 1
        found = next(
            (one for one in _candidates(name.lower(), value, source) if _is_readable(message, name, one)), None
        )
        if looked_at > _MOST or (found is None and name.lower() != "route"):
            return None
        if found is not None:
            headers.append((name, found))
    return replace(message, headers=tuple(headers)) if tuple(headers) != message.headers else None


def _candidates(name: str, value: str, source: Address) -> Iterable[str]:
    """Yield the possible meanings of a header, the likeliest first."""
    yield value
    bare = strip_quoted(value)
    if bare.count("<") > bare.count(">"):
        yield f"{value}>"
    elif bare.count("<") < bare.count(">"):
        yield value.replace(">", "")
    if name == "contact":
        over = "" if source.transport is TransportKind.UDP else f";transport={source.transport.value}"
        mark = ";+sip.src" if "+sip.src" in bare.lower() else ""  # the mark of a recording client
        yield f"<sip:{source.bracketed}:{source.port}{over}>{mark}"


def _is_readable(message: RawMessage, name: str, value: str) -> bool:
    frame = tuple((key, text) for key, text in message.headers if key.lower() in _FRAME)
    try:
        check_readable(replace(message, headers=(*frame, (name, value)), body=b""))
    except MalformedMessageError:
        return False
    return True


def _read(parsed: Sippy) -> None:
    for header in parsed.headers:
        name, body = header.name, header.body
        if name in _ECHOED:
            if name == "to" and is_plain(body.body):
                continue
            body = body.getCopy()
        body.parse()
        if name == "via":
            _check_port(body.getTAddr()[1])
        elif name in _ADDRESSES and not getattr(body, "asterisk", False):
            _check_port(body.getUrl().getAddr()[1])


def _check_port(port: int) -> None:
    if not 0 < int(port) < 65536:
        raise ValueError("a port out of range")
