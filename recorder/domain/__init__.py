"""Pure rules of the application: no socket, no clock, no file."""
