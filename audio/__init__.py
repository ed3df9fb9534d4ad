"""Audio: the media core, notices and the pausable writer."""
