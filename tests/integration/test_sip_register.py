"""The daemon registers, over UDP, with a password from a file. The rules of registration: tests/virtual."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import sip_process
from tests.helpers.recorder_home import RecorderHome, eventually, recorder_home

CHALLENGE = 'WWW-Authenticate: Digest realm="pbx", nonce="{}", qop="auth", algorithm=MD5\r\n'


def is_proven(request: Any, user: str, password: str) -> bool:
    said = dict(re.findall(r'(\w+)="?([^",]+)"?', request["Authorization"]))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    first, second = md5(f"{user}:{said['realm']}:{password}"), md5(f"{request.method}:{said['uri']}")
    expected = md5(f"{first}:{said['nonce']}:{said['nc']}:{said['cnonce']}:auth:{second}")
    return bool(said["username"] == user and said["response"] == expected)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:9", is_started=False) as made:
        yield made


def test_the_daemon_registers_shows_it_and_takes_it_back(home: RecorderHome) -> None:
    secret = home.root.parent / "pbx-password"
    secret.touch(0o600)
    secret.write_text("s3cret\n")
    with sip_process.Peer(home.sip) as peer:
        section = (
            f'[[register]]\nname = "pbx"\nregistrar = "127.0.0.1:{peer.port}"\nuser = "recorder"\n'
            f'password_file = "{secret}"\n\n[emergency]'
        )
        home.edit("[emergency]", section)
        home.start()
        peer.remote = home.sip
        first = peer.expect("REGISTER")
        peer.respond(first, 401, headers=CHALLENGE.format("n1"))
        second = peer.expect("REGISTER")
        assert is_proven(second, "recorder", "s3cret")
        peer.respond(second, 500)

        def line() -> Any:
            found = home.health()["registrations"][0]
            return found if found["last_status"] is not None else None

        assert eventually(line, "the failure shows")["is_registered"] is False
        assert home.health()["alarms"]["registration_failed"] == 1
        third = peer.expect("REGISTER")
        peer.respond(third, 200, headers=f"Contact: {third['Contact']};expires=600\r\n")
        found = eventually(lambda: home.health()["registrations"][0]["is_registered"], "the registration shows")
        assert found is True
        home.stop()
        assert peer.expect("REGISTER")["Expires"] == "0"
    assert "s3cret" not in home.said


def test_a_password_that_others_can_read_keeps_the_daemon_from_starting(home: RecorderHome) -> None:
    secret = home.root.parent / "pbx-password"
    secret.write_text("s3cret\n")
    secret.chmod(0o644)
    home.edit('auth_user = "off"', 'auth_user = "council"')
    home.edit('auth_password_file = "off"', f'auth_password_file = "{secret}"')
    said = home.run_apart("run", "-C", str(home.root))
    assert said.returncode == 2
    assert "can be read by others" in said.stderr
    assert "can be read by others" in home.run("site-check", "-C", str(home.root)).stdout
