"""Cases of subject access and disclosure: kept, worked on, decided, told in letters."""
