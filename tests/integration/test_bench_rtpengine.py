"""What speaks with rtpengine: bencoding, and commands that are repeated until they are answered, over real sockets."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks import media, rtpengine
from benchmarks.bencode import BencodeError, Plain, decode, encode
from benchmarks.rtpengine import NgClient, NgError

VALUES: list[tuple[Plain, bytes]] = [
    (0, b"i0e"),
    (-17, b"i-17e"),
    ("", b"0:"),
    ("Übung", b"6:\xc3\x9cbung"),
    ([], b"le"),
    (["a", 1, ["b"]], b"l1:ai1el1:bee"),
    ({}, b"de"),
    ({"sdp": "v=0\r\n", "ICE": "remove", "flags": ["trust-address"]},
     b"d3:ICE6:remove5:flagsl13:trust-addresse3:sdp5:v=0\r\ne"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "encoded"), VALUES)
def test_a_value_has_one_form(value: Plain, encoded: bytes) -> None:
    assert encode(value) == encoded


def test_what_is_read_is_what_was_written() -> None:
    read = decode(b"d6:numberi-5e5:textsl1:a2:\xff\x002:eee5:valued1:k1:vee")
    assert read == {"number": -5, "texts": [b"a", b"\xff\x00", b"ee"], "value": {"k": b"v"}}


@pytest.mark.parametrize("encoded", [encoded for _, encoded in VALUES])
def test_a_value_that_is_cut_or_has_something_after_it_is_refused(encoded: bytes) -> None:
    for end in range(len(encoded)):
        with pytest.raises(BencodeError):
            decode(encoded[:end])
    with pytest.raises(BencodeError, match="1 bytes follow"):
        decode(encoded + b"e")


@pytest.mark.parametrize("wrong", [b"x", b"ie", b"i1.5e", b"1x:a", b"d1:ae", b"di1ei2ee", b"l1:a", b"-1:a"])
def test_what_is_no_value_is_refused(wrong: bytes) -> None:
    with pytest.raises(BencodeError):
        decode(wrong)


@contextmanager
def answering(answer: Callable[[bytes, int], bytes]) -> Iterator[tuple[tuple[str, int], list[bytes]]]:
    """Answer each datagram by itself and its number, with nothing if that is empty; give address and datagrams."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while (datagram := server.recvfrom(65535))[0] != b"end":
                heard.append(datagram[0])
                said = answer(datagram[0], len(heard))
                if said:
                    server.sendto(said, datagram[1])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname(), heard
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ender:
                ender.sendto(b"end", server.getsockname())
            thread.join()


def cookie(datagram: bytes) -> bytes:
    return datagram.partition(b" ")[0] + b" "


def test_an_offer_is_a_dictionary_under_a_cookie_and_its_answer_brings_the_description() -> None:
    with (
        answering(lambda said, _: cookie(said) + b"d6:result2:ok3:sdp3:v=0e") as (address, heard),
        NgClient(address) as ng,
    ):
        assert ng.sdp("offer", call_id="c", from_tag="f", sdp="v=1") == b"v=0"
        ng.ask("delete", call_id="c")
    bodies = [datagram.partition(b" ")[2] for datagram in heard]
    assert bodies[0] == b"d7:call-id1:c7:command5:offer8:from-tag1:f3:sdp3:v=1e"
    assert cookie(heard[0]) != cookie(heard[1])


def test_a_command_that_is_not_answered_is_sent_again_under_its_cookie_and_old_answers_are_passed_over() -> None:
    def second_time(said: bytes, count: int) -> bytes:
        return (b"0 d6:result4:ponge", cookie(said) + b"d6:result4:ponge")[count - 1]

    with answering(second_time) as (address, heard), NgClient(address) as ng:
        assert ng.ask("ping") == {"result": b"pong"}
    assert heard == [b"1 d7:command4:pinge"] * 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"d12:error-reason12:unknown call6:result5:errore", "refused `offer`: b'unknown call'"),
        (b"d6:result2:oke", "no session description"),
        (b"d6:result", "cannot be read"),
        (b"le", "no dictionary"),
    ],
)
def test_a_refusal_is_told(answer: bytes, said: str) -> None:
    with (
        answering(lambda asked, _: cookie(asked) + answer) as (address, _),
        NgClient(address) as ng,
        pytest.raises(NgError, match=said),
    ):
        ng.sdp("offer", sdp="v=0")


def test_where_rtpengine_is_not_installed_it_is_said_how_and_the_rest_can_be_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "rtpengine" not in media.measurable()
    assert "core_written" in media.measurable()
    assert media.main(["--calls", "1", "--seconds", "0.1", "--rounds", "1", "--only", "rtpengine"]) == 1
    assert rtpengine.INSTALL in capfd.readouterr().err
