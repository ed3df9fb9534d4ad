"""Recording metadata in the shapes of real clients; hostile documents raise one error and cost no time."""

import contextlib
import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sip import rs_xml, rs_xml_repair
from sip.metadata import Metadata, MetadataError, user_of
from sip.metadata_parser import parse
from sip.siprec import take_apart
from tests.helpers.siprec_shapes import RFC, SHAPES, Call, Who, rfc

CALLER = Who(user="+441632960001", name="Ann Caller", label="96")
OFFICER = Who(user="2001", name="Bob Officer", label="97")
CALL = Call(caller=CALLER, officer=OFFICER)
HEAD = f"<recording xmlns='{RFC}'><dataMode>partial</dataMode>"


def partial(inner: str) -> Metadata:
    return parse(f"{HEAD}{inner}</recording>".encode())


@pytest.mark.parametrize("shape", SHAPES)
def test_parties_are_found_by_label_in_every_shape(shape: str) -> None:
    document, packing = SHAPES[shape]
    content, content_type = packing(b"v=0\r\n", document(CALL))
    parts = take_apart(content, content_type)
    assert parts.sdp == b"v=0\r\n"
    assert parts.metadata is not None
    found = parse(parts.metadata)
    assert not found.is_partial
    for who in (CALLER, OFFICER):
        (sender,) = found.senders(who.label)
        assert (sender.users, sender.name) == ((who.user,), who.name)
    assert CALL.session in found.session_ids
    assert len(found.present) == 2


def test_the_rfcs_ids_and_times() -> None:
    found = parse(rfc(CALL).encode())
    assert found.session_ids == (CALL.session, "ab30317f1a784dc48ff824d0d3715d86")
    assert found.group_ids == (CALL.group,)
    assert found.present[0].joined_at == datetime(2026, 11, 26, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("aor", "user"),
    [
        ("sip:2001@pbx", "2001"),
        ("sips:%32001@pbx;transport=tls", "2001"),
        ("tel:+44-1632-960001;phone-context=x", "+44-1632-960001"),
        ('"Bob" <sip:2001@pbx>', "2001"),
        ("2001@pbx", "2001"),
        ("2001", "2001"),
        ("sip:8638254725", "8638254725"),
        ("sip:+441632960001;user=phone", "+441632960001"),
        ("<sip:2001:5060>", "2001"),
        ("sip:192.0.2.7", ""),
        ("sip:192.0.2.7:5060", ""),
        ("sip:[2001:db8::7]", ""),
        ("sip:pbx.example", ""),
        ("", ""),
    ],
)
def test_users_of_addresses(aor: str, user: str) -> None:
    assert user_of(aor) == user


def test_a_stream_may_be_named_by_an_element_and_a_session_by_an_attribute_of_its_group() -> None:
    found = parse(
        b"<recording_metadata xmlns='urn:ietf:params:xml:ns:siprec'><dataMode>complete</dataMode>"
        b"<session id='c' group='g'/><participant id='p' session='c'><aor>sip:2001@x</aor><send><id>s</id></send>"
        b"<associate-time>2026-11-26T09:00:00</associate-time></participant>"
        b"<stream id='s' session='c'><label>1</label></stream></recording_metadata>"
    )
    (sender,) = found.senders("1")
    assert (sender.users, sender.joined_at) == (("2001",), datetime(2026, 11, 26, 9, tzinfo=UTC))
    assert found.group_ids == ("g",)


def test_some_clients_say_who_called() -> None:
    marked = rfc(CALL).replace(
        "<name xml:lang='en'>Bob Officer</name></nameID>",
        "<name>B</name></nameID><x:data xmlns:x='urn:x'><x:callingParty>true</x:callingParty></x:data>",
    )
    assert parse(marked.encode()).callers == {"p-97"}
    numbered = rfc(CALL).replace(
        "</recording>", "<x:callingPartyNumber xmlns:x='urn:x'>tel:+44 1632 960001</x:callingPartyNumber></recording>"
    )
    assert parse(numbered.encode()).callers == {"p-96"}
    assert parse(rfc(CALL).encode()).callers == frozenset()


def test_a_partial_document_changes_and_adds() -> None:
    known = parse(rfc(CALL).encode())
    renamed = known.merged(
        partial("<participant participant_id='p-96'><nameID aor='sip:x@y'><name>Eve</name></nameID></participant>")
    )
    assert [one.name for one in renamed.senders("96")] == ["Eve"]
    assert renamed.senders("97") == known.senders("97")
    named_only = known.merged(partial("<participant participant_id='p-96'/>"))
    assert named_only == known


def test_a_participant_leaves_and_another_takes_the_stream() -> None:
    known = parse(rfc(CALL).encode())
    later = known.merged(
        partial(
            "<participant participant_id='p-3'><nameID aor='sip:2002@pbx'/></participant>"
            "<participantsessionassoc participant_id='p-97' session_id='x'>"
            "<disassociate-time>2026-11-26T09:05:00Z</disassociate-time></participantsessionassoc>"
            "<participantstreamassoc participant_id='p-3'><send>s-97</send></participantstreamassoc>"
        )
    )
    assert [one.users for one in later.senders("97")] == [("2002",)]
    assert later.participants["p-97"].left_at == datetime(2026, 11, 26, 9, 5, tzinfo=UTC)
    assert [one.id for one in later.present] == ["p-96", "p-3"]


def test_a_complete_document_replaces_and_one_without_streams_only_adds() -> None:
    known = parse(rfc(CALL).encode())
    other = parse(
        rfc(Call(caller=Who(user="1", name="A", label="5"), officer=Who(user="2", name="B", label="6"))).encode()
    )
    assert known.merged(other) == other
    people_only = parse(
        f"<recording xmlns='{RFC}'><dataMode>complete</dataMode>"
        "<participant participant_id='p-97'><nameID aor='sip:2003@x'/></participant></recording>".encode()
    )
    assert [one.users for one in known.merged(people_only).senders("97")] == [("2003",)]


def test_text_in_another_encoding_than_it_says() -> None:
    text = rfc(CALL).replace("Ann Caller", "Andr\u00e9")
    assert parse(text.encode("latin-1")).senders("96")[0].name == "Andr\u00e9"
    assert parse(text.replace("UTF-8", "utf-16").encode("utf-16")).senders("96")[0].name == "Andr\u00e9"
    assert parse(text.replace("UTF-8", "klingon").encode("latin-1")).senders("96")[0].name == "Andr\u00e9"


BOMB = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + i)} '{f'&{chr(97 + i)};' * 10}'>" for i in range(9)
)


@pytest.mark.parametrize(
    "document",
    [
        "",
        " ",
        "<recording",
        "<recording><a></recording>",
        "<html/>",
        "no xml",
        "<recording/><recording/>",
        BOMB + "]><recording>&j;</recording>",
        "<!DOCTYPE r SYSTEM 'file:///etc/passwd'><recording/>",
        "<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><recording><session session_id='&x;'/></recording>",
        "<!DOCTYPE recording><recording/>",
        "<recording>&undefined;</recording>",
        "<a>" * 100_000,
        "<recording>" + "<a/>" * 10_000 + "</recording>",
        "<recording " + " ".join(f"a{i}='1'" for i in range(1000)) + "/>",
        "<recording>" + " " * rs_xml.MAX_BYTES + "</recording>",
    ],
)
def test_what_cannot_be_read_is_one_error(document: str) -> None:
    with pytest.raises(MetadataError):
        parse(document.encode())


def test_nothing_grows_without_a_bound() -> None:
    known = Metadata(is_partial=True)
    for i in range(50):
        known = known.merged(partial("".join(f"<participant participant_id='{i}-{j}'/>" for j in range(50))))
    assert len(known.participants) == 256
    long = parse(f"{HEAD}<participant participant_id='{'x' * 9999}'><nameID aor='sip:{'9' * 9999}@y'/>"
                 "</participant></recording>".encode())  # fmt: skip
    (one,) = long.participants.values()
    assert len(one.id) == 256
    assert len(one.aors[0]) == 256


WHOLE = rfc(CALL).encode()


@pytest.mark.parametrize("end", range(1, len(WHOLE) - 3, 53))
def test_of_a_truncated_document_only_what_was_said_in_full_counts(end: int) -> None:
    """A number that is cut off is another number."""
    try:
        found = parse(WHOLE[:end])
    except MetadataError:
        assert WHOLE[:end].count(b"</nameID>") < 2
        return
    assert found.is_repaired
    aors = [one.aors for one in found.participants.values() if one.aors]
    assert aors == [(f"sip:{who.user}@example.net",) for who in (CALLER, OFFICER)][: len(aors)]
    assert all(stream.label in ("", "96", "97") for stream in found.streams.values())


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes(content: bytes) -> None:
    for document in (content, b"<recording>" + content + b"</recording>"):
        with contextlib.suppress(MetadataError):
            parse(document)


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=5), st.integers(0, 9))
def test_a_damaged_document(at: int, junk: bytes, cut: int) -> None:
    try:
        found = parse(WHOLE[:at] + junk + WHOLE[at + cut :])
    except MetadataError:
        return
    found.merged(found)
    assert found.senders("96") == found.senders("96")


TEXT = rfc(CALL)


@pytest.mark.parametrize(
    "damaged",
    [
        TEXT.replace("Ann Caller</name>", "Ann Caller</nme>"),
        TEXT.replace("Ann Caller</name>", "Ann Caller"),
        TEXT.replace("</nameID></participant>", "</participant>", 1),
        TEXT.replace("</nameID></participant>", "</nameID>", 1),
        TEXT.replace("</participant>", "</participnt>", 1),
        TEXT.replace("<participant ", "<participnt ", 1),
        TEXT.replace("<participant ", "<participnt ").replace("</participant>", "</participnt>"),
        TEXT.replace("<nameID ", "<nameId-x ").replace("</nameID>", "</nameId-x>"),
        TEXT.replace("<name xml:lang='en'>Ann", "<name xml:lang='en>Ann"),
        TEXT.replace("<name xml:lang='en'>Ann", "<name xml:lang=en>Ann"),
        TEXT.replace("<name xml:lang='en'>Ann", "<name 'en'>R&D < Ann"),
        TEXT.replace("<stream ", "<streem ").replace("</stream>", "</streem>"),
        TEXT.replace("</label></stream>", "</lable></stream>"),
        TEXT.replace("participantstreamassoc", "participantstreamassociation"),
        TEXT.replace("</recording>", ""),
        TEXT.replace("</recording>", "</recordin>"),
        TEXT.replace("<recording ", "<recrding ").replace("</recording>", "</recrding>"),
        TEXT.replace("</group>", "</group></x></session>"),
        TEXT.replace("<group ", "</recording><group "),
        TEXT.replace("<group ", "<!-- never closed -- > <x <group ").replace("<!--", "<!-- -->"),
        TEXT.replace("<group ", "<![CDATA[ a < b ]]>&nbsp;& <group "),
    ],
)
def test_a_wrong_tag_does_not_hide_who_takes_part(damaged: str) -> None:
    assert damaged != TEXT
    found = parse(damaged.encode())
    assert found.is_repaired
    assert [one.users for one in found.present] == [(CALLER.user,), (OFFICER.user,)]
    for who in (CALLER, OFFICER):
        (sender,) = found.senders(who.label)
        assert sender.users == (who.user,)


def test_what_is_whole_is_not_said_to_be_repaired() -> None:
    assert not any(parse(shape(CALL).encode()).is_repaired for shape, _ in SHAPES.values())


def test_an_address_that_is_cut_off_is_none() -> None:
    with pytest.raises(MetadataError):
        parse(b"<recording><participant participant_id='p'><nameID><aor>sip:200")
    with pytest.raises(MetadataError):
        parse(b"<recording><participant participant_id='p'><nameID aor='sip:200")


@pytest.mark.parametrize(
    "hostile",
    [
        "<!DOCTYPE r [<!ENTITY a 'b'>]>" + TEXT.replace("</name>", "</nme>", 1),
        TEXT.replace("</name>", "</nme>", 1).replace("<group ", "<!ENTITY x 'y'><group "),
        "<recording>" + "<a>" * 100 + "</b>",
        "<recording>" + "<a/>" * 5000 + "</b>",
        "<recording><a " + " ".join(f"b{i}='1'" for i in range(100)) + "></b>",
        "<html><p>sip:2001@pbx</b></html>",
        "<recrding><a/></recrding>",
        TEXT.replace("<group ", "".join(f"</x{at}>" for at in range(51)) + "<group ", 1),
    ],
)
def test_repair_has_the_limits_of_reading(hostile: str) -> None:
    with pytest.raises(MetadataError):
        parse(hostile.encode())


@pytest.mark.parametrize(
    "piece",
    ["<a ", "</a", "</a>", "<a b='", "<![CDATA[", "<!--", "&#x1;&#xFFFFFFFF;&amp", "<a b=c>", "'<", '">', "b", "b "],
)
def test_repair_takes_time_by_the_length(piece: str) -> None:
    """400 kB of each would take minutes if anything were looked for again from each place."""
    much = piece * (400_000 // len(piece))
    began_s = time.process_time()
    for text in (much, f"<recording></x>{much}", f"<recording></x><a {much}>"):
        with contextlib.suppress(MetadataError):
            parse(text.encode())
    assert time.process_time() - began_s < 5


@pytest.mark.parametrize(
    "damaged",
    [
        TEXT.replace("sip:2001@", "sip:2009@").replace("</recording>", ""),
        "< participant ".join(TEXT.rsplit("<participant ", 1)),
        TEXT.replace("<participant ", "<partisipant ").replace("</participant>", "</partisipant"),
        *(TEXT[: match.start()] for match in re.finditer("<stream |<participantstreamassoc", TEXT)),
    ],
)
def test_a_damaged_complete_document_removes_nobody(damaged: str) -> None:
    assert damaged != TEXT
    known, later = parse(TEXT.encode()), parse(damaged.encode())
    assert later.is_repaired
    found = known.merged(later)
    assert {CALLER.user, OFFICER.user} <= {user for one in found.present for user in one.users}


def test_a_damaged_document_adds_who_is_new_and_a_whole_one_then_replaces() -> None:
    new = "<participant participant_id='n'><nameID aor='sip:2003@pbx'/></participant>"
    known = parse(TEXT.encode())
    other = rfc(Call(caller=CALLER, officer=Who(user="2003", name="Eve", label="97")))
    found = known.merged(parse(TEXT.replace("<group ", f"{new}<group ").replace("</recording>", "").encode()))
    assert [one.users for one in found.present] == [(CALLER.user,), (OFFICER.user,), ("2003",)]
    whole = parse(other.encode())
    assert found.merged(whole) == whole


def test_nobody_has_left_by_the_word_of_a_damaged_document() -> None:
    left = f"<recording xmlns='{RFC}'><participant participant_id='p'><nameID aor='sip:2001@pbx'/></participant>"
    left += (
        "<participantsessionassoc participant_id='p' session_id='s'>"
        "<disassociate-time>2026-11-26T10:00:00Z</disassociate-time></participantsessionassoc>"
    )
    assert not parse(f"{left}</recording>".encode()).present
    assert [one.users for one in parse(left.encode()).present] == [("2001",)]


def test_a_damaged_document_of_many_drives_nobody_out() -> None:
    crowd = "".join(f"<participant participant_id='{at}'><aor>sip:9{at}@x</aor></participant>" for at in range(300))
    found = parse(TEXT.encode()).merged(parse(f"<recording xmlns='{RFC}'>{crowd}".encode()))
    assert len(found.participants) == 256
    assert [one.users for one in found.present[:2]] == [(CALLER.user,), (OFFICER.user,)]


def test_a_client_that_misspells_every_end_tag_is_read() -> None:
    crowd = "".join(
        f"<participant participant_id='{at}'><nameID aor='sip:{at}@x'><name>A</nme></nameID></participant>"
        for at in range(600)
    )
    found = parse(TEXT.replace("<participant ", f"{crowd}<participant ", 1).encode())
    assert found.is_repaired
    assert ("300",) in [one.users for one in found.present]


@pytest.mark.parametrize(("length", "is_compared"), [(40, True), (41, False)])
def test_only_names_of_usual_length_are_compared(length: int, is_compared: bool) -> None:
    name = "n" * length
    root = rs_xml_repair.repair(f"<recording><{name}></{name[:-1]}x><b/></recording>".encode())
    assert [len(node.name) for node in root.children] == ([length, 1] if is_compared else [length])
