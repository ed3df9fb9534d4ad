"""Sign-in at an OpenID provider: requests to it, and checks of its responses."""
