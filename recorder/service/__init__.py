"""The daemon and console processes: composition, start, supervision and site check."""
