"""People and other systems: accounts, sign-in, tokens, PINs, and who sits at which extension."""
