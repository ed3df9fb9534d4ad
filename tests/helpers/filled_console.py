"""A console that has something to show on every page, for tests in a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from recorder.calls.notice_catalogue import NewNotice
from recorder.calls.notices import SHIPPED, NoticeStore, install_shipped
from recorder.permissions import Role
from storage.assurance_types import CallDirection, ExpectedCall
from storage.types import NoticeProof, Segment, SegmentKind
from tests.helpers.accounts import PASSWORD
from tests.helpers.console_site import Console, console_site
from tests.helpers.storage_home import ID


@contextmanager
def filled_console(folder: Path) -> Iterator[Console]:
    """A console of `console_site` with an officer `ann` at extension 2001, whose `dpo` may listen and take copies."""
    with console_site(folder) as running:
        running.people.add("ann", PASSWORD, display_name="<b>Ann</b>", roles={Role.OFFICER}, extension="2001")
        running.give_leave("dpo")
        _run_its_course(running)
        _run_the_recorder(running)
        yield running


def _run_the_recorder(console: Console) -> None:
    """Give the recorder an alarm, messages and a changed configuration."""
    notices = NoticeStore(console.home.notices)
    install_shipped(notices)
    welsh = NewNotice(
        language="cy",
        service="Revenues",
        starts_at=datetime(2099, 1, 1, tzinfo=UTC),
        text="Rydym yn recordio galwadau.",
    )
    notices.put("first", SHIPPED / "second.en.flac", by="sally", of=welsh)
    played = [{"name": "first", "version": 1}]
    console.daemon.said |= {"alarms": {"disk_full": 2}, "notices": played}
    details = {"sha256": "ab" * 32, "changed": ["pause.max_s", "extension.2001"]}
    console.deps.repos.audit.append("config.reload", "os:root", "", details)
    assurance = console.deps.watch.assurance
    noon = datetime.combine(assurance.today - timedelta(days=2), time(12), assurance.site.zone)
    calls = [
        ExpectedCall(
            id=f"{number:032x}", pbx="asterisk", answered_at=noon + timedelta(minutes=5 * number), talk_s=187.0,
            extensions=("2001",), direction=CallDirection.INBOUND, number_end="1234", is_bypassed=number == 1,
        )
        for number in range(3)
    ]  # fmt: skip
    assurance.store.add_calls(calls, assurance.now())
    assurance.keep(noon.date())


def _run_its_course(console: Console) -> None:
    """Give the call a course: a notice, a pause, a transfer, a span that was erased."""
    index = console.deps.copy_repositories.index
    began = index.get(ID).started_at
    spans = [
        ("recording", 0, 0.8, "Olive Officer", ""), ("paused", 0.8, 1.3, "Olive Officer", "agent"),
        ("recording", 1.3, 1.9, "Olive Officer", ""), ("recording", 1.9, 2.4, "Bob Benefits", ""),
        ("erased", 2.4, 2.7, "Bob Benefits", "card_data"), ("recording", 2.7, 3.0, "Bob Benefits", ""),
    ]  # fmt: skip
    segments = tuple(
        Segment(
            kind=SegmentKind(kind), start_s=start, end_s=end, operator=who, extension="2001" if "Olive" in who else "2",
            reason=why, by=who if why else "",
        )
        for kind, start, end, who, why in spans
    )  # fmt: skip
    notice = NoticeProof(
        id="first.en", sha256="ab" * 32, started_at=began - timedelta(seconds=9), complete=True, proof="heard",
        ended_at=began - timedelta(seconds=1), second_message=True,
    )  # fmt: skip
    silent = [int(10 * at) for one in segments if one.reason for at in (one.start_s, one.end_s)]
    peaks = [
        bytes(0 if silent[0] <= at < silent[1] else 40 + 37 * at * (side + 3) % 90 for at in range(30))
        for side in (0, 1)
    ]
    changed = replace(
        index.get(ID), segments=segments, notice=notice, peaks=(peaks[0], peaks[1]), paused_s=0.5, recorded_s=2.2,
        ended_at=began + timedelta(seconds=3), operators=("Olive Officer", "Bob Benefits"),
    )  # fmt: skip
    index.save(changed)
