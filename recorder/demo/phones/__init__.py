"""Telephones for the demonstration and the tests, made of independent programs. The recorder uses none of them."""
