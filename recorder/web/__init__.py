"""The console: its pages for people, and its HTTP interface for other systems."""
