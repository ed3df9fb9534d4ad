"""Recording assurance: calls that should have been recorded, compared with the recordings that there are."""
