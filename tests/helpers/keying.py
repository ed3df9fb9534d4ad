"""Keys by every carrier, as phones and gateways send them: events, tones in band, and SIP INFO after its tone."""

import enum
import time
from dataclasses import dataclass

import numpy as np

from audio.codecs import encode
from audio.types import Codec
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Call
from tests.helpers.voices import FRAME, NEVER_SILENT, PCMU, TICKS_PER_S, Voice

TONE_MS = 100
_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_PAD = "123A456B789C*0#D"
_LEAD = 3 * FRAME
"""A tone is put so far ahead of what was sent last: the frames before it may be on their way already."""


class Carrier(enum.StrEnum):
    """How a key goes over the wire."""

    EVENT = "rfc4733"
    RELAY = "application/dtmf-relay"
    PLAIN = "application/dtmf"
    NORTEL = "application/vnd.nortelnetworks.digits"
    TONE = "in-band"

    @property
    def has_tone(self) -> bool:
        """Tell whether the voice holds the tone; a gateway that sends INFO has heard it in band."""
        return self is not Carrier.EVENT


@dataclass(frozen=True, slots=True)
class Pressed:
    """A key that was pressed.

    Attributes:
        start: First tick of the voice that the key takes up.
        end: Tick after the last one.
        info: What the voice's clock showed when the INFO was sent and when it was answered, ticks, or None.
    """

    start: int
    end: int
    info: tuple[int, int] | None = None


def tone(key: str, law: int, ms: int = TONE_MS) -> bytes:
    """Return a key's tone, -9 dBm0 per frequency, in a law; never the byte of silence."""
    place = _PAD.index(key)
    ticks = np.arange(ms * TICKS_PER_S // 1000)
    waves = [np.sin(2 * np.pi * hz * ticks / TICKS_PER_S) for hz in (_ROWS[place // 4], _COLUMNS[place % 4])]
    samples = (8000 * (waves[0] + waves[1])).astype(np.int16)
    return encode(Codec.PCMU if law == PCMU else Codec.PCMA, samples).translate(NEVER_SILENT)


def info_of(carrier: Carrier, key: str) -> bytes:
    """Return the body of an INFO for a key."""
    if carrier is Carrier.NORTEL:
        return f"p=Digit-Collection\r\ny=Digits\r\ns=success\r\nd={key}\r\n".encode()
    return f"Signal={key}\r\nDuration={TONE_MS}\r\n".encode() if carrier is Carrier.RELAY else key.encode()


def put_tone(voice: Voice, key: str, *, at: int | None = None) -> Pressed:
    """Have a voice sound a key's tone, soon or at a tick, in the place of what it would say."""
    sound = tone(key, voice.law)
    start = voice.sent[-1][0] + _LEAD if at is None else at
    assert start > voice.sent[-1][0] + FRAME, "that has been said already"
    voice.stream = voice.stream[:start] + sound + voice.stream[start + len(sound) :]
    return Pressed(start, start + len(sound))


def press(voice: Voice, leg: Call, key: str, carrier: Carrier, *, at: int | None = None) -> Pressed:
    """Press a key and return once all of it is sent; with ``at`` the tone, or the event, begins at that tick."""
    if carrier is Carrier.EVENT:
        return _press_event(voice, key, at)
    pressed = put_tone(voice, key, at=at)
    wait_said(voice, pressed.end)
    if carrier is Carrier.TONE:
        return pressed
    before, asked_s = len(leg.replies_to("INFO")), time.monotonic()
    leg.request("INFO", info_of(carrier, key), carrier.value)
    leg.wait_for(lambda call: len(call.replies_to("INFO")) > before, 5)
    return Pressed(pressed.start, pressed.end, (voice.clock_at(asked_s), voice.clock_at(time.monotonic())))


def _press_event(voice: Voice, key: str, at: int | None) -> Pressed:
    if at is not None:
        wait_said(voice, at - FRAME)
    before = len(voice.pressed)
    voice.press(key, ms=TONE_MS)
    eventually(lambda: len(voice.pressed) > before, "the key was pressed", timeout_s=3)
    _, start, end = voice.pressed[before]
    return Pressed(start, end)


def wait_said(voice: Voice, tick: int) -> None:
    """Wait until a voice has sent everything before a tick.

    What is left is told by the voice's clock: while an event takes the place of audio, no audio is sent.
    """
    deadline = time.monotonic() + 20
    while voice.sent[-1][0] + FRAME < tick:
        assert time.monotonic() < deadline, "the voice does not go on"
        left_s = (tick - FRAME - voice.clock_at(time.monotonic())) / TICKS_PER_S
        time.sleep(max(0.005, left_s - 0.02))  # in virtual time each look settles the world
