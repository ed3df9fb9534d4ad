"""Calls in progress, and the acts of people and keys on them. Call thread only, unless a module says otherwise."""
