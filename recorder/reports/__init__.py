"""Reports over the index."""
