"""Phone programs of this machine, and a phone whose events tests wait for until they come."""

import sys

import pytest

from recorder.demo.phones import phone
from recorder.demo.phones.kinds import PhoneKind
from recorder.demo.phones.messages import PhoneEvent
from tests.helpers.recorder_home import HANGS_S

PHONES = [PhoneKind.BARESIP, *([PhoneKind.PJSUA2] if sys.version_info < (3, 13) else [])]
"""All that can exist on this Python: pjsua2 has wheels up to 3.12. One that is not installed fails its tests."""

PAIRS = [
    pytest.param(called, calling, marks=pytest.mark.long if called is calling and len(PHONES) > 1 else ())
    for called in PHONES
    for calling in PHONES
]
"""Who is called, and who calls. In `make test`, each phone is called by the other: so each has had both parts."""


class Phone(phone.Phone):
    """A phone program; its events are waited for until they come."""

    def wait_for(self, *names: str, timeout_s: float = HANGS_S) -> PhoneEvent:
        return super().wait_for(*names, timeout_s=timeout_s)
