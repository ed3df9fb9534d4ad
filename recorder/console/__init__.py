"""The console: its own process, for people and for other systems; the only holder of the private keys."""
