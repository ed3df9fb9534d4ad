"""The home that the homes of tests are copies of, made by `recorder init`."""

import atexit
import functools
import math
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.common.clock import utc_now
from recorder.permissions import Role
from tests.helpers.accounts import CHEAP, as_of_before
from tests.helpers.recorder_commands import ADMIN, HEARER, PASSWORD, must

NOTICE_S, SECOND_S = 1.0, 0.6
NOTICE_HZ, SECOND_HZ = 700, 500
SIP_PORT, HOP_PORT, MEDIA_PORTS = 5001, 5002, (30_000, 30_098)
"""Of the template; every home has its own."""


def tone_file(path: Path, hz: float, seconds: float) -> Path:
    """Write a sine as WAV."""
    ticks = np.arange(int(8000 * seconds))
    soundfile.write(path, 0.3 * np.sin(2 * math.pi * hz * ticks / 8000), 8000)
    return path


@functools.cache
def home_template(host: str, hop: str, extensions: tuple[str, ...], month: str) -> Path:
    """Make a folder with a home by the command line, as anybody would; made once, copied by every test.

    Copies share the keys and differ in their ports. A new home has keys for this ``month`` and the next two, so one
    that was made before the end of a month is not copied after it.
    """
    folder = Path(tempfile.mkdtemp(prefix="recorder-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    root, password = folder / "home", folder / "password"
    password.write_text(PASSWORD + "\n")
    nominated = [word for extension in extensions for word in ("--extension", extension)]
    must(
        "init", str(root), "--sip", f"{host}:{SIP_PORT}", "--next-hop", f"{hop}:{HOP_PORT}", *nominated,
        "--media-ports", "{}-{}".format(*MEDIA_PORTS), "--console", "off",
        "--admin", ADMIN, "--password-file", str(password),
    )  # fmt: skip
    # The administrator is the data protection officer too, as before these roles excluded each other: one account
    # signs in for most commands.
    as_of_before(root / "people.sqlite", ADMIN, "admin,dpo")
    engine = open_people(root / "people.sqlite")
    People(engine, now=utc_now, hasher=CHEAP).add(
        HEARER, PASSWORD, roles={Role.MANAGER, Role.MEMBER}, teams=("Revenues", "Queue")
    )
    engine.dispose()
    assert (root / "index.sqlite").exists()  # else the first process of each home would load Alembic to make one
    config_file = root / "recorder.toml"
    text = config_file.read_text()
    required = 'second_factor = "required"'
    assert required in text
    text = text.replace(required, 'second_factor = "off"')  # its tests have homes of their own
    assert "limit_s = 600.0" in text
    text = text.replace("limit_s = 600.0", "limit_s = 0.0")  # tests end with calls in progress
    # Sites of before `init` wrote a team: everybody's. Tests of teams give theirs.
    text = re.sub(r'^team = ".*"$', 'team = ""', text, flags=re.MULTILINE)
    # The tests press the keys of sites whose file names none.
    config_file.write_text(text.replace('keys = "*5"', 'keys = "*1"').replace('keys = "*6"', 'keys = "*2"'))
    for name, hz, seconds in (("first", NOTICE_HZ, NOTICE_S), ("second", SECOND_HZ, SECOND_S)):
        sound = str(tone_file(folder / f"{name}.wav", hz, seconds))
        must("notice", "set", name, sound, "-C", str(root), "--as", ADMIN, "--password-file", str(password))
    return folder
