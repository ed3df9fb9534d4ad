"""The parsers that read what others wrote, each with what must hold of its result."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from audio import blocks as audio_blocks
from audio import dtmf
from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from sip import metadata, metadata_parser, offer_answer, recording_sdp, sdes, sdp, session_expires, siprec, stack_speed
from sip.digest import Credentials, answer, challenge_of
from sip.framing import Framed, StreamFramer
from sip.message import (
    MalformedMessageError,
    display_name,
    encode_for_wire,
    one_line,
    refusal,
    reply_port,
    split_values,
    user_part,
)
from sip.message_parser import parse_message
from sip.offer_answer import LocalStream
from sip.sanity import check_readable
from sip.sdp import SdpError, UnacceptableError
from sip.transfer import TransferError, parse_refer
from storage import runs, state_journal
from storage.audit_chain import checked_lines
from storage.audit_entry import line_of, parse_line
from storage.errors import DamagedError
from storage.format import ContainerScan, Footer, Frame, FrameType
from storage.rows import row_from_text, row_to_json
from tests.fuzz import core_target, seeds
from tests.fuzz.engine import Target
from tests.reference import rtp

DATA = Path(__file__).parents[1] / "data"
_OURS = LocalStream(ip="192.0.2.10", rtp_port=4000, session_id=7)
_SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _sip(data: bytes) -> None:
    message = parse_message(data)
    text = message.text_for_stack()
    again = parse_message(encode_for_wire(text))
    assert (again.method, again.status, again.body) == (message.method, message.status, message.body)
    for name in ("from", "to", "contact", "p-asserted-identity", "diversion"):
        for value in message.values(name):
            for part in split_values(value):
                assert "\n" not in user_part(part)
                display_name(part)
    message.option_tags("require")
    session_expires.asked(message)
    session_expires.min_se(message)
    if message.status is None:
        assert parse_message(refusal(message, 400, "Bad Request")).status == 400
        assert 0 <= reply_port(message, 5060) <= 65535


def _stack(data: bytes) -> None:
    check_readable(parse_message(data))


def _framing(data: bytes) -> None:
    whole, pieces = StreamFramer(), StreamFramer()
    frames = whole.feed(data)
    step = 1 + len(data) // 40
    assert [frame for at in range(0, len(data), step) for frame in pieces.feed(data[at : at + step])] == frames
    for frame in frames:
        if isinstance(frame, Framed):
            with contextlib.suppress(MalformedMessageError):
                parse_message(frame.data)


def _digest(data: bytes) -> None:
    challenge = challenge_of(one_line(data.decode("latin-1")), is_proxy=True)  # as a header comes
    if challenge is not None:
        account = Credentials(user='a"b', password="c")
        with contextlib.suppress(UnicodeEncodeError):
            said = answer(challenge, account, method="INVITE", uri="sip:x@y", count=1, cnonce="n")
            assert "\r" not in said
            assert "\n" not in said


def _refer(data: bytes) -> None:
    parse_refer(parse_message(data))


def _sdp(data: bytes) -> None:
    description = sdp.parse(data)
    written, media = offer_answer.answer(description, _OURS)
    assert len(sdp.parse(written.content).streams) == len(description.streams)
    assert 0 < media.remote_rtp_port <= 65535
    lines = recording_sdp.answer(description, _OURS.srtp, [_OURS] * len(description.streams))
    again = sdp.parse(recording_sdp.describe(_OURS, lines, record="on").content)
    assert len(again.streams) == len(description.streams)


def _crypto(data: bytes) -> None:
    crypto = sdes.read(data.decode("utf-8", "replace"))
    if crypto is not None:
        again = sdes.read(sdes.line(crypto).partition(":")[2])
        assert again is not None
        assert again.key == crypto.key


def _multipart(data: bytes) -> None:
    content_type, _, body = data.partition(b"\n")
    parts = siprec.take_apart(body, content_type.decode("latin-1"))
    if parts.metadata is not None:
        _metadata(parts.metadata)


def _metadata(data: bytes) -> None:
    found = metadata_parser.parse(data)
    merged = found.merged(found)
    assert merged.session_ids == found.session_ids
    for stream in ("1", "2", ""):
        found.senders(stream)


def _rtp(data: bytes) -> None:
    packet = rtp.parse_rtp(data)
    assert rtp.parse_rtp(rtp.build_rtp(packet)) == packet
    event = rtp.parse_event(packet.payload)
    assert rtp.parse_event(rtp.build_event(event)) == event


def _rtcp(data: bytes) -> None:
    assert len(rtp.parse_rtcp(data)) <= len(data) // 4


def _info(data: bytes) -> None:
    content_type, _, body = data.partition(b"\n")
    assert dtmf.parse_info_digit(content_type.decode("latin-1"), body) in (None, *dtmf.KEYS)


def _container(data: bytes) -> None:
    scan = ContainerScan(io.BytesIO(data))
    for frame in scan.frames():
        assert frame.end <= len(data)
        if frame.type is FrameType.FOOTER:
            Footer.parse(frame)


def _footer(data: bytes) -> None:
    Footer.parse(Frame(number=0, offset=0, type=FrameType.FOOTER, header=b"", ticks=0, body=data))


def _blocks(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert sum(len(run.payload) for run in runs.parse(data)) <= len(data)
    list(audio_blocks.decode_block(data))


def _row(data: bytes) -> None:
    row_to_json(row_from_text(data))


class _Files:
    """A file of a run's own that a reader is given; made anew for each input."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="recorder-fuzz-", dir=_SHM)
        self._path = Path(self._folder.name) / "input"

    def with_(self, read: Callable[[Path], object]) -> Callable[[bytes], None]:
        def run(data: bytes) -> None:
            self._path.write_bytes(data)
            read(self._path)

        return run


def _audit(path: Path) -> None:
    for number, offset, found in checked_lines(path, path.stat().st_size):
        assert number > 0
        assert offset >= 0
        if not isinstance(found, str):
            found.to_json()
    with contextlib.suppress(ValueError):
        parse_line(_with_hash(path.read_bytes()))


def _with_hash(content: bytes) -> bytes:
    """Return a line whose hash is right, so that what comes after the hash is looked at too."""
    head, number, rest = content.rpartition(b',"n":')
    digest = hashlib.sha256(head + number + rest).hexdigest().encode()
    return head + b',"hash":"' + digest + b'"' + number + rest


def _journal(path: Path) -> None:
    state_journal.read_states(path)
    lines = [line[8:] for line in path.read_bytes().split(b"\n")]
    path.write_bytes(b"\n".join(b"%08x%s" % (zlib.crc32(line), line) for line in lines))
    state_journal.read_states(path)


def _captures(*patterns: str) -> list[bytes]:
    return [path.read_bytes() for pattern in patterns for path in sorted(DATA.glob(pattern))]


def _footers() -> list[bytes]:
    scans = [ContainerScan(io.BytesIO(data)) for data in _captures("container-v*/*.rec")]
    return [frame.body for scan in scans for frame in scan.frames() if frame.type is FrameType.FOOTER]


def _audit_lines() -> list[bytes]:
    plain = {"n": 1, "at": "2026-11-24T09:30:00Z", "act": "call.pause", "actor": "alice", "subject": "x", "details": {}}
    return [
        json.dumps({**plain, "text": None, "prev": "0" * 64}, sort_keys=True, separators=(",", ":")).encode(),
        line_of({**plain, "text": None, "prev": "0" * 64}),
        b"".join(line_of({**plain, "n": n, "text": "0" * 64, "prev": "1" * 64}) for n in (1, 2, 3)),
    ]


def targets() -> Iterable[Target]:
    """Return every target."""
    stack_speed.install()
    files = _Files()
    malformed = (MalformedMessageError,)
    described = (SdpError, UnacceptableError)
    return [
        Target(name="sip", seeds=seeds.SIP, run=_sip, errors=malformed, files=("/sip/",), tokens=seeds.SIP_TOKENS),
        Target(
            name="sip-stack",
            seeds=seeds.SIP,
            run=_stack,
            errors=malformed,
            files=("/sip/sanity", "/sip/stack_", "/sippy/"),
            tokens=seeds.SIP_TOKENS,
        ),
        Target(
            name="framing",
            seeds=[*seeds.SIP, b"\r\n\r\n".join(seeds.SIP[:3])],
            run=_framing,
            files=("/sip/framing", "/sip/message"),
            tokens=seeds.SIP_TOKENS,
        ),
        Target(name="digest", seeds=seeds.CHALLENGES, run=_digest, files=("/sip/digest",), tokens=[b'"', b",", b"="]),
        Target(
            name="refer",
            seeds=seeds.REFERS,
            run=_refer,
            errors=(MalformedMessageError, TransferError),
            files=("/sip/transfer",),
            tokens=seeds.SIP_TOKENS,
        ),
        Target(name="sdp", seeds=seeds.SDP, run=_sdp, errors=described, files=("/sip/",), tokens=seeds.SDP_TOKENS),
        Target(name="crypto", seeds=seeds.CRYPTO, run=_crypto, files=("/sip/sdes",), tokens=seeds.SDP_TOKENS),
        Target(
            name="multipart",
            seeds=seeds.MULTIPART,
            run=_multipart,
            errors=(metadata.MetadataError,),
            files=("/sip/siprec", "/sip/metadata", "/sip/rs_xml"),
            tokens=[*seeds.XML_TOKENS, *seeds.MIME_TOKENS],
        ),
        Target(
            name="metadata",
            seeds=seeds.METADATA,
            run=_metadata,
            errors=(metadata.MetadataError,),
            files=("/sip/metadata", "/sip/rs_xml"),
            tokens=seeds.XML_TOKENS,
        ),
        Target(name="rtp", seeds=seeds.RTP, run=_rtp, errors=(rtp.MalformedPacketError,), files=("/reference/rtp",)),
        Target(name="rtcp", seeds=seeds.RTCP, run=_rtcp, errors=(rtp.MalformedPacketError,), files=("/reference/rtp",)),
        Target(name="info", seeds=seeds.INFO, run=_info, errors=(dtmf.InfoDigitError,), files=("/audio/dtmf",)),
        core_target.target(),
        Target(
            name="config",
            seeds=[seeds.config()],
            run=files.with_(read_config),
            errors=(ConfigError,),
            files=("/recorder/config",),
            tokens=seeds.TOML_TOKENS,
        ),
        Target(
            name="container",
            seeds=_captures("container-v*/*.rec"),
            run=_container,
            errors=(DamagedError,),
            files=("/storage/format",),
        ),
        Target(
            name="footer",
            seeds=_footers(),
            run=_footer,
            errors=(DamagedError,),
            files=("/storage/format",),
        ),
        Target(
            name="blocks",
            seeds=seeds.BLOCKS,
            run=_blocks,
            errors=(audio_blocks.MalformedBlockError,),
            files=("/audio/blocks", "/storage/runs"),
        ),
        Target(
            name="rows",
            seeds=seeds.rows(),
            run=_row,
            errors=(KeyError, TypeError, ValueError),  # as `StoredRows` takes them
            files=("/storage/rows", "/storage/types"),
            tokens=seeds.JSON_TOKENS,
        ),
        Target(
            name="audit",
            seeds=_audit_lines(),
            run=files.with_(_audit),
            files=("/storage/audit_",),
            tokens=seeds.JSON_TOKENS,
        ),
        Target(
            name="journal",
            seeds=[seeds.journal()],
            run=files.with_(_journal),
            files=("/storage/journal",),
            tokens=seeds.JSON_TOKENS,
        ),
    ]
