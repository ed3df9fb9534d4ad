"""Keys of a site with several machines: its certificate authority, its key list, and adding and removing nodes."""
