"""What is asked of one leg of a relay: prompts, digits, tones, and its counters."""

from collections.abc import Mapping, Sequence

from audio._relay import Core
from audio.leg_statistics import LegStatistics
from audio.types import Codec, DtmfPolicy, LegId, Prompt


class LegControls:
    """Controls of the legs of one media core. Unknown or closed ids raise KeyError, impossible values ValueError.

    Args:
        core: The core, which its owner closes; a closed one raises RuntimeError.
        codecs: The codec that each leg is sent; its owner keeps it.
    """

    def __init__(self, core: Core, codecs: Mapping[LegId, Codec]) -> None:
        self._core = core
        self._codecs = codecs

    def play(self, leg: LegId, prompt: Prompt, *, tag: int, loop: bool = False) -> None:
        """Play a prompt to a leg in place of the bridge; PromptEnded with ``tag`` follows, also for one it replaces."""
        codec = self._codecs.get(leg)
        if codec is None:
            raise ValueError("play: the leg has no media yet")
        self._core.play(leg, prompt.audio[codec], tag=tag, loop=loop)

    def stop(self, leg: LegId) -> None:
        """Stop the prompt that plays on a leg, if any."""
        self._core.stop(leg)

    def mute(self, leg: LegId, is_muted: bool) -> None:
        """Keep what a leg says from the other side; it is recorded all the same."""
        self._core.mute(leg, is_muted)

    def set_dtmf(self, leg: LegId, policy: DtmfPolicy, control: Sequence[str] = (), secret: Sequence[str] = ()) -> None:
        """Set what becomes of digits that arrive on a leg; an entry that is under way is broken off.

        Args:
            leg: The leg.
            policy: MASK also holds the leg's audio back by about 50 ms, so that a tone is silenced before it goes on.
            control: On a HOLD_STAR leg, sequences such as ``*1`` that are withheld and reported.
            secret: On a HOLD_STAR leg, prefixes such as ``*9``: every key after one is withheld from the other side
                and silenced in the recording, until ``#`` or 10 s without a key; SecretEntered follows.
        """
        self._core.dtmf_policy(leg, policy, control, secret)

    def detect_tones(self, leg: LegId, is_on: bool) -> None:
        """Listen for tones in the audio of a leg: digits and fax."""
        self._core.detect_tones(leg, is_on)

    def report_voice(self, leg: LegId, is_on: bool) -> None:
        """Report `VoiceHeard` while somebody speaks on a leg whose tones are listened for."""
        self._core.report_voice(leg, is_on)

    def send_dtmf(self, leg: LegId, digit: str, duration_ms: int = 160) -> None:
        """Send an RFC 4733 event on a leg, after those that wait; ValueError if none was negotiated.

        Args:
            leg: The leg.
            digit: One of ``0-9 * # A-D``.
            duration_ms: In [40, 8000].
        """
        self._core.send_dtmf(leg, digit, duration_ms)

    def statistics(self, leg: LegId) -> LegStatistics:
        """Return the counters of a leg."""
        return LegStatistics.of(self._core.leg_statistics(leg))

    def silence_s(self, leg: LegId) -> float:
        """Return the seconds since a leg's peer last sent anything, or since it was bridged or began to receive."""
        return self._core.leg_silence(leg) / 1_000_000_000

    def has_waiting_packets(self, leg: LegId) -> bool:
        """Tell whether RTP that has come at a leg waits for its media thread."""
        return self._core.leg_has_packets(leg)
