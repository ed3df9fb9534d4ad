"""WAV files of G.711 by their RIFF chunks, for copies that must be exact to the byte."""


def wave_channels(content: bytes) -> tuple[bytes, bytes, str]:
    """Return the two channels of a stereo WAV of G.711 and its law, by its RIFF chunks; fails if it is another kind."""
    assert (content[:4], content[8:12]) == (b"RIFF", b"WAVE")
    assert int.from_bytes(content[4:8], "little") == len(content) - 8
    at, form, data = 12, b"", b""
    while at < len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        chunk = content[at + 8 : at + 8 + size]
        form, data = (chunk if name == b"fmt " else form), (chunk if name == b"data" else data)
        at += 8 + size + size % 2
    kind, channels, rate = (int.from_bytes(form[i:j], "little") for i, j in ((0, 2), (2, 4), (4, 8)))
    assert (channels, rate) == (2, 8000)
    return data[0::2], data[1::2], {6: "alaw", 7: "ulaw"}[kind]
