"""Reads the recording of a self-test with the run's own key: no private key of the site is needed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio.blocks import AudioRun, decode_block
from audio.types import Channel
from recorder.selftest.signals import Signal, linear
from storage.keys import OneTimeSeal
from storage.reader import RecordingReader
from storage.types import RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The content of a recording.

    Attributes:
        left: The caller's channel; 0 where nothing was recorded.
        right: The officer's.
        plain: Everything that is sealed in it and is not audio.
    """

    left: Signal
    right: Signal
    plain: bytes


def open_recorded(path: Path, recording: RecordingId, sealed: bytes, public: bytes, private: bytes) -> Recorded:
    """Open a recording of a self-test.

    Raises:
        StorageError: It is damaged, or sealed to another key.
        OSError: It cannot be read.
    """
    reader = RecordingReader(path, OneTimeSeal.open(sealed, public, private, recording))
    runs = [run for block in reader.blocks() for run in decode_block(block) if isinstance(run, AudioRun)]
    length = max((run.end for run in runs), default=0)
    channels = {channel: np.zeros(length) for channel in Channel}
    for run in runs:
        channels[run.channel][run.start : run.end] = linear(run.codec, bytes(run.payload))
    plain = repr((reader.head, list(reader.marks()), reader.end())).encode()
    return Recorded(left=channels[Channel.LEFT], right=channels[Channel.RIGHT], plain=plain)
