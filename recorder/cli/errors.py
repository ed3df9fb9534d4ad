"""What is said when a command fails: one sentence, of who knows what went wrong and what to do next."""

from collections.abc import Iterator
from contextlib import contextmanager

from recorder.access.account_rows import PeopleError
from recorder.cli.output import fail
from recorder.common.problems import ProblemError
from recorder.config.toml_tables import ConfigError
from storage.errors import StorageError


@contextmanager
def said_plainly(then: str = "") -> Iterator[None]:
    """Print errors that a person can do something about as a sentence, and exit.

    A pipe that somebody has closed is no error of this kind: the program ends, as others do.

    Args:
        then: What to do next, if the sentence does not say it.
    """
    next_step = f"; {then}" if then else ""
    try:
        yield
    except ConfigError as error:
        fail(f"{error}{next_step}", 2)
    except ProblemError as error:
        fail(f"{error.detail}{next_step}")
    except (StorageError, PeopleError) as error:
        fail(f"{error}{next_step}")
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"{words_of(error)}{next_step}")


def words_of(error: OSError) -> str:
    """Return what an error of the operating system says: the file, if one is known, and why."""
    why = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {why}" if error.filename else why
