"""How long recordings are kept: the sweep, legal holds, restrictions, erasure, and the keys' epochs."""
