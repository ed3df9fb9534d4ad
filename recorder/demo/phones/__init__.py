"""Telephones that other people wrote, for the demonstration and the tests. The recorder itself uses none of them."""
