"""Logging of the recorder's processes, as text or JSON, with masking as the last defence against numbers and digits.

The first defence is that messages name calls by their ids. But an exception may quote its input, and a library may
print its arguments. So every record, tracebacks included, is masked here: each run of five digits or more becomes ``[11
digits]``. Recording ids (which contain the extension), times, and addresses with ports, of URLs too, are not masked.
Counts of five digits are masked too; a rule with more exceptions could miss a number.
"""

import contextlib
import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import TextIO

MASKED_FROM = 5
"""Shortest run of digits that is masked. Extensions and durations mostly have fewer, phone numbers and cards more."""

_FORM = "%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"
_DIGITS = rf"\+?\d(?:[ \-()]{{0,2}}\d){{{MASKED_FROM - 1},}}"
_KEPT = (
    r"(?<![0-9A-Za-z])\d{8}T\d{6}Z-[0-9A-Za-z+_]{1,32}-[0-9a-f]{6}(?![0-9a-f])",  # a recording id
    r"(?<!\d)\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?(?!\d)",
    r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\d.])",
    rf"https?://(?![A-Za-z0-9.\-]*{_DIGITS})"  # a name with a port
    r"[A-Za-z](?:[A-Za-z.\-]|(?<!\d)\d{1,4}(?!\d))*:\d{1,5}(?!\d)",
    r"(?<=server process \[)\d{1,7}(?=\])",  # as uvicorn says at start and end
    r"\[(?:[0-9a-fA-F]{0,4}:){2,7}(?:[0-9a-fA-F]{0,4}|\d{1,3}(?:\.\d{1,3}){3})\](?::\d{1,5})?(?!\d)",
)
_PATTERN = re.compile("|".join([f"(?:{kept})" for kept in _KEPT]) + f"|(?P<digits>{_DIGITS})")
_QUIET = ("httpx2", "httpcore2", "asyncio", "multipart", "python_multipart", "sqlalchemy.engine")
"""Libraries that log their input at INFO or DEBUG: addresses with queries, statements, bodies."""


class LogFormat(StrEnum):
    """How the log is written."""

    TEXT = "text"
    JSON = "json"


def without_digits(text: str) -> str:
    """Return a text with every run of digits that could be a phone or card number replaced by its length.

    Spaces, hyphens and brackets between digits do not end a run. Single digits cannot be recognised: the code that
    writes a message must keep them out.
    """
    return _PATTERN.sub(_replaced, text)


def _replaced(match: re.Match[str]) -> str:
    digits = match["digits"]
    return match[0] if digits is None else f"[{sum(char.isdigit() for char in digits)} digits]"


class MaskingFormatter(logging.Formatter):
    """Formats as usual, then masks the whole record: message, traceback and stack."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line with its message masked; time and thread name are safe."""
        record.message = without_digits(record.message)
        return super().formatMessage(record)

    def formatException(  # noqa: N802 - logging's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """Return the traceback, masked, because an exception's message may quote its input."""
        return without_digits(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Return the stack, masked."""
        return without_digits(super().formatStack(stack_info))

    def format(self, record: logging.LogRecord) -> str:
        """Return the record; a traceback cached by another handler is not used."""
        kept, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = kept


class JsonFormatter(MaskingFormatter):
    """Writes each record as one JSON object on one line, masked.

    Members: ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``thread``, ``message``, and ``exception`` or ``stack``,
    the traceback as text, if the record has one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {
            "time": at,
            "level": record.levelname,
            "logger": record.name,
            "thread": record.threadName,
            "message": without_digits(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line)  # in ASCII: no separator of lines in Unicode ends it, and half a surrogate is no fault


class MaskingHandler(logging.StreamHandler[TextIO]):
    """Writes to standard error; a record that cannot be formatted is said with its place, not with its arguments."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. Where the log cannot be written, as on a full disk, it is lost, and nothing is added."""
        try:
            line = self.format(record)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - a message's arguments may be anything
            self.handleError(record)
            return
        with contextlib.suppress(OSError, ValueError):  # ValueError: standard error is closed
            self.stream.write(line + self.terminator)
            self.flush()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Write where the record was made, and the error, masked; the standard library would print the arguments."""
        said = logging.LogRecord(
            record.name, logging.ERROR, record.pathname, record.lineno,
            "a message of %s:%d could not be written", (record.filename, record.lineno), sys.exc_info(),
        )  # fmt: skip
        with contextlib.suppress(Exception):  # a standard error that is closed: there is nowhere to say so
            self.stream.write(self.format(said) + self.terminator)
            self.flush()


_FORMATTERS = {LogFormat.TEXT: lambda: MaskingFormatter(_FORM), LogFormat.JSON: JsonFormatter}


def use_format(form: LogFormat) -> None:
    """Write the log that `log_to_stderr` began in another format from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, MaskingFormatter):
            handler.setFormatter(_FORMATTERS[form]())


def is_json() -> bool:
    """Tell whether this process writes its log as JSON."""
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


def log_to_stderr(form: LogFormat = LogFormat.TEXT, *, is_verbose: bool = False) -> None:
    """Send every log of this process to standard error, masked, with uncaught exceptions.

    Args:
        form: The format of the lines.
        is_verbose: Log signalling: start lines of SIP, never bodies.
    """
    handler = MaskingHandler(sys.stderr)
    handler.setFormatter(_FORMATTERS[form]())
    root = logging.getLogger()
    for other in list(root.handlers):
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("sip").setLevel(logging.DEBUG if is_verbose else logging.NOTSET)
    logging.captureWarnings(capture=True)
    log = logging.getLogger("recorder.uncaught")
    sys.excepthook = lambda kind, value, trace: _log_uncaught(log, "main", kind, value, trace)
    threading.excepthook = lambda args: _log_uncaught(
        log, args.thread.name if args.thread else "?", args.exc_type, args.exc_value, args.exc_traceback
    )
    sys.unraisablehook = lambda args: _log_uncaught(
        log, "an object's end", args.exc_type, args.exc_value, args.exc_traceback
    )


def _log_uncaught(
    log: logging.Logger,
    where: str,
    kind: type[BaseException],
    value: BaseException | None,
    trace: TracebackType | None,
) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    log.critical("uncaught in %s", where, exc_info=(kind, value or kind(), trace))
