"""Headers of the daemon's socket, in a module that does not load the client's HTTP library."""

ACTOR_HEADER = "X-Recorder-Actor"
"""Who acts, percent-encoded."""
SIGNATURE_HEADER = "X-Recorder-Signature"
"""Signature of the actor by the key of console and command line (`recorder.access.signing`)."""
