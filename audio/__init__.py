"""Audio: the media core, its pure reference, notices and the pausable writer."""
