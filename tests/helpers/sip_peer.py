"""The scripted SIP peers, for tests; they live in `benchmarks.peers` because benchmarks may not import tests."""

from benchmarks.messages import Media, Message, WireError, media_address, parse
from benchmarks.peers import Address, Agent, Answer, Call, Caller, Officer, State

__all__ = [
    "Address",
    "Agent",
    "Answer",
    "Call",
    "Caller",
    "Media",
    "Message",
    "Officer",
    "State",
    "WireError",
    "media_address",
    "parse",
]
