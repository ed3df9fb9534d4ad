"""Requests to listen to recordings: asked for, decided, used; and listening in an emergency (break-glass)."""
