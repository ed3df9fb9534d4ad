"""At the shell nobody learns of calls that are not theirs: neither by playing nor by exporting."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from storage.audit import AuditLog
from storage.erasures import Erasures, new_order_id
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.types import Officer, RecordingId, Segment, SegmentKind
from tests.helpers.export_shell import Shell
from tests.helpers.recorder_home import recorder_home

NOBODYS = RecordingId("20251124T093000Z-2001-0a1b2c")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("shell")
    with recorder_home(folder, is_started=False, next_hop="127.0.0.1:5099") as home:
        (out := folder / "out").mkdir()
        yield Shell(home, out)


def played(shell: Shell, recording: str) -> str:
    who = ("--as", "olive", "--password-file", str(shell.home.password_file), "-C", str(shell.home.root))
    done = shell.home.run("play", recording, "--reason", "looking who called", *who)
    assert (done.returncode, done.stdout) == (1, "")
    return " ".join(str(done.stderr).split())


@pytest.mark.parametrize("beginning", [slice(None), slice(20)], ids=["whole", "beginning"])
def test_another_officers_call_is_answered_as_one_that_is_not_there(shell: Shell, beginning: slice) -> None:
    recording = shell.record("000081" if beginning.stop else "000082")
    assert played(shell, recording[beginning]) == played(shell, NOBODYS[beginning])
    known = shell.fails(recording[beginning], by="olive").replace(recording[beginning], "ID")
    assert known == shell.fails(NOBODYS[beginning], by="olive").replace(NOBODYS[beginning], "ID")


def test_a_search_for_an_export_finds_what_a_search_finds_and_is_written_down(shell: Shell) -> None:
    shell.record("000083", extension="2098")
    wanted = ("--extension", "2098")
    audit = AuditLog(shell.home.root / "audit")

    def searches() -> list[str]:
        return [one.actor for one in audit.entries() if one.act == "recording.search"]

    before = searches()
    assert "no matching call has a recording" in shell.fails(*wanted, by="olive")
    assert searches()[len(before) :] == ["olive"]


def test_orders_to_erase_are_listed_for_who_answers_for_the_part_that_they_are_about(shell: Shell) -> None:
    recording = shell.record("000084")
    ann = Officer(extension="2001", operator="ann", team="Revenues")
    bob = Officer(extension="2002", operator="bob", team="Housing")
    segments = tuple(
        Segment(
            start_s=start_s,
            end_s=end_s,
            kind=SegmentKind.RECORDING,
            operator=one.operator,
            extension=one.extension,
            officers=(one,),
        )
        for start_s, end_s, one in ((0.0, 3.0, ann), (3.0, 6.0, bob))
    )
    index = open_index(Home(shell.home.root), read_config(shell.home.config))
    row = index.get(recording)
    index.save(replace(row, operator="ann", operators=("ann", "bob"), extensions=("2001", "2002"), segments=segments))
    for start_s, end_s in ((1.0, 2.0), (4.0, 5.0)):
        order = ErasureOrder(
            id=new_order_id(), recording=recording, start_s=start_s, end_s=end_s, kind=ErasureKind.CARD_DATA,
            ordered_by="lena", ordered_at=utc_now(), state=ErasureState.WAITING,
        )  # fmt: skip
        Erasures(index.database).place(order)
    index.close()
    for name, team, begins in (("abe", "Revenues", 1.0), ("bea", "Housing", 4.0)):
        orders = shell.home.json("erase", "--list", *shell.home.as_manager(name, team))
        assert [one["start_s"] for one in orders if one["recording"] == recording] == [begins], team
