"""Recording metadata and bodies in the shapes in which real SIPREC clients send them.

Each shape was written from what a client's documents, or reports of its users, say that it does; none is a copy. A
shape is a document for two parties, and the way in which it is put beside the session description.
"""

from collections.abc import Callable
from dataclasses import dataclass

RFC = "urn:ietf:params:xml:ns:recording:1"
DRAFT = "urn:ietf:params:xml:ns:recording"


@dataclass(frozen=True, kw_only=True)
class Who:
    """A party as a client names it."""

    user: str
    name: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a document is about."""

    caller: Who
    officer: Who
    session: str = "Zh3kRkWLTrSXn9qTC4rBsA=="
    group: str = "Gp0TzXQhT1aFNJxpVpYcTg=="
    sip_session: str = "ab30317f1a784dc48ff824d0d3715d86"


def rfc(call: Call, *, namespace: str = RFC, mode: str = "complete", host: str = "example.net") -> str:
    """The document of RFC 7865, for two parties."""
    people = "".join(
        f"<participant participant_id='p-{who.label}'>"
        f"<nameID aor='sip:{who.user}@{host}'><name xml:lang='en'>{who.name}</name></nameID></participant>"
        for who in (call.caller, call.officer)
    )
    streams = "".join(
        f"<stream stream_id='s-{who.label}' session_id='{call.session}'><label>{who.label}</label></stream>"
        for who in (call.caller, call.officer)
    )
    sessions = "".join(
        f"<participantsessionassoc participant_id='p-{who.label}' session_id='{call.session}'>"
        "<associate-time>2026-11-26T09:00:00Z</associate-time></participantsessionassoc>"
        for who in (call.caller, call.officer)
    )
    ways = "".join(
        f"<participantstreamassoc participant_id='p-{me.label}'>"
        f"<send>s-{me.label}</send><recv>s-{other.label}</recv></participantstreamassoc>"
        for me, other in ((call.caller, call.officer), (call.officer, call.caller))
    )
    return (
        f"<?xml version='1.0' encoding='UTF-8'?>\r\n<recording xmlns='{namespace}'>\r\n<datamode>{mode}</datamode>"
        f"<group group_id='{call.group}'><associate-time>2026-11-26T09:00:00Z</associate-time></group>"
        f"<session session_id='{call.session}'><sipSessionID>{call.sip_session};"
        "remote=47755a9de7794ba387653f2099600ef2</sipSessionID>"
        f"<group-ref>{call.group}</group-ref><start-time>2026-11-26T09:00:00Z</start-time></session>"
        f"{people}{streams}{sessions}{ways}</recording>\r\n"
    ).replace("datamode", "dataMode")


def prefixed(call: Call) -> str:
    """Every element with a prefix, as Sonus and Ribbon do, and the namespace without its version."""
    text = rfc(call, namespace=DRAFT).replace("xmlns=", "xmlns:tns=")
    for tag in ("recording", "dataMode", "group-ref", "session", "participant", "nameID", "name", "stream", "label"):
        text = text.replace(f"<{tag}>", f"<tns:{tag}>").replace(f"<{tag} ", f"<tns:{tag} ")
        text = text.replace(f"</{tag}>", f"</tns:{tag}>")
    for tag in ("participantsessionassoc", "participantstreamassoc", "send", "recv", "group"):
        text = text.replace(f"<{tag}>", f"<tns:{tag}>").replace(f"<{tag} ", f"<tns:{tag} ")
        text = text.replace(f"</{tag}>", f"</tns:{tag}>")
    return text


def undeclared(call: Call) -> str:
    """The same with a prefix that nobody declared."""
    return prefixed(call).replace(f" xmlns:tns='{DRAFT}'", "")


def oracle(call: Call) -> str:
    """An SBC's own elements between those of the RFC, with ids and prefixes of their own."""
    extra = (
        "<apkt:extensiondata xmlns:apkt='http://acmepacket.com/siprec/extensiondata'>"
        "<apkt:callingParty>true</apkt:callingParty><apkt:participant participant_id='x'/>"
        "<apkt:header><apkt:label>X-UCID</apkt:label><apkt:value><![CDATA[0002&<FA0804>]]></apkt:value></apkt:header>"
        "</apkt:extensiondata></participant>"
    )
    return rfc(call).replace("</participant>", extra)


def avaya(call: Call) -> str:
    """Names in CDATA, ids of the drafts, children for attributes, a blank or two."""
    text = rfc(call, namespace=DRAFT)
    for who in (call.caller, call.officer):
        text = text.replace(f">{who.name}<", f"> <![CDATA[{who.name}]]> <")
        text = text.replace(f"<participant participant_id='p-{who.label}'>", f"<participant id='p-{who.label}'>\n")
        text = text.replace(f"<stream stream_id='s-{who.label}'", f"<stream id='s-{who.label}'")
    return text.replace("<session session_id=", "<session id=")


def draft(call: Call) -> str:
    """A draft of 2012: the participant says itself what it sends, the address is an element."""
    return (
        f"<recording xmlns='{DRAFT}'><dataMode>complete</dataMode><session id='{call.session}'/>"
        + "".join(
            f"<participant id='p-{who.label}' session='{call.session}'><nameID><aor>sip:{who.user}@pbx.example</aor>"
            f"<name>{who.name}</name></nameID><send>s-{who.label}</send></participant>"
            f"<stream id='s-{who.label}' session='{call.session}'><label>{who.label}</label></stream>"
            for who in (call.officer, call.caller)
        )
        + "</recording>"
    )


def misspelled(call: Call) -> str:
    """Tags that are nearly right, with languages."""
    return rfc(call).replace("<name xml:lang='en'>", "<naSRCme xml:lang='it'>").replace("</name>", "</naSRCme>")


def tel(call: Call) -> str:
    """Addresses of record as tel URIs, and parameters in SIP ones."""
    text = rfc(call)
    for who in (call.caller, call.officer):
        if who.user.startswith("+"):
            text = text.replace(f"sip:{who.user}@example.net", f"tel:{who.user};phone-context=example.net")
        else:
            text = text.replace(f"sip:{who.user}@example.net", f"sip:{who.user}@192.0.2.7:5060;user=phone")
    return text


Document = Callable[[Call], str]
Body = tuple[bytes, str]
"""Content and content type."""


def packed(
    sdp: bytes,
    metadata: str,
    *,
    boundary: str = "OSS-unique-boundary-42",
    content_type: str = "multipart/mixed;boundary={boundary}",
    metadata_type: str = "application/rs-metadata+xml",
    metadata_first: bool = False,
    is_closed: bool = True,
    ending: bytes = b"\r\n",
    extra: bytes = b"",
    preamble: bytes = b"",
    colon: bytes = b": ",
) -> Body:
    """Put a session description and a document into one body."""
    line, mark = ending, b"--" + boundary.encode()
    one = mark + line + b"Content-Type" + colon + b"application/sdp" + line * 2 + sdp + line
    two = (
        mark + line + b"Content-Type" + colon + metadata_type.encode() + line
        + b"Content-Disposition" + colon + b"recording-session" + line * 2 + metadata.encode() + line
    )  # fmt: skip
    three = mark + line + extra + line if extra else b""
    parts = two + one if metadata_first else one + two
    end = mark + b"--" + line if is_closed else b""
    return preamble + parts + three + end, content_type.replace("{boundary}", boundary)


Packing = Callable[[bytes, str], Body]

SHAPES: dict[str, tuple[Document, Packing]] = {
    "RFC 8068": (rfc, packed),
    "Cisco CUBE": (
        rfc,
        lambda sdp, text: packed(
            sdp, text, boundary="uniqueBoundary", content_type="multipart/mixed;boundary={boundary}"
        ),
    ),
    "Avaya": (
        avaya,
        lambda sdp, text: packed(
            sdp, text, metadata_type="application/rs-metadata", metadata_first=True,
            content_type='multipart/mixed; boundary="{boundary}"',
        ),
    ),
    "Oracle": (
        oracle,
        lambda sdp, text: packed(
            sdp, text, boundary="unique-boundary-1", content_type="multipart/mixed; boundary={boundary}",
            preamble=b"\r\n", is_closed=True,
        ),
    ),
    "Ribbon": (prefixed, lambda sdp, text: packed(sdp, text, boundary="sonus-content-delim")),
    "Ribbon without the declaration": (undeclared, lambda sdp, text: packed(sdp, text, is_closed=False)),
    "AudioCodes": (
        rfc,
        lambda sdp, text: packed(
            sdp, text, boundary="boundary_ac1f04", metadata_type="application/rs-metadata",
            content_type="multipart/mixed;boundary={boundary}",
        ),
    ),
    "BroadWorks": (
        draft,
        lambda sdp, text: packed(
            sdp, text, boundary="UniqueBroadWorksBoundary", metadata_type="application/rs-metadata+xml;charset=utf-8"
        ),
    ),
    "Genesys": (
        tel,
        lambda sdp, text: packed(
            sdp, text, colon=b":", extra=b"Content-Type:application/x-genesys-recmetadata\r\n"
            b"Content-Disposition:recording-session;handling=optional\r\n\r\n<x/>",
        ),
    ),
    "OpenSIPS": (rfc, packed),
    "Metaswitch": (
        misspelled,
        lambda sdp, text: packed(
            sdp, text, boundary="==Metaswitch.1/2?", content_type='multipart/mixed;boundary="{boundary}"',
            preamble=b"this is a message with multiple parts in MIME format\r\n",
        ),
    ),
    "line feeds alone": (rfc, lambda sdp, text: packed(sdp, text, ending=b"\n")),
    "a wrong type": (rfc, lambda sdp, text: packed(sdp, text, metadata_type="text/xml")),
}  # fmt: skip
