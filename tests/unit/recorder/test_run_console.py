"""What a console says at its start."""

from pathlib import Path

import pytest

from recorder.service.run_console import warn_of_missing_style
from recorder.web.page_templates import STYLE


def test_a_checkout_without_the_files_of_npm_says_what_to_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    warn_of_missing_style(tmp_path / STYLE.name)
    assert "govuk-frontend.min.css is missing" in caplog.text
    assert "`make setup`" in caplog.text


def test_a_console_whose_style_was_fetched_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_missing_style(STYLE)
    assert caplog.text == ""
