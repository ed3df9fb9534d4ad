"""The demonstration of ``make demo``: the story, the checks of what it claims, and the phones that talk in it."""
