"""The private keys that a home's configuration names, with their passphrase."""

from pathlib import Path

from recorder.access.passwords import weakness
from recorder.common.home import Home
from recorder.config.settings import Config
from storage.epochs import EpochKeys, names_in
from storage.errors import KeyProblemError
from storage.key_files import read_secret
from storage.vault import Vault


def private_folder(home: Home, config: Config) -> Path:
    """Return the folder of a home's private keys, if they are on this machine."""
    return Path(config.storage.private_keys) if config.storage.private_keys else home.private_keys


def months_without_key(folder: Path, vault: Vault) -> list[str]:
    """Return the months to which recordings are sealed and whose private key is not in a folder, oldest first."""
    have = set(names_in(folder, ".key"))
    return [one for one in vault.sealed.epochs() if one not in have and next(vault.sealed.each(one), None) is not None]


def epoch_keys(home: Home, config: Config, passphrase_file: Path | None = None) -> EpochKeys:
    """Return the key holder's keys of a home; no key is opened yet.

    Args:
        home: The recorder's home.
        config: Its configuration.
        passphrase_file: Instead of the configured one.

    Raises:
        KeyProblemError: The passphrase file cannot be read, is empty, or others can read it.
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
    """Return a passphrase for encrypting private keys from now on.

    Raises:
        KeyProblemError: As for `read_passphrase`, or it is too easy to guess.
    """
    passphrase = read_passphrase(file)
    problem = weakness(passphrase.decode("utf-8", "replace"), account="")
    if problem is not None:
        raise KeyProblemError(f"{file}: {problem.replace('password', 'passphrase')}")
    return passphrase
