"""A letter as a page: escaped, in paragraphs, with days that stay on one line and numbered pages."""

import io
from datetime import date

import pypdf

from recorder.data_subjects.letters import ROUTES, written
from recorder.exports.letter_sheet import letter_html
from recorder.exports.pdf import PdfPrinter

BODY = f"We received your request on 5 November 2026, 5:46am.\n\nThe reasons are: <script>x</script>\n\n{ROUTES}"


def html(body: str = BODY) -> str:
    text = written(body, site="A & B Council", today=date(2026, 11, 28), reference="SAR-2026-0001", to="J. Doe")
    return letter_html(text, site="A & B Council", title="SAR-2026-0001 Refusal")


def test_a_letter_is_escaped_and_its_days_do_not_break() -> None:
    page = html()
    assert "<script>" not in page
    assert "<h1>A &amp; B Council</h1>" in page
    assert "28\xa0November\xa02026\nOur reference: SAR-2026-0001</p>" in page
    assert "on 5\xa0November\xa02026,\xa05:46am." in page
    assert "0303\xa0123\xa01113" in page
    assert "Dear J. Doe</p>" in page
    assert page.index("Yours sincerely") < page.rindex("A &amp; B Council")


def test_a_long_letter_has_numbered_pages() -> None:
    with PdfPrinter() as printer:
        pdf = pypdf.PdfReader(io.BytesIO(printer.print(html("\n\n".join([BODY] * 6)))))
    count = len(pdf.pages)
    assert count > 1
    texts = [page.extract_text() for page in pdf.pages]
    assert [f"Page {number} of {count}" in text for number, text in enumerate(texts, 1)] == [True] * count
    assert pdf.metadata is not None
    assert pdf.metadata.title == "SAR-2026-0001 Refusal"
