"""A request to a daemon in virtual time takes no virtual time, however long it takes in real time."""

import threading
import time
from pathlib import Path

import pytest

from recorder.control import bodies
from recorder.control.peercred import user_name
from tests.helpers.virtual.exchange import exchange

SLOW_S = 0.2


def test_who_asks_is_found_at_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with exchange(tmp_path) as lines:
        monkeypatch.setattr(bodies, "_known", {})

        def slowly(client: tuple[str, int]) -> str | None:
            threading.Event().wait(SLOW_S)  # of the machine's time
            return user_name(client)

        monkeypatch.setattr(bodies, "user_name", slowly)
        asked_s = time.monotonic()
        assert lines.home.calls() == []
        assert time.monotonic() - asked_s < 0.01
