"""A letter as HTML, from its plain text; `recorder.exports.pdf` makes a tagged PDF with page numbers from it."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from recorder.rules.times import MONTHS, unbroken

_TEMPLATES = Path(__file__).parent / "templates"
_DAY = re.compile(rf"\b\d{{1,2}} (?:{'|'.join(MONTHS)}) \d{{4}}(?:, [\d:]+[ap]m)?", re.ASCII)
_TELEPHONE = re.compile(r"\b0\d{2,4} \d{3,4} \d{3,4}\b", re.ASCII)


def letter_html(text: str, *, site: str, title: str) -> str:
    """Return a letter as one HTML file without references to others.

    Days, times and telephone numbers do not break over two lines.

    Args:
        text: The letter. Empty lines part its paragraphs; the first and the last two keep their lines.
        site: Name of the council, the author of the file.
        title: Title of the file.
    """
    for pattern in (_DAY, _TELEPHONE):
        text = pattern.sub(lambda found: unbroken(found[0]), text)
    head, *paragraphs = [part for part in text.strip().split("\n\n") if part.strip()]
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("letter.html").render(
        site=site, title=title, head=head.splitlines(), paragraphs=paragraphs
    )
