"""Makes tagged PDF (PDF/UA-1) from HTML in a separate process.

The typesetting library loads C libraries and reads text that callers chose. So it must not share memory with private
keys: it runs in its own process and gets the page on standard input.
"""

import ctypes.util
import gc
import subprocess
import sys
from types import TracebackType

from storage.errors import ExportError

ANSWER_S = 1800.0
"""Timeout for one page; a page with a thousand recordings takes minutes."""
_READY = b"ready\n"


class PdfPrinter:
    """A process that typesets one page; start it before long work, so that missing packages are reported first.

    Raises:
        ExportError: The process cannot be started.
    """

    def __init__(self) -> None:
        arguments = [sys.executable, "-P", "-m", "recorder.exports.pdf"]  # -P: import nothing from the current folder
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != _READY:
            raise ExportError(
                f"PDF cannot be made here: {self._complaint()}; install the packages that the Makefile lists"
            )

    def __enter__(self) -> "PdfPrinter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def print(self, html: str) -> bytes:
        """Return a page as PDF.

        Raises:
            ExportError: The page cannot be typeset.
        """
        try:
            pdf, complaints = self._process.communicate(html.encode(), timeout=ANSWER_S)
        except subprocess.TimeoutExpired as error:
            raise ExportError(f"the PDF took more than {ANSWER_S:.0f} s") from error
        if self._process.returncode != 0:
            raise ExportError(f"the PDF cannot be made: {_last_line(complaints)}")
        return pdf

    def _complaint(self) -> str:
        self._process.kill()
        return _last_line(self._process.communicate()[1])


def _last_line(complaints: bytes) -> str:
    lines = complaints.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it ended without a message"


def _not_found(name: str) -> str | None:
    return None


def _main() -> None:
    gc.disable()  # what is loaded is no garbage
    # WeasyPrint tries the names of other systems first, and to look for those starts the compiler: seventy programs.
    ctypes.util.find_library = _not_found
    from weasyprint import HTML  # noqa: PLC0415 - only in the process that is made for it
    from weasyprint.urls import URLFetcher  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    page = HTML(string=sys.stdin.buffer.read().decode(), url_fetcher=URLFetcher(allowed_protocols=()))
    sys.stdout.buffer.write(page.write_pdf(pdf_variant="pdf/ua-1"))


if __name__ == "__main__":
    _main()
