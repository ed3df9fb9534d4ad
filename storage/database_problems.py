"""Turns errors of database drivers into sentences for operators, without values of rows and without a password."""

import sqlalchemy as sa

from storage.errors import DatabaseError

_MEANINGS = {
    "42501": "this user may not do that there",
    "53100": "its disk is full",
    "53300": "it has no connection left",
    "55P03": "another process has been writing for too long",
    "SQLITE_BUSY": "another process has been writing for too long",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_NOTADB": "the file is no database",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_READONLY": "it can only be read",
}
"""Explanations of SQLSTATEs (PostgreSQL manual, appendix A) and SQLite's error names, for operators."""
_REFUSALS = {
    "password authentication failed": "the password, or the user, is wrong",
    "no password supplied": "it wants a password; a file of passwords is left out if others may read it",
    "certificate verify failed": "its certificate is not one that is trusted here",
    "does not match host name": "its certificate is another server's",
    "root certificate file": "there is no file of certificates that are trusted where sslrootcert says",
    "does not support SSL": "it does not speak TLS",
    "does not exist": "there is no such database or user",
    "no pg_hba.conf entry": "the server does not let this user in from here",
    "too many clients": "it has no connection left",
    "is starting up": "it is starting",
    "is shutting down": "it is stopping",
}
"""Explanations of refused connections, by words of the server: the driver gives no SQLSTATE for them."""
_PASSING_REFUSALS = frozenset({"too many clients", "is starting up", "is shutting down"})


def database_problem(name: str, error: sa.exc.SQLAlchemyError) -> DatabaseError:
    """Return a driver's error as a sentence without values of rows and without a password."""
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else None
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    if code is None and isinstance(error, sa.exc.OperationalError):
        words = next((words for words in _REFUSALS if words in str(original)), "")
        meaning, is_passing = _REFUSALS.get(words, "it is not reached"), not words or words in _PASSING_REFUSALS
    else:
        family = next((known for known in _MEANINGS if (code or "").startswith(known)), "")
        meaning = _MEANINGS.get(family) or code or type(original or error).__name__
        is_passing = isinstance(error, (sa.exc.OperationalError, sa.exc.TimeoutError, sa.exc.InterfaceError))
    return DatabaseError(f"the database {name} does not answer or refuses: {meaning}", is_passing=is_passing)
