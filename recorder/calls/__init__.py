"""Calls in progress, and what people and keys do in them. Call thread, unless a module says otherwise."""
