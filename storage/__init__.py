"""Sealed containers, keys, index, audit log and export. Imports neither `recorder` nor `sip` nor `audio`."""
