"""A configuration as text: a good one, and how it becomes a file."""

from pathlib import Path

GOOD = """\
[sip]
listen = "192.0.2.10:5060"

[[peer]]
name = "pbx"
networks = ["192.0.2.20/32"]

[[route]]
name = "default"
peer = "pbx"
targets = ["192.0.2.20:5060", "192.0.2.21"]

[media]
ports = [30000, 30099]

[[service]]
name = "Revenues"
notice_when = "after_answer"
card_payment = "discard"

[[extension]]
number = "2001"
operator = "alice"
service = "Revenues"

[[extension]]
number = "2002"
operator = "bob"
service = "Revenues"
"""
TLS = 'listen_tls = "192.0.2.10"\ntls_certificate = "a"\ntls_key = "b"\n'
"""Lines for the end of `[sip]`."""


def written(folder: Path, text: str) -> Path:
    """Write a configuration into a folder; return its path."""
    path = folder / "recorder.toml"
    path.write_text(text)
    return path
