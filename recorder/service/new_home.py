"""Creates a recorder's home: configuration, keys, databases, messages, the first account."""

from recorder.access.account_key import AccountKey
from recorder.access.account_rows import PeopleError
from recorder.access.accounts import FOUNDER_ROLES, People
from recorder.access.database import open_accounts
from recorder.access.signing import ensure_key
from recorder.calls.notices import NoticeError, NoticeStore, install_shipped
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config import config_file
from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from recorder.recordings.keyring import epoch_keys
from recorder.retention.sweep_state import IN_FORCE
from storage.audit import AuditLog
from storage.database import sqlite_url
from storage.errors import AuditUnavailableError, StorageError
from storage.index import Index
from storage.keys import NodeKeys


class NewHomeError(Exception):
    """The home could not be created; the message is a sentence. The folder is empty again."""


def make_home(home: Home, answers: config_file.Answers, password: str, *, os_user: str) -> None:
    """Create a home in a folder that is empty or missing.

    Args:
        home: The new home.
        answers: Answers to the questions of ``recorder init``.
        password: Password of the first account.
        os_user: User of the operating system who creates it, for the audit log.

    Raises:
        NewHomeError: It cannot be created.
    """
    now = utc_now()
    try:
        home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        home.root.chmod(0o700)
    except OSError as error:
        raise NewHomeError(f"{home.root}: {error.strerror}") from error
    try:
        home.config.touch(mode=0o600)
        home.config.write_text(config_file.text(answers, now.date()))
        config = read_config(home.config)
        note = People(open_accounts(home, None), now=utc_now).add(answers.admin, password, roles=FOUNDER_ROLES)
        NodeKeys.create(home.root)
        ensure_key(home.root)
        AccountKey(home.people).create()
        epoch_keys(home, config).ensure_epochs(now)
        Index(sqlite_url(home.index)).close()
        install_shipped(NoticeStore(home.notices))
    except (ConfigError, PeopleError, StorageError, NoticeError, OSError) as error:
        _empty(home)
        raise NewHomeError(str(error)) from error
    home.state.mkdir(mode=0o700, exist_ok=True)
    home.recordings.mkdir(mode=0o700, exist_ok=True)
    decided = {
        "notice_when": answers.notice_when.value,
        "card_payment": answers.card_payment.value,
        "erase_on_opt_out": answers.erase_on_opt_out,
        "decided_by": answers.decided_by,
    }
    in_force = {"periods": dict(config.periods), "before": None, "most_share": config.retention.most_share_a_day}
    actor, user = f"os:{os_user}", {"os_user": os_user}
    audit = AuditLog(home.audit)
    try:
        audit.append(act="recorder.init", actor=actor, subject="", details={**decided, **user})
        audit.append(act=note.act, actor=actor, subject=note.subject, details={**note.details, **user})
        audit.append(act=IN_FORCE, actor=actor, subject="", details={**in_force, **user})
    except AuditUnavailableError as error:
        _empty(home)
        raise NewHomeError(str(error)) from error


def make_node_home(home: Home) -> bool:
    """Create a home for a node of a site with several recorders, in a folder that is empty or missing.

    It has no accounts, no private keys and no configuration. The node's own keys are made with its request.

    Returns:
        Whether it was created; False: there is a home already.

    Raises:
        NewHomeError: The folder is not empty and no home, or cannot be written.
    """
    if (home.root / "keys").is_dir():
        return False
    try:
        home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if others := sorted(path.name for path in home.root.iterdir() if path != home.config):
            raise NewHomeError(f"{home.root} is neither empty nor a recorder's home: it has {others[0]}")
        home.root.chmod(0o700)
        install_shipped(NoticeStore(home.notices))
        for folder in (home.state, home.recordings):
            folder.mkdir(mode=0o700, exist_ok=True)
    except (NoticeError, OSError) as error:
        raise NewHomeError(f"{home.root}: {error}") from error
    return True


def _empty(home: Home) -> None:
    for path in sorted(home.root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
