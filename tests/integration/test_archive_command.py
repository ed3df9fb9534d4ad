"""`recorder recordings archive`: what a person at the shell sees."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recorder.cli.cli import app
from recorder.permissions import Role
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.storage_home import ID
from tests.integration.test_bad_containers import BadSite


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as made:
        made.add_person("ian", Role.ICT)
        yield made


def as_ict(home: RecorderHome) -> tuple[str, ...]:
    return ("--as", "ian", "--password-file", str(home.password_file))


def run(home: RecorderHome, *words: str) -> Result:
    result = CliRunner().invoke(app, ["recordings", "archive", *words, "-C", str(home.root)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_it_is_off_until_somebody_decides(home: RecorderHome) -> None:
    result = run(home, "--dry-run")
    assert result.exit_code == 1
    assert "after_days in [archive]" in " ".join(result.stderr.split())


def test_dry_run_then_run(home: RecorderHome) -> None:
    site = BadSite(home)
    home.edit('after_days = "off"', "after_days = 1")
    content = site.path.read_bytes()
    result = run(home, "--dry-run", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {
        "recordings": 1, "bytes": len(content), "after_days": 1, "format": "flac",
    }  # fmt: skip
    assert site.path.read_bytes() == content
    refused = run(home)
    assert refused.exit_code == 2
    assert "--as NAME" in " ".join(refused.stderr.split())
    assert site.path.read_bytes() == content
    assert "Roles that do: ICT" in " ".join(run(home, *home.as_admin()).stderr.split())
    assert site.path.read_bytes() == content
    done = run(home, "--json", *as_ict(home))
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["recordings"] == 1
    shown = json.loads(site.run("show", ID, "--json").stdout)
    assert shown["archived"]["original_sha256"] == site.row.sha256
    assert json.loads(site.run("verify", ID, "--json").stdout)[0]["ok"] is True
    assert run(home, "--dry-run").stderr.startswith("0 recordings of 0 bytes are due")


def test_a_node_without_the_private_keys_cannot(home: RecorderHome) -> None:
    site = BadSite(home)
    home.edit('after_days = "off"', "after_days = 1")
    content = site.path.read_bytes()
    (home.root / "private").rename(home.root.parent / "elsewhere")
    result = run(home, *as_ict(home))
    assert result.exit_code == 1
    assert "run this where the private keys are" in " ".join(result.stderr.split())
    assert site.path.read_bytes() == content
