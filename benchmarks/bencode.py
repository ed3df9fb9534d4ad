"""Bencoding, in which rtpengine's control protocol speaks: whole numbers, bytes, lists, dictionaries. Pure."""

from collections.abc import Mapping, Sequence

Plain = int | str | Sequence["Plain"] | Mapping[str, "Plain"]
"""What can be encoded; texts as UTF-8."""
Decoded = int | bytes | list["Decoded"] | dict[str, "Decoded"]


class BencodeError(ValueError):
    """The bytes are no bencoded value; says where."""


def encode(value: Plain) -> bytes:
    """Return a value as bytes, keys in their order as bytes."""
    match value:
        case int():
            return b"i%de" % value
        case str():
            raw = value.encode()
            return b"%d:%s" % (len(raw), raw)
        case Mapping():
            pairs = sorted(value.items(), key=lambda pair: pair[0].encode())
            return b"d" + b"".join(encode(key) + encode(of_key) for key, of_key in pairs) + b"e"
    return b"l" + b"".join(map(encode, value)) + b"e"


def decode(data: bytes) -> Decoded:
    """Read one value, which takes all of the bytes.

    Raises:
        BencodeError: It is none, is cut, or something follows it.
    """
    value, end = _read(data, 0)
    if end != len(data):
        raise BencodeError(f"{len(data) - end} bytes follow the value at byte {end}")
    return value


def _read(data: bytes, at: int) -> tuple[Decoded, int]:
    kind = data[at : at + 1]
    if kind == b"i":
        end = _find(data, b"e", at)
        return _number(data[at + 1 : end], at), end + 1
    if kind.isdigit():
        colon = _find(data, b":", at)
        end = colon + 1 + _number(data[at:colon], at)
        if end > len(data):
            raise BencodeError(f"the text at byte {at} is cut")
        return data[colon + 1 : end], end
    if kind not in (b"l", b"d"):
        raise BencodeError(f"no value begins at byte {at}")
    values: list[Decoded] = []
    at += 1
    while data[at : at + 1] != b"e":
        value, at = _read(data, at)
        values.append(value)
    return (values if kind == b"l" else _dictionary(values, at)), at + 1


def _dictionary(values: list[Decoded], end: int) -> dict[str, Decoded]:
    keys = values[::2]
    if len(values) % 2 or not all(isinstance(key, bytes) for key in keys):
        raise BencodeError(f"the dictionary that ends at byte {end} has a key without a value, or one that is no text")
    names = [key.decode("utf-8", "replace") for key in keys if isinstance(key, bytes)]
    return dict(zip(names, values[1::2], strict=True))


def _find(data: bytes, mark: bytes, at: int) -> int:
    found = data.find(mark, at)
    if found < 0:
        raise BencodeError(f"the value at byte {at} is cut")
    return found


def _number(digits: bytes, at: int) -> int:
    try:
        return int(digits)
    except ValueError as error:
        raise BencodeError(f"{digits!r} at byte {at} is no number") from error
