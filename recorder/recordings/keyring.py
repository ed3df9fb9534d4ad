"""The private keys that a home's configuration names, opened with their passphrase."""

from pathlib import Path

from recorder.access.passwords import weakness
from recorder.common.home import Home
from recorder.config.settings import Config
from storage.epochs import EpochKeys
from storage.errors import KeyProblemError
from storage.key_files import read_secret


def private_folder(home: Home, config: Config) -> Path:
    """Return where the private keys of a home lie, if they are on this machine."""
    return Path(config.storage.private_keys) if config.storage.private_keys else home.private_keys


def epoch_keys(home: Home, config: Config, passphrase_file: Path | None = None) -> EpochKeys:
    """Return the key holder's side of a home; nothing is opened yet.

    Args:
        home: The recorder's home.
        config: Its configuration.
        passphrase_file: Instead of the one that is configured.

    Raises:
        KeyProblemError: The file of the passphrase cannot be read, is empty, or can be read by others.
    """
    configured = Path(config.storage.passphrase_file) if config.storage.passphrase_file else None
    file = passphrase_file or configured
    passphrase = None if file is None else read_passphrase(file)
    return EpochKeys(home.root / "keys" / "epochs", private_folder(home, config), passphrase=passphrase)


def read_passphrase(file: Path) -> bytes:
    """Return the passphrase in the first line of a file.

    Raises:
        KeyProblemError: It cannot be read, is empty, or others can read it.
    """
    lines = read_secret(file).splitlines()
    if not lines or not lines[0].strip():
        raise KeyProblemError(f"{file} holds no passphrase: its first line is empty")
    return lines[0]


def new_passphrase(file: Path) -> bytes:
    """Return a passphrase that is to seal private keys from now on.

    Raises:
        KeyProblemError: As `read_passphrase`, or it is too easy to guess.
    """
    passphrase = read_passphrase(file)
    problem = weakness(passphrase.decode("utf-8", "replace"), account="")
    if problem is not None:
        raise KeyProblemError(f"{file}: {problem.replace('password', 'passphrase')}")
    return passphrase
