"""What the pages' templates name in the program is there: a template is not compiled until somebody opens the page."""

import re
from pathlib import Path

import pytest

from recorder import web
from recorder.permissions import Act

TEMPLATES = sorted((Path(web.__file__).parent / "templates").glob("*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_what_a_template_asks_whether_somebody_may_is_an_act(path: Path) -> None:
    assert set(re.findall(r"\bcan\.(\w+)", path.read_text())) <= set(Act.__members__)


def test_templates_ask_for_acts() -> None:
    assert any("can.PLAY" in path.read_text() for path in TEMPLATES)
