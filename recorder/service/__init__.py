"""The processes: daemon and console are put together, started, watched over and checked here."""
