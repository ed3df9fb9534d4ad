"""Conversion between the laws of G.711, byte by byte. Pure."""

from audio.codecs import ALAW_TO_LINEAR, MULAW_TO_LINEAR, encode
from audio.types import Codec

ALAW_TO_MULAW = encode(Codec.PCMU, ALAW_TO_LINEAR)
"""mu-law byte nearest to each A-law byte."""
MULAW_TO_ALAW = encode(Codec.PCMA, MULAW_TO_LINEAR)
"""A-law byte nearest to each mu-law byte."""
