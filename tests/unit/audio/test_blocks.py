"""Blocks of runs: the byte table, round trips, and cuts at every byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.blocks import AudioRun, ClockAnchor, LostRange, MalformedBlockError, Record, decode_block
from audio.types import Channel, Codec
from tests.reference.blocks import encode_block

channels, codecs = st.sampled_from(Channel), st.sampled_from(Codec)
u32, u63 = st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 63) - 1)
records = st.lists(
    st.builds(AudioRun, channel=channels, codec=codecs, start=u63, payload=st.binary(max_size=50))
    | st.builds(ClockAnchor, channel=channels, codec=codecs, timestamp=u32, position=u63, arrival_ns=u63)
    | st.builds(LostRange, channel=channels, start=u63, ticks=u32),
    max_size=5,
)


@given(records)
def test_records_survive(values: list[Record]) -> None:
    assert list(decode_block(encode_block(values))) == values


def test_the_byte_table() -> None:
    run = AudioRun(channel=Channel.RIGHT, codec=Codec.PCMA, start=0x0102, payload=b"ab")
    assert encode_block([run]).hex() == "01010800" + "02000000" + "0201000000000000" + "00" * 8 + "6162"
    anchor = ClockAnchor(channel=Channel.LEFT, codec=Codec.G722, timestamp=5, position=6, arrival_ns=7)
    assert encode_block([anchor]).hex() == "02000900" + "05000000" + "06" + "00" * 7 + "07" + "00" * 7
    lost = LostRange(channel=Channel.LEFT, start=8, ticks=9)
    assert encode_block([lost]).hex() == "03000000" + "09000000" + "08" + "00" * 7 + "00" * 8


@given(records, st.data())
def test_a_cut_block_gives_whole_records_or_one_error(values: list[Record], data: st.DataObject) -> None:
    block = encode_block(values)
    cut = block[: data.draw(st.integers(0, len(block)))]
    got: list[Record] = []
    try:
        got.extend(decode_block(cut))
    except MalformedBlockError:
        assert len(cut) < len(block)
    assert got == values[: len(got)]


@given(st.binary(max_size=100))
def test_random_bytes_raise_one_error_only(data: bytes) -> None:
    try:
        list(decode_block(data))
    except MalformedBlockError as error:
        assert "byte" in str(error)


def test_fields_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="out of range"):
        encode_block([LostRange(channel=Channel.LEFT, start=-1, ticks=1)])
