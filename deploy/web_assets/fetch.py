"""Copies what the console's pages take from npm into recorder/web/static/vendor: `make setup` runs it.

package-lock.json names the releases and their hashes (docs/adr/0060-govuk-frontend.md). npm is needed here only:
sdist, wheels and the Debian package contain the files.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENDOR = HERE.parents[1] / "recorder/web/static/vendor"
GOVUK = "govuk-frontend/dist/govuk"
WAVESURFER = "wavesurfer.js/dist"
FILES = {
    "govuk-frontend.min.css": f"{GOVUK}/govuk-frontend.min.css",
    "govuk-frontend.min.js": f"{GOVUK}/govuk-frontend.min.js",
    "wavesurfer.esm.js": f"{WAVESURFER}/wavesurfer.esm.js",
    "wavesurfer.regions.esm.js": f"{WAVESURFER}/plugins/regions.esm.js",
    "wavesurfer.LICENSE": "wavesurfer.js/LICENSE",
}
_FONT_FACE = re.compile(r"/\*! Copyright [^*]*\*/|@font-face\{[^}]*\}")
_FONT = "GDS Transport,"
_CREST = re.compile(r"url\(/assets/images/[^)]*\)")


def without_gov_uk_font(css: str) -> str:
    """Return the stylesheet without GDS Transport and the crest, which are licensed to gov.uk domains alone.

    Raises:
        ValueError: The stylesheet still asks for a font or an image.
    """
    css = _CREST.sub("none", _FONT_FACE.sub("", css).replace(_FONT, ""))
    if "url(" in css.replace("url(data:", "") or "GDS Transport" in css:
        raise ValueError("govuk-frontend's stylesheet has a font or an image that fetch.py does not know")
    return css


def fetch(modules: Path, vendor: Path) -> None:
    """Copy the files of the npm packages in ``modules`` into ``vendor``, which is made anew."""
    unfinished = vendor.with_name("vendor.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, source in FILES.items():
        text = (modules / source).read_text(encoding="utf-8")
        (unfinished / name).write_text(without_gov_uk_font(text) if name.endswith(".css") else text, encoding="utf-8")
    shutil.copy(HERE / "govuk-frontend.LICENSE", unfinished)  # the npm package has none
    shutil.rmtree(vendor, ignore_errors=True)
    unfinished.rename(vendor)


def main() -> None:
    """Install the locked releases into a temporary folder, by hash, and copy their files."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is missing: it brings the stylesheet of the console. On Debian: apt-get install npm")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        subprocess.run(  # noqa: S603 - fixed words
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            check=True, cwd=folder, stdin=subprocess.DEVNULL, stdout=sys.stderr,
        )  # fmt: skip
        fetch(Path(folder) / "node_modules", VENDOR)


if __name__ == "__main__":
    main()
