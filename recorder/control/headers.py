"""Headers of our own on the daemon's socket; apart from the client, whose HTTP library the daemon need not load."""

ACTOR_HEADER = "X-Recorder-Actor"
"""Who acts, percent-encoded."""
SIGNATURE_HEADER = "X-Recorder-Signature"
"""That the key of console and command line says so (`recorder.access.signing`)."""
