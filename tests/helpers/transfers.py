"""Transfers seen from the outside: who is called in, what the transferor is told, who can be heard in the file."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tests.helpers.exactness import SILENT_ALAW
from tests.helpers.exchange import Talk, user_of
from tests.helpers.recorder_home import HANGS_S, eventually
from tests.helpers.sip_peer import Answer, Call, State
from tests.helpers.voices import Voice


@dataclass
class Newcomer:
    """Somebody who will be called in the place of a party.

    Attributes:
        number: Who.
        voice: What they say.
        calling: The number that calls them.
    """

    talk: Talk
    number: str
    voice: Voice
    calling: str
    leg: Call | None = field(default=None)

    def wait(self, *, timeout_s: float = HANGS_S) -> Call:
        """Wait until they are called."""
        self.leg = eventually(self._called, f"{self.number} is called", timeout_s=timeout_s)
        return self.leg

    def join(self) -> Call:
        """Wait until they have answered, and have them talk."""
        leg = self.wait()
        leg.wait_for(lambda call: call.state is State.CONFIRMED, HANGS_S)
        self.voice.talk(leg.remote_media)
        return leg

    def _called(self) -> Call | None:
        return next((call for call in self.talk.exchange.offered() if self._is_mine(call)), None)

    def _is_mine(self, call: Call) -> bool:
        return f"sip:{self.number}@" in call.invite.uri and user_of(call.invite) == self.calling


def expect_newcomer(talk: Talk, number: str, *, calling: str = "", answer: Answer | None = None) -> Newcomer:
    """Be ready for a call to a number in the place of a party of a talk."""
    voice, calling = talk.exchange.studio.voice(), calling or talk.number
    plan = answer or Answer(after_s=0.05)
    talk.exchange.newcomers[number, calling] = replace(plan, media=plan.media or voice.media())
    return Newcomer(talk, number, voice, calling)


def refer(leg: Call, to: str, *headers: tuple[str, str]) -> None:
    """Ask for a transfer; ``to`` is a number, or a whole address."""
    address = to if ":" in to else f"sip:{to}@pbx.invalid"
    leg.request("REFER", headers=(("Refer-To", f"<{address}>"), *headers))


def wait_told(leg: Call, status: int, *, timeout_s: float = HANGS_S) -> None:
    """Wait until the transferor is told how it ended; fails if it is anything else."""

    def final() -> int:
        return next((s for s in told(leg) if s >= 200), 0)

    found = eventually(final, f"the transferor is told {status}", timeout_s=timeout_s)
    assert found == status, f"told {told(leg)}"


def told(leg: Call) -> list[int]:
    """Return the statuses that the transferor was told, in order."""
    return [int(one.body.split()[1]) for one in leg.requests("NOTIFY")]


def replaces(leg: Call) -> str:
    """Return the Replaces by which one names its own dialog with the recorder to somebody else (RFC 5589)."""
    local, remote = (_tag(address) for address in (leg.local, leg.remote))
    return f"{leg.call_id}%3Bto-tag%3D{remote}%3Bfrom-tag%3D{local}"


def _tag(address: str) -> str:
    return address.partition(";tag=")[2].partition(";")[0]


def said(channel: bytes, voices: Sequence[Voice], *, silence: int = SILENT_ALAW) -> list[tuple[Voice, int, int]]:
    """Return who can be heard in a channel, in order, with start and end as positions; neighbours of one are one.

    Fails if there is a byte that is neither silence nor what one of the voices said.
    """
    values = np.frombuffer(channel, np.uint8)
    heard = np.flatnonzero(values != silence)
    found: list[tuple[Voice, int, int]] = []
    at = int(heard[0]) if heard.size else len(channel)
    while at < len(channel):
        voice, tick = _speaker(channel[at : at + 16], voices, at)
        length = min(len(channel) - at, len(voice.stream) - tick)
        same = values[at : at + length] == np.frombuffer(voice.stream, np.uint8)[tick : tick + length]
        end = at + (length if same.all() else int(np.argmin(same)))
        if found and found[-1][0] is voice:
            found[-1] = (voice, found[-1][1], end)
        else:
            found.append((voice, at, end))
        later = heard[np.searchsorted(heard, end) :]
        at = int(later[0]) if later.size else len(channel)
    return found


def speakers(channel: bytes, voices: Sequence[Voice]) -> list[Voice]:
    """Return who can be heard in a channel, in order."""
    return [voice for voice, _, _ in said(channel, voices)]


def _speaker(sample: bytes, voices: Sequence[Voice], at: int) -> tuple[Voice, int]:
    for voice in voices:
        tick = voice.stream.find(sample)
        if tick >= 0:
            return voice, tick
    raise AssertionError(f"what stands at position {at} was said by nobody")
