"""Inputs to begin with, and words of each language."""

import json
import struct
import zlib
from datetime import date

from recorder.config import config_file
from recorder.rules.policy import Extension
from sip import sdes
from sip.options import Address
from tests.helpers.siprec_shapes import SHAPES, Call, Who
from tests.helpers.torture import TORTURE
from tests.reference.rtp import RtpPacket, TelephoneEvent, build_event, build_rtp

SDP_TEXT = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 9 101\r\n"
    b"a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
)
SDP = [
    SDP_TEXT,
    SDP_TEXT.replace(b"IP4 192.0.2.1\r\nt=", b"IP6 2001:db8::1\r\nt=") + b"a=rtcp:4009\r\na=label:1\r\n",
    SDP_TEXT
    + b"m=video 0 RTP/AVP 31\r\nm=image 4002 udptl t38\r\nm=audio 4004 RTP/SAVP 8\r\na=inactive\r\na=label:2\r\n",
    SDP_TEXT.replace(b"4000 RTP/AVP", b"4000/2 RTP/SAVP")
    + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA|2^31|1:4\r\n",
    SDP_TEXT.replace(b"192.0.2.1\r\ns", b"0.0.0.0\r\ns").replace(b"sendrecv", b"sendonly"),
]
SDP_TOKENS = [
    b"m=audio ",
    b"c=IN IP4 ",
    b"c=IN IP6 ::",
    b"a=rtpmap:",
    b"a=ptime:",
    b"a=crypto:",
    b"a=label:",
    b"a=rtcp:",
    b"\r\n",
    b"\n",
    b"0.0.0.0",
    b"/127",
    b"RTP/SAVP",
    b"udptl",
    b"inline:",
    b"|2^48",
    b"|1:128",
    b"=",
    b"a=recvonly",
]
CRYPTO = [sdes.line(crypto).partition(":")[2].encode() for crypto in sdes.offered()] + [
    b"1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA|2^31|1:4 KDR=1 -WSH=64"
]
_INVITE = (
    b"INVITE sip:2001@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKa;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b'f: "A \\"B\\", C" <sip:1@x>;tag=ft\r\nTo: <sip:2001@x>;tag=tt\r\ni: id@192.0.2.9\r\nCSeq: 7 INVITE\r\n'
    b"m: <sip:1@192.0.2.9;Transport=UDP>\r\nRecord-Route: <sip:192.0.2.8;lr>\r\n"
    b"Diversion: <sip:1@x>;\r\n\treason=busy\r\n"
    b"P-Asserted-Identity: <sip:2001@x>, <tel:+441>\r\nSession-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\n"
    b"Supported: timer, 100rel\r\nContent-Type: application/sdp\r\n"
)
SIP = [
    _INVITE + b"Content-Length: %d\r\n\r\n" % len(SDP_TEXT) + SDP_TEXT,
    *(torture.data for torture in TORTURE),
]
_REFER = (
    _INVITE.replace(b"INVITE", b"REFER")
    + b"Refer-To: <sip:2002@192.0.2.7?Replaces=id%40x%3Bto-tag%3Da%3Bfrom-tag%3Db>\r\nReferred-By: <sip:2001@x>\r\n"
    + b"Content-Length: 0\r\n\r\n"
)
REFERS = [_REFER, _REFER.replace(b"<sip:2002", b"<tel:+44").replace(b"Refer-To", b"r")]
CHALLENGES = [
    b'Digest realm="pbx", nonce="abc==", opaque="x", algorithm=SHA-256, qop="auth,auth-int", stale=TRUE',
    b'digest realm = "a\\"b",nonce=abc',
    b"Basic realm=x",
]
SIP_TOKENS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"Via: SIP/2.0/UDP ",
    b"From: ",
    b"To: ",
    b"Contact: *\r\n",
    b"Content-Length: ",
    b"CSeq: ",
    b";tag=",
    b";branch=",
    b'"',
    b"<",
    b">",
    b"<sip:",
    b"\\",
    b",",
    b";",
    b"@",
    b"%00",
    b"%",
    b"[::1]",
    b"[",
    b"SIP/2.0",
    b"ACK",
    b"CANCEL",
    b"Route: ",
    b"Record-Route: ",
    b"\xe2\x80\xa8",
    b"tel:",
    b"Max-Forwards: ",
    b"=",
]
_CALL = Call(caller=Who(user="+441632960001", name="Ann", label="96"), officer=Who(user="2001", name="Bob", label="97"))
_BODIES = [packing(SDP_TEXT, document(_CALL)) for document, packing in SHAPES.values()]
MULTIPART = [content_type.encode() + b"\n" + content for content, content_type in _BODIES]
_BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><recording xmlns="urn:ietf:params:xml:ns:recording:1">&c;</recording>'
)
_FILE = (
    b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><recording xmlns="urn:ietf:params:xml:ns:recording:1">'
    b"<dataMode>&x;</dataMode></recording>"
)
_DEEP = b"<recording xmlns='urn:ietf:params:xml:ns:recording:1'>" + b"<a>" * 2000
_MANY = (
    b"<recording xmlns='urn:ietf:params:xml:ns:recording:1' " + b" ".join(b"a%d='x'" % i for i in range(3000)) + b"/>"
)
METADATA = [document(_CALL).encode() for document, _ in SHAPES.values()] + [_BOMB, _FILE, _DEEP, _MANY]
XML_TOKENS = [
    b"<",
    b">",
    b"/>",
    b"</",
    b"<!DOCTYPE r [",
    b"<!ENTITY a '",
    b"&a;",
    b"&#0;",
    b"&#x10FFFF;",
    b"<![CDATA[",
    b"]]>",
    b"<?xml version='1.0' encoding='",
    b"UTF-16'?>",
    b"cp037'?>",
    b"xmlns:x='",
    b"<participant participant_id='",
    b"<stream stream_id='",
    b"<nameID aor='",
    b"<dataMode>partial</dataMode>",
    b"<send>",
    b"<label>",
    b"<!--",
    b"\x00",
]
MIME_TOKENS = [
    b"--",
    b"boundary=",
    b'boundary="',
    b"multipart/mixed;",
    b"\r\n--",
    b"Content-Type: ",
    b"Content-Transfer-Encoding: base64",
    b"quoted-printable",
    b"application/rs-metadata+xml",
    b"application/sdp",
    b"\r\n\r\n",
]
RTP = [
    build_rtp(RtpPacket(payload_type=8, sequence=1, timestamp=160, ssrc=7, payload=b"\xd5" * 160)),
    build_rtp(
        RtpPacket(
            payload_type=101,
            sequence=65535,
            timestamp=2**32 - 1,
            ssrc=2**32 - 1,
            csrcs=(1, 2),
            padding_bytes=4,
            payload=build_event(TelephoneEvent(event=10, is_end=True, volume=63, duration=65535)),
            is_marked=True,
            extension=(0xBEDE, b"\0" * 8),
        )
    ),
]
_REPORT = struct.pack("!BBHIQIII", 0x81, 200, 12, 7, 1 << 40, 160, 1, 160) + struct.pack("!IIIIII", 9, 0, 5, 1, 2, 3)
RTCP = [
    _REPORT,
    struct.pack("!BBHI", 0x9F, 201, 1 + 6 * 31, 7) + _REPORT[28:] * 31,
    _REPORT
    + struct.pack("!BBHI", 0x81, 202, 4, 7)
    + b"\x01\x06a@bcde\x00\x00\x00\x00"
    + struct.pack("!BBHI", 0x81, 203, 1, 7),
    struct.pack("!BBHI", 0xA1, 201, 1, 7),
]
INFO = [
    b"application/dtmf-relay\nSignal=5\r\nDuration=160\r\n",
    b"application/dtmf\n#",
    b"application/dtmf-relay;x=1\nsignal = 10",
]
BLOCKS = [
    struct.pack("<BBBBIQQ", 1, 0, 8, 0, 4, 0, 0)
    + b"\xd5" * 4
    + struct.pack("<BBBBIQQ", 2, 1, 0, 0, 160, 4, 20_000_000),
    struct.pack("<BBBBIQQ", 3, 1, 0, 0, 160, 4, 0) + struct.pack("<BBBBIQQ", 1, 1, 9, 0, 8, 2**63, 0) + b"\0" * 8,
]
TOML_TOKENS = [
    b"[",
    b"]]",
    b"[[peer]]\n",
    b"[sip]\n",
    b"= ",
    b'"',
    b"'''",
    b"\n",
    b"1e400",
    b"-1",
    b"nan",
    b"inf",
    b"true",
    b'"off"',
    b"{}",
    b"[1, 2]",
    b"1979-05-27",
    b"\\u0000",
    b"=[[[[[[[[",
    b"a.b.c = 1\n",
]
JSON_TOKENS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b",",
    b"null",
    b"1e999",
    b"NaN",
    b"true",
    b"\\u0000",
    b"\\ud800",
    b"\n",
    b"[" * 900,
]


def config() -> bytes:
    """Return the file that `recorder init` writes."""
    answers = config_file.Answers(
        site="Wold", timezone="Europe/London", sip=Address(host="192.0.2.10"), next_hop=Address(host="192.0.2.20"),
        extensions=(Extension(number="2001", operator="alice", service="Revenues"),), media_ports=(30000, 33999),
        console=None, admin="founder", decided_by="A. Manager",
    )  # fmt: skip
    return config_file.text(answers, date(2026, 11, 26)).encode()


def rows() -> list[bytes]:
    """Return rows of the index as they are stored."""
    row = {
        "id": "20261124T093000Z-2001-0a1b2c", "outcome": "recorded", "reason": "caller_hung_up", "direction": "inbound",
        "extension": "2001", "operator": "alice", "service": "Revenues", "caller": "0163", "called": "2001",
        "started_at": "2026-11-24T09:30:00Z", "ended_at": "2026-11-24T09:31:00+00:00", "duration_s": 60.0,
        "codecs": ["PCMA", "PCMU"], "segments": [{"start_s": 0, "end_s": 1.5, "kind": "paused", "reason": "agent"}],
        "notice": {"id": "first", "sha256": "0" * 64, "started_at": "2026-11-24T09:30:00Z", "ended_at": None,
                   "complete": True, "proof": "heard", "second_message": False},
        "archived": {"format": "flac", "at": "2026-11-25T09:30:00Z", "sha256": "0" * 64, "bytes": 5},
        "peaks": ["AAAA", ""],
    }  # fmt: skip
    return [json.dumps(row).encode(), json.dumps({"id": row["id"], "outcome": "failed"}).encode()]


def journal() -> bytes:
    """Return a journal of states with two lines."""
    lines = [json.dumps({"n": n, "set": {"a": {"b": n}}}, separators=(",", ":")).encode() for n in (1, 2)]
    return b"".join(b"%08x%s\n" % (zlib.crc32(line), line) for line in lines)
