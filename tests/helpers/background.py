"""Work that goes on in a thread for as long as a block does."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run a function in a thread, and wait for it when the block ends; its argument is set then."""
    must_end = threading.Event()
    thread = threading.Thread(target=work, args=(must_end,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        must_end.set()
        thread.join()
