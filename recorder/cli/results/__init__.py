"""What commands print with --json, as types: the schemas in docs/schemas are made from them."""
