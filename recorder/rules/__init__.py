"""Pure rules that several features or the configuration need: no socket, no clock, no file."""
