"""No run of digits that could be a telephone number or a card leaves by the log, tracebacks included."""

import errno
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.common.logs import MASKED_FROM, JsonFormatter, MaskingFormatter, MaskingHandler, without_digits
from tests.helpers.extent import CHARACTERS

CARD, NUMBER = "4929123412341234", "+441632960555"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"INVITE sip:{NUMBER}@192.0.2.7 SIP/2.0", "INVITE sip:[12 digits]@192.0.2.7 SIP/2.0"),
        (f"invalid literal: '{CARD}'", "invalid literal: '[16 digits]'"),
        ("4929 1234 1234 1234", "[16 digits]"),
        ("4929-1234-1234-1234", "[16 digits]"),
        ("(01632) 960555", "([11 digits]"),
        ("+44 (0)1632 960555", "[13 digits]"),
        ("b'Signal=5\\r\\n49291'", "b'Signal=5\\r\\n[5 digits]'"),
        ("tel:01632960555;phone-context=x", "tel:[11 digits];phone-context=x"),
        ("x01632960555y", "x[11 digits]y"),
        ("call_01632960555_end", "call_[11 digits]_end"),
        ("12345", "[5 digits]"),
        (f"['{CARD}'] [{CARD}]", "['[16 digits]'] [[16 digits]]"),
        ("[::4929123412341234]", "[::[16 digits]]"),
        ("[::1]:506012345", "[::1]:[9 digits]"),
        ("https://console:184430", "https://console:[6 digits]"),
        ("https://01632960555:80", "https://[11 digits]:80"),
        ("https://a01632960555:80", "https://a[11 digits]:80"),
        ("http://tel-0163-296-0555.example:80", "http://tel-[11 digits].example:80"),
        ("server process [01632960555]", "server process [[11 digits]]"),
        ("sip:localhost:01632", "sip:localhost:[5 digits]"),
    ],
)
def test_numbers_are_masked(text: str, masked: str) -> None:
    assert without_digits(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "recording 20261125T034732Z-2001-2a8b58 cannot be kept",
        "call 20261125T034732Z-200100-123456: side a refused a re-offer with 488",
        "listening for SIP on 127.0.0.1:30000",
        "listening for SIP on [2001:db8::12]:30000",
        "since 2026-11-25T03:47:39.123456Z and 2026-11-25 03:47:39,123",
        "1000 calls, 3.25 s, 4 digits, 9999",
        "extension 2001",
        "the console listens on https://console.council.example:18443",
        "Started server process [123456]",
        "Uvicorn running on http://localhost:18080 (Press CTRL+C to quit)",
        "",
    ],
)
def test_what_the_log_is_for_stays_readable(text: str) -> None:
    assert without_digits(text) == text


@given(st.text(alphabet="0123456789 -+():.;@=\r\nabcZT", max_size=80), st.text("0123456789", min_size=12, max_size=19))
def test_a_card_number_is_masked_wherever_it_stands(around: str, card: str) -> None:
    # Letters and colons round it, so that it is no part of an id, a time or an address.
    assert card not in without_digits(f"{around}q{card}q{around}")


@pytest.mark.parametrize(
    "text", [f"2026-11-25-{CARD}", f"192.0.2.7:{CARD}", f"20261125T034732Z-2001-{CARD}", f"a{CARD}"]
)
def test_a_card_number_is_masked_even_where_something_that_stays_begins(text: str) -> None:
    assert CARD not in without_digits(text)


@given(st.text(CHARACTERS, max_size=200))
def test_masking_is_stable(text: str) -> None:
    once = without_digits(text)
    assert without_digits(once) == once


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(MaskingFormatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("test-of-masking")
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, written
    logger.handlers.clear()


def test_arguments_are_masked(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    logger.warning("from %s: %r", NUMBER, {"digits": CARD})
    assert written.getvalue() == "WARNING from [12 digits]: {'digits': '[16 digits]'}\n"


def test_a_traceback_is_masked_down_to_its_causes(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    try:
        try:
            int(f"x{CARD}")
        except ValueError as error:
            raise KeyError(NUMBER) from error
    except KeyError:
        logger.exception("failed")
    said = written.getvalue()
    assert "KeyError" in said
    assert "ValueError" in said
    assert CARD not in said
    assert NUMBER[1:] not in said


def test_a_traceback_that_another_handler_has_kept_is_not_used(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    plain = logging.StreamHandler(io.StringIO())
    logger.handlers.insert(0, plain)
    try:
        raise KeyError(NUMBER)
    except KeyError:
        logger.exception("failed")
    assert NUMBER[1:] in plain.stream.getvalue(), "the other handler does not mask: this test shows nothing"
    assert NUMBER[1:] not in written.getvalue()


def test_a_stack_is_masked(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    logger.warning("here", stack_info=True)
    assert "Stack" in written.getvalue()
    assert not [word for word in written.getvalue().split() if word.isdigit() and len(word) >= MASKED_FROM]


def test_json_is_one_object_a_line_and_masked(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    logger.handlers[0].setFormatter(JsonFormatter())
    logger.warning('from %s:\n"%s"', NUMBER, "Zoë")
    try:
        int(f"x{CARD}")
    except ValueError:
        logger.exception("failed", stack_info=True)
    first, second = (json.loads(line) for line in written.getvalue().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {
        "level": "WARNING", "logger": "test-of-masking", "thread": "MainThread",
        "message": 'from [12 digits]:\n"Zoë"',
    }  # fmt: skip
    assert second["exception"].startswith("Traceback")
    assert "ValueError" in second["exception"]
    assert "Stack" in second["stack"]
    assert CARD not in written.getvalue()


def test_a_line_stays_a_line_whatever_is_said(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    logger.handlers[0].setFormatter(JsonFormatter())
    said = "a\r\nb\x0b\x0c\x1c\x85\u2028\u2029\0\x1b[2J\udc80" + "x" * 100_000
    logger.warning("%s", said)
    (line,) = written.getvalue().splitlines()
    assert json.loads(line)["message"] == said
    line.encode("ascii")


_UNCAUGHT = f"""
import logging, sys, threading, warnings
from recorder.common.logs import log_to_stderr
log_to_stderr()
logging.getLogger("httpx2").info("HTTP Request: GET /find?number={NUMBER}")
thread = threading.Thread(target=lambda: int("t{CARD}"))
thread.start(); thread.join()
class Dying:
    def __del__(self): raise ValueError("d{CARD}")
Dying()
logging.getLogger("x").error("%d", "f{CARD}")
warnings.warn("w{CARD}")
int("m{CARD}")
"""


def test_uncaught_exceptions_and_warnings_go_to_the_masked_log() -> None:
    done = subprocess.run([sys.executable, "-c", _UNCAUGHT], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert len(re.findall(r"^ValueError: ", done.stderr, re.MULTILINE)) == 3, done.stderr
    for letter in "tdmw":
        assert f"{letter}[16 digits]" in done.stderr, letter
    assert CARD not in done.stderr + done.stdout
    assert "ERROR MainThread x: a message of <string>:11 could not be written" in done.stderr
    assert "HTTP Request" not in done.stderr


class FullDisk(io.StringIO):
    """A stream that refuses its first line, as a log on a full disk does, and takes the next again."""

    is_full = True

    def write(self, text: str) -> int:
        if self.is_full:
            self.is_full = False
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_log_that_cannot_be_written_is_not_told_so() -> None:
    stream = FullDisk()
    handler = MaskingHandler(stream)
    record = logging.makeLogRecord({"msg": "one of many", "levelno": logging.INFO})
    handler.handle(record)
    assert not stream.is_full
    assert stream.getvalue() == ""
    handler.handle(record)
    assert stream.getvalue() == "one of many\n"


def test_a_message_whose_argument_raises_an_error_of_the_system_is_said() -> None:
    class Gone:
        def __str__(self) -> str:
            raise OSError(errno.ENOENT, "No such file")

    stream = io.StringIO()
    MaskingHandler(stream).handle(logging.makeLogRecord({"msg": "%s", "args": (Gone(),), "filename": "here.py"}))
    assert "a message of here.py:0 could not be written" in stream.getvalue()


_SERVED = f"""
import asyncio, uvicorn
from recorder.common.logs import LogFormat, log_to_stderr, use_format
log_to_stderr()
use_format(LogFormat.JSON)
async def app(scope, receive, send): raise ValueError("a{CARD}")
async def main():
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started: await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    writer.write(b"GET /?{CARD} HTTP/1.0\\r\\n\\r\\n")
    await reader.read()
    server.should_exit = True
    await serving
asyncio.run(main())
int("m{CARD}")
"""


def test_all_lines_are_json_those_of_the_web_server_and_of_a_crash_included() -> None:
    done = subprocess.run([sys.executable, "-c", _SERVED], capture_output=True, text=True, timeout=30, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    served = [line for line in lines if line["logger"] == "uvicorn.error"]
    assert any("Started server process" in line["message"] for line in served)
    assert any("a[16 digits]" in line.get("exception", "") for line in served)
    assert lines[-1]["level"] == "CRITICAL"
    assert "m[16 digits]" in lines[-1]["exception"]
    assert CARD not in done.stderr
