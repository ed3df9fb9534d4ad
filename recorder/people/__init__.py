"""Who people and other systems are: accounts, tokens, PINs, who sits at which extension."""
