"""The site of the hand check: the addresses of docs/integration, the recorder, and what is heard in its recordings."""

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio.codecs import ALAW_TO_LINEAR, MULAW_TO_LINEAR
from tests.helpers.networks import Network
from tests.helpers.recorder_home import Edits, RecorderHome, eventually, tone_file
from tests.peers.pbx.telephone import RATE, Telephone

RECORDER, PBX, CARRIER = "192.0.2.10", "192.0.2.20", "198.51.100.7"
DESKS = {"2001": "192.0.2.101", "2002": "192.0.2.102", "2003": "192.0.2.103"}
"""2001 is alice's and 2002 is bob's, both nominated; 2003 is not."""
EXTENSIONS = ("2001:alice:Revenues", "2002:bob:Revenues", "2800:queue:Queue")
CALLER = "01632960123"
PAGES = Path(__file__).parents[3] / "docs" / "integration"
TONES = {
    "trunk": (400, 520, 460), "2001": (700, 820, 760), "2002": (900, 960, 1020), "2003": (1300, 1420, 1360),
}  # fmt: skip
"""Hz that each says before the pause, during it, and after it. 1100 Hz would be a fax."""
BEFORE, PAUSED, AFTER = 0, 1, 2
_LOUD = 0.05
_BLOCK = RATE // 10
_WINDOW = np.hanning(_BLOCK)
"""Else the edge of a tone is heard as other tones."""


def snippets(page: str, language: str) -> list[str]:
    """Return the code blocks of a page in a language, in their order, as they are written."""
    text = (PAGES / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def network() -> Network:
    """Return a network of this check's own that has every address of the site."""
    made = Network()
    for address in (RECORDER, PBX, CARRIER, *DESKS.values()):
        made.ip(f"address add {address}/32 dev lo")
    return made


class RecorderSite(RecorderHome):
    """The recorder beside the PBX, made by `recorder init`, with the keys of a new site."""

    def __init__(self, folder: Path, *, over_tcp: bool, edits: Edits = ()) -> None:
        super().__init__(
            folder, next_hop=f"{PBX}:5060", host=RECORDER, extensions=EXTENSIONS, is_started_anew=True,
            edits=(('keys = "*1"', 'keys = "*5"'), ('keys = "*2"', 'keys = "*6"'), *edits),
        )  # fmt: skip
        self.edit(f'"{RECORDER}:{self.sip[1]}"', f'"{RECORDER}:5060"')
        if over_tcp:
            self.edit('listen_tcp = "off"', f'listen_tcp = "{RECORDER}:5060"')
            self.edit(f'targets = ["{PBX}:5060"]', f'targets = ["tcp:{PBX}:5060"]')
        before, name, queue = self.config.read_text().partition('name = "Queue"')
        assert name
        queue = queue.replace('notice_when = "before_ring"', 'notice_when = "after_answer"', 1)
        self.config.write_text(before + name + queue)
        self._filed: set[str] = set()
        self._tones: dict[float, Path] = {}

    def new_rows(self) -> list[dict[str, Any]]:
        """Wait until no call is left; returns what was filed since this was asked before, oldest first."""
        eventually(lambda: not self.calls(), "every call is over", timeout_s=60)
        time.sleep(1.0)
        rows = [row for row in self.rows() if row["id"] not in self._filed]
        self._filed |= {row["id"] for row in rows}
        return rows[::-1]

    def heard_in(self, recording: str) -> list[dict[str, tuple[float, ...]]]:
        """Return for each channel of a recording, caller first, for how many seconds it has each tone of each party."""
        left, right, said = self.exported(recording)
        to_linear = ALAW_TO_LINEAR if said["law"] == "alaw" else MULAW_TO_LINEAR
        return [tones_in(to_linear[np.frombuffer(channel, np.uint8)] / 32768) for channel in (left, right)]

    def have_say(self, phone: Telephone, when: int) -> None:
        """Have a telephone say its tone of a part of the call from now on."""
        hz = TONES[phone.name][when]
        if hz not in self._tones:
            self._tones[hz] = tone_file(self.root.parent / f"{hz}.wav", hz, 1)
        phone.do("say", wav=str(self._tones[hz]))


def tones_in(samples: NDArray[np.float64]) -> dict[str, tuple[float, ...]]:
    """Return for how many seconds there is each tone of each party; parties of whom nothing is heard are left out."""
    found = {name: tuple(_seconds_of(samples, hz) for hz in tones) for name, tones in TONES.items()}
    return {name: seconds for name, seconds in found.items() if any(seconds)}


def heard_by(phone: Telephone) -> dict[str, tuple[float, ...]]:
    """Return what a telephone has heard in all its calls; the header of its file may not say yet how long it is."""
    content = phone.heard.read_bytes()[44:]
    return tones_in(np.frombuffer(content[: len(content) // 2 * 2], "<i2") / 32768)


def _seconds_of(samples: NDArray[np.float64], hz: float) -> float:
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    wave = _WINDOW * np.exp(-2j * np.pi * hz * np.arange(_BLOCK) / RATE)
    return float((2 * np.abs(blocks @ wave) / _WINDOW.sum() > _LOUD).sum()) / 10
