"""The daemon's HTTP+JSON on a unix socket: server, and client for console and command line."""
