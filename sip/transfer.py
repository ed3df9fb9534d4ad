"""Parses REFER and Replaces (RFC 3515, RFC 3891, RFC 4488). Pure.

Only user and Replaces of a Refer-To are used. The configured routes decide where the call goes, not its host; no other
header in it is copied into our requests.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from sip.message import RawMessage, is_ambiguous_user, one_line, split_values, strip_quoted, user_part

_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_CALL_ID = re.compile(r"[^\s;,]+")


class TransferError(Exception):
    """A request for a transfer must be refused; the message is a sentence.

    Attributes:
        status: What to answer, in [400, 699].
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaces:
    """The dialog that an INVITE replaces (RFC 3891 section 6.1).

    Attributes:
        call_id: Its Call-ID.
        to_tag: Tag of the receiver of the INVITE.
        from_tag: Tag of the other side.
        is_early_only: Only if the dialog has not been answered yet.
    """

    call_id: str
    to_tag: str
    from_tag: str
    is_early_only: bool = False

    def __str__(self) -> str:
        early = ";early-only" if self.is_early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferRequest:
    """A parsed REFER.

    Attributes:
        user: Whom to call: a number; never empty.
        replaces: The dialog that the new call replaces, or None.
        wants_progress: NOTIFYs are to follow; not with ``Refer-Sub: false`` (RFC 4488).
    """

    user: str
    replaces: Replaces | None
    wants_progress: bool = True


def parse_refer(message: RawMessage) -> ReferRequest:
    """Parse a REFER.

    Raises:
        TransferError: 400: not exactly one Refer-To (RFC 3515 section 2.4.2), or it cannot be read. 416: another scheme
            than ``sip`` (``sips`` requires TLS on every hop, which our routes do not promise). 404: no user. 603:
            another method than INVITE.
    """
    values = [part for value in message.values("refer-to") for part in split_values(value)]
    if len(values) != 1:
        raise TransferError(400, f"{len(values)} Refer-To, there must be one")
    scheme, _, rest = _uri_of(values[0]).partition(":")
    if scheme.lower() != "sip":
        raise TransferError(416, "a Refer-To that is no sip: address")
    user, at, host = rest.partition("@")
    number = user_part(f"<sip:{user}@host>") if at else ""
    if not number or is_ambiguous_user(f"<sip:{user}@host>"):
        raise TransferError(404, "a Refer-To without a user, or with one that peers read differently")
    host, _, headers = host.partition("?")
    if _parameter(host, "method") not in (None, "INVITE"):
        raise TransferError(603, "a Refer-To for another method than INVITE")
    subscribes = (message.value("refer-sub") or "true").split(";", 1)[0].strip().lower() != "false"
    return ReferRequest(user=number, replaces=_replaces_among(headers), wants_progress=subscribes)


def parse_replaces(value: str) -> Replaces:
    """Parse a Replaces header.

    Raises:
        TransferError: 400: it has no Call-ID, or not exactly one of each tag.
    """
    call_id, *parameters = (part.strip() for part in one_line(value).split(";"))
    tags: dict[str, list[str]] = {"to-tag": [], "from-tag": []}
    is_early_only = False
    for name, _, content in (parameter.partition("=") for parameter in parameters):
        if (key := name.strip().lower()) in tags:
            tags[key].append(content.strip())
        is_early_only |= key == "early-only"
    if not _CALL_ID.fullmatch(call_id) or any(len(t) != 1 or not _TOKEN.fullmatch(t[0]) for t in tags.values()):
        raise TransferError(400, "a Replaces that names no dialog")
    to_tag, from_tag = tags["to-tag"][0], tags["from-tag"][0]
    return Replaces(call_id=call_id, to_tag=to_tag, from_tag=from_tag, is_early_only=is_early_only)


def replaces_of(message: RawMessage) -> Replaces | None:
    """Return the dialog that the Replaces of an INVITE names, or None if it has no Replaces.

    Raises:
        TransferError: 400: there are several (RFC 3891 section 3), or it cannot be read.
    """
    values = message.values("replaces")
    if len(values) > 1:
        raise TransferError(400, f"{len(values)} Replaces, there may be one")
    return parse_replaces(values[0]) if values else None


def sipfrag(status: int, phrase: str) -> bytes:
    """Return the body of a NOTIFY (RFC 3420): the status line of the attempt."""
    return f"SIP/2.0 {status} {one_line(phrase)}\r\n".encode()


def _uri_of(value: str) -> str:
    bare = strip_quoted(value)
    if "<" not in bare:
        return bare.strip()
    uri, close, _ = bare.partition("<")[2].partition(">")
    if not close:
        raise TransferError(400, "a Refer-To whose bracket is not closed")
    return uri.strip()


def _parameter(host: str, wanted: str) -> str | None:
    for parameter in host.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == wanted:
            return value.strip().upper()
    return None


def _replaces_among(headers: str) -> Replaces | None:
    pairs = (pair.partition("=") for pair in headers.split("&"))
    found = [unquote(value) for name, _, value in pairs if unquote(name).strip().lower() == "replaces"]
    if len(found) > 1:
        raise TransferError(400, "a Refer-To with more than one Replaces")
    return parse_replaces(found[0]) if found else None
