"""Cases of subject access and disclosure: their entries, work on them, and their letters."""
