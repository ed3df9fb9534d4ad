"""What is said when a command fails: one sentence, of who knows what went wrong and what to do next."""

from collections.abc import Iterator
from contextlib import contextmanager

from audio.portaudio import SoundError
from recorder.access.account_rows import PeopleError
from recorder.access.pins import PinError
from recorder.cli.output import fail
from recorder.common.problems import ProblemError
from recorder.config.toml_tables import ConfigError
from recorder.recordings.home_lock import AlreadyRunningError
from storage.errors import StorageError


@contextmanager
def said_plainly(then: str = "", *, code: int = 1, passing: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Print errors that a person can do something about as a sentence, and exit.

    A pipe that somebody has closed is no error of this kind: the program ends, as others do.

    Args:
        then: What to do next, if the sentence does not say it.
        code: The exit code; 2 for a file or folder that was given.
        passing: An error that the caller does something about.
    """
    next_step = f"; {then}" if then else ""
    try:
        yield
    except passing:
        raise
    except ConfigError as error:
        fail(f"{error}{next_step}", 2)
    except ProblemError as error:
        fail(f"{error.detail}{next_step}", code)
    except (StorageError, PeopleError, PinError, AlreadyRunningError, SoundError) as error:
        fail(f"{error}{next_step}", code)
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"{words_of(error)}{next_step}", code)


def words_of(error: OSError) -> str:
    """Return what an error of the operating system says: the file, if one is known, and why."""
    why = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {why}" if error.filename else why
