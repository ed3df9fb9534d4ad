"""Notifications: derived from stored state, kept until they are seen, and sent by mail."""
