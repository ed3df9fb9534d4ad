"""QR codes, made locally, because a second factor's secret must not go to another service."""

import io

import segno


def svg_of(text: str, *, title: str) -> str:
    """Return a QR code of a text: an SVG element for a page, without styles or scripts.

    Args:
        text: At most a few hundred characters.
        title: Description for people who do not see it.
    """
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=False, nl=False, scale=5, border=4, light="white", title=title
    )
    return drawn.getvalue().decode()
