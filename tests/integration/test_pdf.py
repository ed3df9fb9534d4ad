"""The process that typesets: what it starts, and that it makes a page all the same."""

from pathlib import Path

import pytest

from recorder.exports.pdf import PdfPrinter

PROGRAMS = ("gcc", "cc", "ld", "ldconfig", "objdump")


def test_it_looks_for_its_libraries_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    for name in PROGRAMS:
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "$0 $*" >> {told}\nexit 1\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with PdfPrinter() as printer:
        assert printer.print("<p lang=en>A page</p>").startswith(b"%PDF-")
    assert not told.exists(), told.read_text()
