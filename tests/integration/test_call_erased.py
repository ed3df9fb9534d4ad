"""From "I forgot to pause" to silence: the daemon takes the order, the console's process carries it out by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from storage.audit import AuditLog
from storage.erasures import Erasures
from storage.retention_types import ErasureState
from tests.helpers import preloaded
from tests.helpers.exactness import kept_of
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import HANGS_S, RecorderHome, eventually

EDITS = (("look_back_s = 5.0", "look_back_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.3"))
OFFICER = {"display_name": "alice", "roles": ["officer"], "extension": "2001"}


@contextmanager
def console_of(home: RecorderHome) -> Iterator[str]:
    """Run `recorder console` in a home; gives its address."""
    host, port = home.sip
    url = f"http://{host}:{port}"  # SIP has the UDP port of that number
    home.edit('[console]\nlisten = "off"', f'[console]\nlisten = "{host}:{port}"')
    console = preloaded.start(["console", "-C", str(home.root)], home.root.parent / "console.log")
    try:
        eventually(lambda: _answers(url), "the console answers")
        yield url
    finally:
        console.terminate()
        assert console.wait(HANGS_S) == 0 or console.returncode == -15


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/sign-in", timeout=HANGS_S).status_code == 200
    except httpx2.TransportError:
        return False


def forget(lines: Exchange, call: str, seconds: float) -> dict[str, Any]:
    body = {"seconds": seconds, "person": OFFICER}
    answer = lines.home.live.post(f"/api/calls/{call}/forgot", json=body, headers={"X-Recorder-Actor": "alice"})
    return dict(answer.raise_for_status().json()["erasure"])


def state_of(lines: Exchange, order: str) -> ErasureState:
    """Read an order as another process does."""
    index = open_index(Home(lines.home.root), read_config(lines.home.config))
    try:
        return Erasures(index.database).get(order).state
    finally:
        index.close()


def test_what_was_forgotten_is_gone_soon_after_the_call(tmp_path_factory: Any) -> None:
    with exchange(tmp_path_factory.mktemp("erased"), edits=EDITS) as lines, console_of(lines.home):
        talk = lines.call()
        call = talk.join()
        talk.talk_for(3.5)
        order = forget(lines, call, 1.5)
        assert order["state"] == "confirmed"
        talk.talk_for(2.5)
        assert state_of(lines, order["id"]) is ErasureState.CONFIRMED, "the call goes on: it waits"
        talk.hang_up()
        eventually(lambda: state_of(lines, order["id"]) is ErasureState.DONE, "the console carries the order out")
        shown = lines.home.json("show", call)
        assert shown["locked"] is False
        assert [one["state"] for one in shown["erasures"]] == ["done"]
        (erased,) = [s for s in shown["segments"] if s["kind"] == "erased"]
        assert (erased["start_s"], erased["reason"], erased["by"]) == (order["start_s"], "card_data", "alice")
        assert lines.home.json("verify", call)[0]["ok"] is True
        left, right, _ = lines.home.copy(call)
        for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
            assert max(end for _, end in kept.spans) <= order["start_s"] * 8000
            assert sum(end - start for start, end in kept.spans) > (order["start_s"] - 0.5) * 8000
        entries = [e for e in AuditLog(lines.home.root / "audit").entries() if e.subject == call]
        acts = [entry.act for entry in entries if entry.act != "recording.view"]
        assert acts[-1] == "erasure.done"
        assert acts.index("recording.forgot") < acts.index("erasure.done")
