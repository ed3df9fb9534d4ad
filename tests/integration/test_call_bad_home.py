"""A daemon that cannot start says why in a sentence, with the right exit code and no traceback."""

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.recorder_home import RecorderHome, recorder_home


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path_factory.mktemp("bad"), next_hop="127.0.0.1:5060", is_started=False) as home:
        yield home


def remove_node_key(home: RecorderHome) -> Path:
    return next(path for path in (home.root / "keys").rglob("*") if path.is_file() and "node" in str(path))


def newest_notice(home: RecorderHome) -> Path:
    return next((home.root / "notices").glob("*.wav"))


@pytest.mark.parametrize(
    ("victim", "content", "words", "code"),
    [
        (remove_node_key, None, ["key"], 2),
        (remove_node_key, b"\x00" * 7, ["key"], 2),
        (newest_notice, None, ["message", "cannot be read"], 2),
        (newest_notice, b"RIFF....WAVE", ["message"], 2),
        (lambda home: home.root / "notices" / "catalogue.json", None, ["message", "recorder notices import"], 2),
        (lambda home: home.root / "notices" / "catalogue.json", b"{", ["catalogue.json"], 2),
        (lambda home: home.config, b"[sip]\nlisten = 5060\n", ["line 2", "listen"], 2),
        (lambda home: home.config, b"[sip\n", ["recorder.toml", "line 1"], 2),
        (lambda home: home.config, b"\xff\xfe", ["recorder.toml"], 2),
        (lambda home: home.config, None, ["recorder.toml", "recorder init"], 2),
    ],
)
def test_a_part_that_is_missing_or_broken(
    made: RecorderHome, victim: Callable[[RecorderHome], Path], content: bytes | None, words: list[str], code: int
) -> None:
    path = victim(made)
    good, mode = path.read_bytes(), path.stat().st_mode
    try:
        path.unlink()
        if content is not None:
            path.write_bytes(content)
            path.chmod(mode)
        done = made.run_apart("run", "-C", str(made.root))
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert "╭" not in done.stderr, "a drawn traceback is one too"
        for word in words:
            assert word in done.stderr
    finally:
        path.write_bytes(good)
        path.chmod(mode)


def test_a_port_in_use_and_a_second_daemon(made: RecorderHome) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(made.sip)
        done = made.run_apart("run", "-C", str(made.root))
        assert done.returncode == 1
        assert f"cannot listen on 127.0.0.1:{made.sip[1]}" in done.stderr
    made.start()
    second = made.run_apart("run", "-C", str(made.root))
    assert second.returncode == 1
    assert "running" in second.stderr
    assert made.health()["status"] == "ok", "the first one is not disturbed"
    recover = made.run("recover", "-C", str(made.root))
    assert recover.returncode == 1
    assert "running" in recover.stderr
    assert made.stop() == 0


def test_live_commands_without_a_daemon_say_so(made: RecorderHome) -> None:
    for words in (["calls"], ["pause", "--extension", "2001"], ["reload"]):
        done = made.run(*words, "-C", str(made.root))
        assert done.returncode == 1
        assert "No daemon is running here" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_path_that_is_too_long_for_a_socket(made: RecorderHome, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 25)
    shutil.copytree(made.root, folder)
    done = made.run_apart("run", "-C", str(folder))
    assert done.returncode == 2
    assert "too long for the socket in it: move it to a shorter path" in done.stderr
    assert "is another program using it" not in done.stderr
