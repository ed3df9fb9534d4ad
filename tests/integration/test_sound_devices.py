"""Sound devices: found and chosen by name, heard and fed by signal, and said plainly where there are none."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

import numpy as np
import pytest

from audio.portaudio import SoundError
from audio.sound_devices import open_loudspeaker, open_microphone, sound_devices
from tests.helpers.sound_card import RATE, SoundCard, loudest_hz, tone


class _Broken(MetaPathFinder):
    """Makes an import fail as a missing library does."""

    def __init__(self, error: ImportError) -> None:
        self._error = error

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if name == "pyaudio":
            raise self._error
        return None


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ModuleNotFoundError("No module named 'pyaudio'"), r"council-call-recorder\[desk\]"),
        (ImportError("libportaudio.so.2: cannot open shared object file"), "package libportaudio2"),
    ],
)
def test_missing_packages_are_named(error: ImportError, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pyaudio", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Broken(error), *sys.meta_path])
    with pytest.raises(SoundError, match=says):
        sound_devices()


def test_machine_without_devices(capfd: pytest.CaptureFixture[str]) -> None:
    assert sound_devices() == []
    with pytest.raises(SoundError, match=r"no microphone.*sound server"):
        open_microphone(8000)
    with pytest.raises(SoundError, match=r"no loudspeaker.*sound server"):
        open_loudspeaker(8000)
    assert capfd.readouterr() == ("", ""), "what ALSA and JACK print stays off the terminal"


def test_devices_are_chosen_by_name(sound_card: SoundCard, monkeypatch: pytest.MonkeyPatch) -> None:
    sound_card.use(monkeypatch)
    assert {one.name for one in sound_devices() if one.inputs and one.outputs} == {"default", "second"}
    with open_loudspeaker(8000) as one:
        assert one.device.name == "default"
        assert one.device.is_default_output
    with open_microphone(8000, device="SECO") as other:
        assert other.device.name == "second"
    with pytest.raises(SoundError, match=r"no loudspeaker headset\. There are: .*second"):
        open_loudspeaker(8000, device="headset")
    with pytest.raises(SoundError, match=r"more than one microphone.*whole name"):
        open_microphone(8000, device="e")


def test_loudspeaker_plays_every_sample(
    sound_card: SoundCard, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    sound_card.use(monkeypatch)
    both = np.stack([tone(440, 0.5), tone(880, 0.5)], axis=1)

    def play() -> None:
        with open_loudspeaker(RATE, channels=2) as loudspeaker:
            loudspeaker.write(both)
            loudspeaker.finish()

    sound_card.hear_all(both, play)
    assert capfd.readouterr() == ("", "")


def test_microphone_records_what_is_said(sound_card: SoundCard, monkeypatch: pytest.MonkeyPatch) -> None:
    sound_card.use(monkeypatch)
    with sound_card.spoken(tone(1000, 20.0)), open_microphone(8000) as microphone:
        for _ in range(200):
            said = microphone.read(1600)
            if said.dtype == np.int16 and np.abs(said.astype(int)).max() > 9000:
                break
        assert abs(loudest_hz(microphone.read(1600), 8000) - 1000) < 10
