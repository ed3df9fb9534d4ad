"""Layouts, mappings and times of call records; what is wrong with a file is said with its line."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recorder.assurance.call_records import CallLeg, CallRecordsError, end_of
from recorder.assurance.expecting import Policy
from recorder.assurance.formats import LAYOUTS, Layout, read_mapping
from recorder.assurance.importing import ImportOrder, read_calls
from recorder.assurance.local_times import LocalTimeError, Repeated, Times
from recorder.assurance.reading import read_bypassed, read_legs
from recorder.rules.policy import Extension

LONDON = ZoneInfo("Europe/London")
AT = datetime(2026, 9, 16, 8, 0, 5, tzinfo=UTC)
MAPPING = """
delimiter = ";"
time_format = "%d/%m/%Y %H:%M:%S"
[columns]
call_id = ["Site", "Call"]
started = "Begin"
duration_s = "Length"
talk_s = "Talk"
caller = "From"
called = "To"
answered_by = "Agent"
[answered]
column = "Result"
values = ["OK"]
[pattern]
answered_by = "^sip:(?P<number>[^@]+)@"
"""


def legs(text: str, layout: Layout, *, repeated: Repeated | None = None) -> list[CallLeg]:
    return list(read_legs(io.StringIO(text), layout, Times(zone=LONDON, patterns=layout.times, repeated=repeated)))


def test_asterisk_with_a_header_of_its_database_is_read_by_name() -> None:
    text = (
        "calldate,clid,src,dst,dcontext,channel,dstchannel,duration,billsec,disposition,uniqueid,linkedid\n"
        '2026-09-16 09:00:00,"""A"" <020>",020,600,in,PJSIP/t-1,Local/2001@agents-0000;1,35,30,ANSWERED,2.1,1.1\n'
        "2026-09-16 09:00:00,,02079461234,600,in,PJSIP/t-1,PJSIP/2002-1,9,0,NO ANSWER,2.2,1.1\n"
    )
    answered, missed = legs(text, LAYOUTS["asterisk"])
    assert (answered.answered_at, answered.talk_s, answered.call_id) == (AT, 30.0, "1.1")
    assert (answered.called, answered.answered_by) == ("600", "2001")
    assert (missed.answered_at, missed.talk_s, missed.line) == (None, 0.0, 3)


ALWAYS = (
    ',020,2001,in,"""A"" <020>",PJSIP/t-1,PJSIP/2001-2,Dial,,2026-09-16 09:00:00,2026-09-16 09:00:05,,65,60,ANSWERED,D'
)


@pytest.mark.parametrize(("further", "call_id"), [
    ("", ""),
    (",1789545600.7", "1789545600.7"),
    (",pbx-1789545600.7", "pbx-1789545600.7"),
    (",VIP", ""),
    (",1789545600.7,VIP", "1789545600.7"),
    (",peer,1789545600.1,3", "1789545600.1"),
    (",VIP,peer,1789545600.1,3", "1789545600.1"),
    (",1789545600.7,VIP,peer,1789545600.1,3", "1789545600.1"),
])  # fmt: skip
def test_asterisks_further_columns_are_known_by_their_number(further: str, call_id: str) -> None:
    (leg,) = legs(ALWAYS + further + "\n", LAYOUTS["asterisk"])
    assert (leg.call_id, leg.caller, leg.called, leg.talk_s) == (call_id, "020", "2001", 60.0)


@pytest.mark.parametrize(
    "name", ['Al "Joe" Doe', 'Al ""Joe""', '"', '"Al', 'Al"', 'Doe "Joe", jr', 'a","b","c', "O'D, A"]
)
def test_a_name_with_quotes_in_freeswitch_hides_no_call(name: str) -> None:
    text = (
        f'"{name}","020","2001","c","2026-09-16 09:00:00","2026-09-16 09:00:05","","65","60","N","u","b","","x","y"\n'
    )
    for leg in legs(text * 2, LAYOUTS["freeswitch"]):
        assert (leg.caller, leg.called, leg.talk_s, leg.call_id, leg.linked_id) == ("020", "2001", 60.0, "u", "b")


def test_a_name_in_another_encoding_stops_no_import_and_another_file_does(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    order = ImportOrder(path=path, layout=LAYOUTS["asterisk"], pbx="a", zone=LONDON)
    nominated = {"2001": Extension(number="2001", operator="Ann", service="Benefits")}
    path.write_bytes(ALWAYS.replace(",020,", ",02079461234,").replace('""A""', '""Ren\xe9""').encode("latin-1"))
    assert len(read_calls(order, Policy(nominated=nominated)).calls) == 1
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    with pytest.raises(CallRecordsError, match="line 1: the file is not utf-8: is it a call record file"):
        read_calls(order, Policy(nominated=nominated))


def test_a_mapping_reads_another_file() -> None:
    layout = read_mapping(MAPPING, "acme.toml")
    text = (
        "Site;Call;Begin;Length;Talk;From;To;Agent;Result\n1;7;16/09/2026 09:00:00;00:01:05;60;020;2001;sip:2001@x;ok\n"
    )
    (leg,) = legs(text, layout)
    assert (leg.call_id, leg.answered_at, leg.talk_s, leg.answered_by) == ("1/7", AT, 60.0, "2001")


@pytest.mark.parametrize(("change", "sentence"), [
    (("delimiter", "separator"), "unknown key 'separator'"),
    (('";"', '";;"'), "delimiter must be one character"),
    (("started =", "begun ="), "[columns] has no 'begun'"),
    (('talk_s = "Talk"\n', ""), "[columns] needs started, caller and called"),
    (('values = ["OK"]', "values = 1"), "[answered] needs a column and a list of values"),
    (("(?P<number>[^@]+)", "[^@]+"), "each with a group (?P<number>...)"),
    (("^sip:", "(sip:"), "is no regular expression"),
    (("[columns]", "[columns"), "is not TOML"),
])  # fmt: skip
def test_a_wrong_mapping_is_named(change: tuple[str, str], sentence: str) -> None:
    assert change[0] in MAPPING
    with pytest.raises(CallRecordsError) as error:
        read_mapping(MAPPING.replace(*change), "acme.toml")
    assert sentence in str(error.value)
    assert "acme.toml" in str(error.value)


@pytest.mark.parametrize(("layout", "text", "sentence"), [
    ("cucm", '"cdrRecordType","dateTimeOrigination","callingPartyNumber","originalCalledPartyNumber","duration"\n'
             "INTEGER,INTEGER,VARCHAR(50),VARCHAR(50),INTEGER\n2,1789516800,020,2001,5\n",
     "line 3: cdrRecordType is '2', not 1"),
    ("cucm", "1,2,3\n", "line 1: the first line has to be the header of cucm"),
    ("3cx", "Call 1,1,nan,2026/09/16 09:00:00,,2026/09/16 09:00:00,x,020,Ext.2001,,,,,,\n", ""),
    ("freeswitch", ",020,2001,c,2026-09-16 09:00:00,2026-09-16 09:00:05,2026-09-16 08:00:00,5,5,N,u,b,\n",
     "line 1: the call ends before it begins"),
    ("freeswitch", ",020,2001,c,2026-09-16 09:00:00,2026-09-16 09:00:05,2026-09-16 09:00:10,5,nan,N,u,b,\n",
     "line 1: 'nan' is no length in seconds"),
    ("freeswitch", ",020,2001,c,2026-10-25 00:59:00,2026-10-25 01:30:00,,5,5,N,u,b,\n",
     "line 1: '2026-10-25 01:30:00' exists twice in Europe/London"),
    ("freeswitch", "\n,020,2001,c,2026-03-29 01:30:00,,,5,5,N,u,b,\n",
     "line 2: '2026-03-29 01:30:00' does not exist in Europe/London"),
    ("cucm", '"cdrRecordType","dateTimeOrigination","callingPartyNumber","originalCalledPartyNumber","duration"\n'
             "INTEGER,INTEGER,VARCHAR(50),VARCHAR(50),INTEGER\n1,253402300799,020,2001,5\n",
     "line 3: the call lies outside the years that there are"),
    ("freeswitch", ",020,2001,c,16.9.2026,,,5,5,N,u,b,\n", "line 1: '16.9.2026' is no time as %Y-%m-%d %H:%M:%S"),
])  # fmt: skip
def test_a_wrong_line_is_named(layout: str, text: str, sentence: str) -> None:
    if not sentence:
        assert legs(text, LAYOUTS[layout])[0].answered_at is None
        return
    with pytest.raises(CallRecordsError) as error:
        legs(text, LAYOUTS[layout])
    assert str(error.value).startswith(sentence)


def test_the_hour_that_happens_twice_is_refused_or_as_said() -> None:
    times = Times(zone=LONDON, patterns=("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"))
    with pytest.raises(LocalTimeError, match="exists twice"):
        times.read("2026-10-25 01:59:59")
    assert times.read("2026-10-25 02:00:00") == datetime(2026, 10, 25, 2, tzinfo=UTC)
    assert times.read("2026-10-25T01:30:00+0100") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    found = [Times(zone=LONDON, patterns=times.patterns, repeated=one).read("2026-10-25 01:30:00") for one in Repeated]
    assert [one.hour for one in found] == [0, 1]
    with pytest.raises(LocalTimeError, match="does not exist"):
        Times(zone=LONDON, patterns=times.patterns, repeated=Repeated.LATER).read("2026-03-29 01:00:00")
    old = Times(zone=LONDON, patterns=times.patterns, since=datetime(2026, 11, 1, tzinfo=UTC))
    assert old.read("2026-10-25 01:30:00") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "too old to matter"


def test_a_time_that_no_other_zone_has_is_refused() -> None:
    berlin = Times(zone=ZoneInfo("Europe/Berlin"), patterns=("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"))
    for text in ("0001-01-01 00:00:00", "9999-12-31T23:59:59-0100"):
        with pytest.raises(LocalTimeError, match="outside the years"):
            berlin.read(text)


class Endless(io.RawIOBase):
    """A file without a line feed."""

    def __init__(self) -> None:
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        assert self.given < 8 << 20, "a line is read for ever"
        buffer[:] = b"1" * len(buffer)
        self.given += len(buffer)
        return len(buffer)


def test_a_line_without_end_is_refused() -> None:
    times = Times(zone=LONDON, patterns=())
    with pytest.raises(CallRecordsError, match="line 1"):
        list(read_legs(io.TextIOWrapper(Endless()), LAYOUTS["asterisk"], times))  # type: ignore[type-var]
    with pytest.raises(CallRecordsError, match="line 1"):
        list(read_bypassed(io.TextIOWrapper(Endless())))  # type: ignore[type-var]


def test_of_kamailios_list_only_calls_that_went_on_are_read() -> None:
    went = "INVITE|f|t|id1@x|200|OK|1789545605|in|2001|192.0.2.1"
    refused = "INVITE|f|t|id2@x|503|Service Unavailable|1789545606|in|2001|192.0.2.1"
    (leg,) = read_bypassed(io.StringIO(f"{went}\n{refused}\n"))
    assert (leg.answered_at, leg.called, leg.is_bypassed) == (AT, "2001", True)
    with pytest.raises(CallRecordsError, match="line 2"):
        list(read_bypassed(io.StringIO(f"{went}\ntorn|\n")))


def test_of_a_number_the_last_digits_are_kept() -> None:
    assert [end_of(number) for number in ("+44 20 7946 1234", "0123", "999", "anonymous", "")] == [
        "1234",
        "0123",
        "",
        "",
        "",
    ]
