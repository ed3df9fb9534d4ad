"""Recording sessions: calls that a SIPREC client copies to us (RFC 7866)."""
