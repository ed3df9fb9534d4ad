# Two commands do everything: `make demo` and `make test`. Set-up happens by itself, once.
