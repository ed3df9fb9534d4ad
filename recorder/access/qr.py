"""QR codes, drawn here: a second factor's secret goes to no other machine's service."""

import io

import segno


def svg_of(text: str, *, title: str) -> str:
    """Return a text as a QR code: an SVG element to stand in a page, without styles or scripts.

    Args:
        text: At most a few hundred characters.
        title: What it is, in words, for who does not see it.
    """
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=False, nl=False, scale=5, border=4, light="white", title=title
    )
    return drawn.getvalue().decode()
