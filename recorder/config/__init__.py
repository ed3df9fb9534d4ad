"""The configuration, `recorder.toml`: settings, reading, checks, and the file that `recorder init` writes."""
