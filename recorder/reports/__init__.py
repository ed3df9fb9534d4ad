"""Reports from the index."""
