"""People and other systems: accounts, sign-in, tokens, PINs, and sign-ons at extensions."""
