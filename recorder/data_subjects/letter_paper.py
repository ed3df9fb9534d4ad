"""Letters on paper: the text of a letter as HTML and PDF, with page numbers, dates on one line. Pure but for printing."""

import re
from html import escape

from recorder.common.problems import ProblemError
from recorder.exports.pdf import PdfPrinter
from recorder.rules.times import MONTHS, unbroken
from storage.errors import ExportError

_DAY = rf"\d{{1,2}} (?:{'|'.join(MONTHS)}) \d{{4}}"
_TOGETHER = re.compile(rf"{_DAY}(?:, \d{{1,2}}(?::\d\d)?[ap]m)?|\b0\d{{2,4}} \d{{3,4}}(?: \d{{3,4}})?\b")
"""A day, perhaps with a time of day, or a telephone number: each stays on one line."""
_STYLE = """
@page { size: A4; margin: 25mm 25mm 22mm; @bottom-right {
content: "Page " counter(page) " of " counter(pages); font: 9pt "DejaVu Sans", Arial, sans-serif; } }
html { font: 11pt/1.45 "DejaVu Sans", Arial, sans-serif; color: #0b0c0c; }
p { margin: 0 0 1em; orphans: 2; widows: 2; overflow-wrap: anywhere; }
.lines { white-space: pre-line; }
"""


def pdf_of(text: str, *, title: str) -> bytes:
    """Return a letter as tagged PDF.

    Args:
        text: The letter, paragraphs separated by empty lines.
        title: Title of the document.

    Raises:
        ProblemError: 503, PDF cannot be made on this machine.
    """
    try:
        with PdfPrinter() as printer:
            return printer.print(paper_of(text, title=title))
    except ExportError as error:
        raise ProblemError(
            503, "The letter cannot be made as PDF. Download it as text, and ask ICT to look."
        ) from error


def paper_of(text: str, *, title: str) -> str:
    """Return a letter as an HTML page for print; lines of its head and its end stay lines."""
    blocks = [block for block in text.strip().split("\n\n") if block.strip()]
    ends = (0, len(blocks) - 1)
    paragraphs = "\n".join(_paragraph(block, is_lines=place in ends) for place, block in enumerate(blocks))
    return (
        f'<!DOCTYPE html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{paragraphs}\n</body>\n</html>\n"
    )


def _paragraph(block: str, *, is_lines: bool) -> str:
    text = block.strip() if is_lines else " ".join(block.split())
    kept = _TOGETHER.sub(lambda found: unbroken(found[0]), text)
    kind = ' class="lines"' if is_lines else ""
    return f"<p{kind}>{escape(kept)}</p>"
