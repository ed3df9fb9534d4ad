"""Signing in by an OpenID provider: what is asked of it, and what is believed of its answers."""
