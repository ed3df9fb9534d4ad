"""The benchmark of the sweep, tiny, on both engines; and the removal of many names."""

import errno
import json
import os
from pathlib import Path

import pytest

from benchmarks.sweep import main
from storage import bulk_unlink
from storage.bulk_unlink import TouchedFolders, remove_empty_days, unlink_all


@pytest.mark.parametrize(
    ("due", "words"), [(150, ()), pytest.param(600, ("--postgres",), marks=pytest.mark.long)],
    ids=["sqlite", "postgresql"],
)  # fmt: skip
def test_the_benchmark_runs(
    capsys: pytest.CaptureFixture[str], open_folder: Path, due: int, words: tuple[str, ...]
) -> None:
    assert main(["--recordings", str(due), "--kept", "40", "--folder", str(open_folder), "--json", *words]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["left"] == {"containers": 40, "keys": 40, "rows": 40, "tombstones": due}
    assert document["resident_kb"]["at_the_end"] > 0
    assert document["per_second"] > 0
    assert list(open_folder.iterdir()) == [], "it left something behind"


def test_wrong_usage_and_no_room(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--recordings", "0"])
    assert caught.value.code == 2
    assert main(["--recordings", "10000000000", "--folder", str(tmp_path)]) == 1
    assert "has no room" in capsys.readouterr().err


@pytest.mark.parametrize("count", [3, 400], ids=["few", "many"])
def test_every_name_goes_or_says_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    real, paths = os.unlink, [str(tmp_path / f"{number}.rec") for number in range(count)]
    for path in paths[:-1]:
        Path(path).touch()

    def unlink(path: str) -> None:
        if path == paths[1]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(path)

    monkeypatch.setattr(os, "unlink", unlink)
    removed = unlink_all(paths)
    assert removed.keys() == set(paths[:-1]), "one was not there"
    assert [path for path, error in removed.items() if error is not None] == [paths[1]]
    assert list(tmp_path.iterdir()) == [Path(paths[1])]


def test_folders_that_are_over_go_when_they_are_empty_and_the_rest_is_synced_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(bulk_unlink, "sync_folder", lambda folder: synced.append(str(folder.relative_to(tmp_path))))
    for name in ("2026/08/24/k1", "2026/08/24/k2", "2026/08/25/k1", "2026/11/24/k1"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "2026/08/25/k1/other.rec").touch()
    touched = TouchedFolders(tmp_path)
    for name in ("2026/08/24/k1", "2026/08/24/k2", "2026/08/25/k1", "2026/08/25/k1"):
        touched.add(tmp_path / name, is_over=True)
    touched.add(tmp_path / "2026/11/24/k1", is_over=False)
    assert len(touched) == 4
    touched.settle()
    assert len(touched) == 0
    assert sorted(synced) == ["2026/08", "2026/08/25/k1", "2026/11/24/k1"]
    assert sorted(path.name for path in tmp_path.glob("2026/*/*")) == ["24", "25"]
    touched.settle()
    assert len(synced) == 3


def test_empty_days_go_and_today_stays(tmp_path: Path) -> None:
    for name in ("2025/12/31/k1", "2026/08/24/k1", "2026/08/25/k1", "2026/11/24/k1", "2026/11/25/k1", "2026/07"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "2026/08/25/k1/other.rec").touch()
    (tmp_path / "lost+found").mkdir()
    remove_empty_days(tmp_path, before="20261125")
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("**/*"))
    assert left == [
        "2026", "2026/08", "2026/08/25", "2026/08/25/k1", "2026/08/25/k1/other.rec", "2026/11", "2026/11/25",
        "2026/11/25/k1", "lost+found",
    ]  # fmt: skip
