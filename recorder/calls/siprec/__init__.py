"""Recording sessions: copies of a call's media that a session recording client (SRC) sends (RFC 7866)."""
