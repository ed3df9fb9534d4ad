"""Loads the messages and tones that the daemon plays."""

from audio import prompts
from recorder.calls.announcements import choice_of, load_announcements
from recorder.calls.call_services import Sounds
from recorder.calls.notices import NoticeStore
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config


def load_sounds(home: Home, config: Config) -> Sounds:
    """Load all messages and tones.

    Raises:
        NoticeError: A message is missing or unreadable.
    """
    return Sounds(
        announcements=load_announcements(NoticeStore(home.notices), choice_of(config), utc_now()),
        ringback=prompts.ringback(),
        hold=prompts.hold_tone(),
        failed=prompts.refused_tone(),
        paused=prompts.paused_tone(),
        resumed=prompts.resumed_tone(),
        refused=prompts.refused_tone(),
        still_paused=prompts.still_paused_tone(),
        ended=prompts.ended_tone(),
        signed_on=prompts.signed_on_tone(),
    )
