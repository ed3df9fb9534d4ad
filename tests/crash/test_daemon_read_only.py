"""A file system becomes read-only, or fails, under a daemon and is mended: calls go on, and so does recording."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.shim import build_shim
from tests.helpers.exactness import heard_frames, is_gapless
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import eventually

_FAULT_BYTES = 1 + 4096
QUICK = (("look_back_s = 5.0", "look_back_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.2"))


class Fault:
    """What the file system of the daemon answers below a folder (`shim.c`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(_FAULT_BYTES))

    def set(self, number: int, folder: Path) -> None:
        """Have every step below a folder fail."""
        with self.path.open("r+b", buffering=0) as switch:
            os.pwrite(switch.fileno(), bytes(folder).ljust(_FAULT_BYTES - 1, b"\0"), 1)
            os.pwrite(switch.fileno(), bytes([number]), 0)  # last: from now on

    def end(self) -> None:
        """Have all succeed again."""
        with self.path.open("r+b") as switch:
            switch.write(b"\0")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Exchange, Fault]]:
    folder = tmp_path_factory.mktemp("faults")
    shim, fault = build_shim(folder), Fault(folder / "fault")
    with exchange(folder / "site", edits=QUICK, is_started=False) as lines:
        lines.home.start(before=("env", f"LD_PRELOAD={shim}", f"SHIM_FAULT={fault.path}"))
        yield lines, fault


def new_call(lines: Exchange) -> tuple[Talk, str]:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.4)
    return talk, recording


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "number", "reason"),
    [
        ("recordings", errno.EIO, "storage_fault"),
        ("keys/sealed", errno.EROFS, "disk_read_only"),
        ("", errno.EROFS, "disk_read_only"),
    ],
    ids=["recordings-failing", "keys-read-only", "everything-read-only"],
)
def test_a_folder_that_refuses_stops_no_call_and_is_forgiven(
    site: tuple[Exchange, Fault], folder: str, number: int, reason: str
) -> None:
    lines, fault = site
    home = lines.home
    known = {one["id"] for one in home.json("verify", "--all")}
    alarms = home.health()["alarms"].get(reason, 0)
    talk, recording = new_call(lines)
    eventually(lambda: list((home.root / "recordings").rglob("*.part")), "it is being recorded")
    talk.talk_for(2.0)  # more than the look-back: something is on the disk
    since_s = talk.left.sent[-1][1]
    fault.set(number, home.root / folder)
    other, _ = new_call(lines)
    eventually(lambda: home.health()["alarms"].get(reason, 0) > alarms, "there is an alarm")
    talk.talk_for(1.2)
    eventually(
        lambda: len(heard_frames(talk.left, talk.right, since_s=since_s)) > 50,
        "the conversation goes on",
    )
    assert is_gapless(heard_frames(talk.left, talk.right, since_s=since_s))
    for party in (talk, other):
        party.first.hang_up()
        party.first.wait_ended()
    fault.end()
    nothing = home.row_of(other.number)
    assert (nothing["outcome"], nothing["reason"], nothing["path"]) == ("failed", reason, None)
    row = home.row_of(talk.number)
    wanted = ("recorded", "caller_hung_up") if folder == "keys/sealed" else ("partial", reason)
    assert (row["outcome"], row["reason"]) == wanted
    eventually(lambda: home.row_of(talk.number)["path"], "it is closed by itself")
    again, _ = new_call(lines)
    again.first.hang_up()
    again.first.wait_ended()
    assert home.row_of(again.number)["outcome"] == "recorded"
    verified = {one["id"]: one for one in home.json("verify", "--all")}
    assert verified[recording]["ok"]
    assert len(verified.keys() - known) == 2
