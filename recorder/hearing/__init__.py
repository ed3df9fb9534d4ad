"""Leave to hear recordings: asked for, decided, used, and taken in an emergency."""
