"""The systemd units: two users with the rights that `recorder share` gives, and no more."""

from pathlib import Path

from recorder.access.signing import secret_path
from recorder.common.home import Home
from recorder.recordings.home_rights import WRITTEN

DEPLOY = Path(__file__).parents[3] / "deploy"
HOME = Home(Path("/var/lib/council-recorder"))


def unit(name: str) -> dict[str, list[str]]:
    """Return the values of each key; keys that take lists may be there several times."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text().splitlines():
        key, is_key, value = line.partition("=")
        if is_key and not line.startswith("#"):
            found.setdefault(key, []).extend(value.split())
    return found


DAEMON, CONSOLE = unit("council-recorder.service"), unit("council-recorder-console.service")


def test_daemon_and_console_are_two_users_of_one_group() -> None:
    assert (DAEMON["User"], CONSOLE["User"]) == (["council-recorder"], ["council-console"])
    assert (DAEMON["Group"], CONSOLE["Group"]) == (DAEMON["User"], CONSOLE["User"])
    assert DAEMON["SupplementaryGroups"] == CONSOLE["SupplementaryGroups"] == ["council-shared"]


def test_the_daemon_writes_the_shared_folders_alone() -> None:
    written = {Path(path.removeprefix("-")).relative_to(HOME.root).as_posix() for path in DAEMON["ReadWritePaths"]}
    assert written == set(WRITTEN)
    assert CONSOLE["ReadWritePaths"] == [str(HOME.root)]


def test_the_daemon_does_not_see_keys_and_accounts() -> None:
    unseen = {Path(path.removeprefix("-")) for path in DAEMON["InaccessiblePaths"]}
    assert unseen == {HOME.private_keys, secret_path(HOME.root), HOME.people}


def test_neither_has_a_right_of_root() -> None:
    for found in (DAEMON, CONSOLE):
        assert (found["CapabilityBoundingSet"], found["AmbientCapabilities"]) == ([], [])
        assert found["NoNewPrivileges"] == ["yes"]
        assert found["ProtectSystem"] == ["strict"]
