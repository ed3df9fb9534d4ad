"""Telephones for the demonstration, the tests and `recorder phone`. The recorder itself uses none of them."""
