"""The daemon's own HTTP+JSON on a unix socket: its server, and the client of console and command line."""
