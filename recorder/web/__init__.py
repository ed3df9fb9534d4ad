"""The console for people and for other systems: its pages and its HTTP interface."""
