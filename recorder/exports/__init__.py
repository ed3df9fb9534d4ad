"""Copies of recordings: ordered, made, silenced in part, explained."""
