"""The configuration, `recorder.toml`: its settings, how they are read and checked, and the file that is written."""
