"""What is done to recordings after the call: filed, held, erased from, swept, re-sealed, packed, checked, made anew."""
