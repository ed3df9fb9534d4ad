"""Sign-in by an OpenID provider: requests to it, and checks of its answers."""
