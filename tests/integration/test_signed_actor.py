"""Who acts is signed: a name that the console's key did not sign counts for nothing on the daemon's socket."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
import typer
from typer.testing import CliRunner

from recorder.access.signing import (
    GOOD_FOR_S,
    MOST_NONCES,
    Said,
    Signer,
    UnsignedError,
    Verifier,
    ensure_key,
    public_path,
    secret_path,
)
from recorder.cli.cli import app
from recorder.common.home import Home
from recorder.config.node_options import NodeOptions
from recorder.control.client import LiveClient
from recorder.control.errors import DaemonRefusedError
from recorder.control.headers import ACTOR_HEADER, SIGNATURE_HEADER
from recorder.control.site import open_site
from storage.database import Database
from storage.errors import KeyProblemError
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.unix_transport import UnixTransport

SAID = Said(method="POST", target="/api/calls/x/pause", actor="anna", content=b'{"reason": ""}')
NOBODY = 65_534


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pair(tmp_path: Path, clock: Clock) -> tuple[Signer, Verifier]:
    ensure_key(tmp_path)
    return Signer(tmp_path, clock=clock), Verifier(tmp_path, clock=clock)


def test_what_is_signed_is_believed_once(pair: tuple[Signer, Verifier], clock: Clock) -> None:
    signer, verifier = pair
    header = signer.sign(SAID)
    clock.now_s += GOOD_FOR_S - 1
    verifier.check(SAID, header)
    with pytest.raises(UnsignedError, match="was used before"):
        verifier.check(SAID, header)
    verifier.check(SAID, signer.sign(SAID))


@pytest.mark.parametrize(
    "other",
    [
        {"method": "GET"}, {"target": "/api/calls/x/opt-out"}, {"actor": "dora"}, {"content": b'{"reason": "x"}'},
        {"target": "/api/calls/x", "actor": "/pauseanna"},
    ],
)  # fmt: skip
def test_nothing_of_it_can_be_changed(pair: tuple[Signer, Verifier], other: dict[str, str]) -> None:
    signer, verifier = pair
    fields = {"method": SAID.method, "target": SAID.target, "actor": SAID.actor, "content": SAID.content, **other}
    with pytest.raises(UnsignedError, match="the request was changed"):
        verifier.check(Said(**fields), signer.sign(SAID))  # type: ignore[arg-type]


def test_an_old_one_and_one_of_before_the_daemon_began_are_refused(tmp_path: Path, clock: Clock) -> None:
    ensure_key(tmp_path)
    before = Signer(tmp_path, clock=clock).sign(SAID)
    clock.now_s += 1
    verifier = Verifier(tmp_path, clock=clock)
    old = Signer(tmp_path, clock=clock).sign(SAID)
    with pytest.raises(UnsignedError, match="is too old"):
        verifier.check(SAID, before)
    clock.now_s += GOOD_FOR_S + 1
    with pytest.raises(UnsignedError, match="is too old"):
        verifier.check(SAID, old)


def test_one_of_another_start_of_the_machine_is_refused(
    pair: tuple[Signer, Verifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, verifier = pair
    header = signer.sign(SAID)
    monkeypatch.setattr("recorder.access.signing.boot_id", lambda: "another")
    with pytest.raises(UnsignedError, match="the request was changed"):
        verifier.check(SAID, header)


@pytest.mark.parametrize("header", ["", "1;1;2;3", "junk", "2" + ";" * 3, "1;" + "9" * 15 + ";" + "a" * 32 + ";"])
def test_what_is_no_signature_is_refused(pair: tuple[Signer, Verifier], header: str) -> None:
    with pytest.raises(UnsignedError, match="not signed"):
        pair[1].check(SAID, header)


def test_a_key_of_another_home_is_not_believed(tmp_path: Path, clock: Clock) -> None:
    ensure_key(tmp_path / "a")
    ensure_key(tmp_path / "b")
    with pytest.raises(UnsignedError, match="another key"):
        Verifier(tmp_path / "a", clock=clock).check(SAID, Signer(tmp_path / "b", clock=clock).sign(SAID))


def test_signatures_are_remembered_within_bounds(
    pair: tuple[Signer, Verifier], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_NONCES >= 1000 * GOOD_FOR_S
    monkeypatch.setattr("recorder.access.signing.MOST_NONCES", 2)
    signer, verifier = pair
    for _ in range(2):
        verifier.check(SAID, signer.sign(SAID))
    with pytest.raises(UnsignedError, match="too many requests"):
        verifier.check(SAID, signer.sign(SAID))
    clock.now_s += 2 * GOOD_FOR_S + 1
    verifier.check(SAID, signer.sign(SAID))


def test_the_key_may_come_after_the_daemon(tmp_path: Path, clock: Clock) -> None:
    verifier = Verifier(tmp_path, clock=clock)
    with pytest.raises(UnsignedError, match="start the console"):
        verifier.check(SAID, "1;1000000;" + "a" * 32 + ";" + "A" * 86 + "==")
    verifier.check(SAID, Signer(tmp_path, clock=clock).sign(SAID))


def test_another_user_checks_and_cannot_sign_nor_write_accounts(tmp_path: Path) -> None:
    """The daemon's user reads the public half only: two uids, where the tests run as root."""
    if os.getuid() != 0:
        pytest.skip("becoming another user takes root")
    root = RecorderHome(tmp_path, next_hop="127.0.0.1:5070").root
    header = Signer(root).sign(SAID)
    for folder in (root, root / "keys", root / "keys" / "actor", *tmp_path.parents[:-1], tmp_path):
        if folder.stat().st_uid == 0 and str(folder) != "/tmp":
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o011)
    for path in (root / "people.sqlite", secret_path(root)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    child = os.fork()
    if child == 0:
        os._exit(_as_nobody(root, header))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _as_nobody(root: Path, header: str) -> int:
    """Do what the daemon's user may, and try what it may not; returns which of it went wrong, or 0."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    clock = Clock()
    clock.now_s = 0.0
    verifier = Verifier(root, clock=clock)
    at_ms = int(header.split(";")[1])
    clock.now_s = at_ms / 1000
    verifier.check(SAID, header)
    try:
        Signer(root).sign(SAID)
    except KeyProblemError:
        pass
    else:
        return 1
    for path in (root / "people.sqlite", secret_path(root)):
        for flags in (os.O_RDONLY, os.O_WRONLY):
            try:
                os.open(path, flags)
            except PermissionError:
                continue
            return 2
    for path in (public_path(root), root / "people.sqlite"):
        try:
            path.unlink()
        except PermissionError:
            continue
        return 3
    return 0


# --- the socket


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path_factory.mktemp("signed"), next_hop="127.0.0.1:5070") as made:
        yield made


@pytest.fixture
def stranger(home: RecorderHome) -> Iterator[httpx2.Client]:
    """Return whoever may open the socket and has no key."""
    with httpx2.Client(transport=UnixTransport(home.root / "recorder.sock"), base_url="http://recorder") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/calls", None),
        ("GET", "/api/opt-outs", None),
        ("POST", "/api/extensions/2001/opt-out", {"person": {"display_name": "x", "roles": ["dpo"]}, "reason": "why"}),
        ("POST", "/api/extensions/2001/resume", {"person": {"display_name": "x", "roles": ["dpo"]}}),
        ("POST", "/api/extensions/2001/pause", {"as": "token:till"}),
        ("POST", "/api/agents/2001/sign-on", {"operator": "mallory"}),
        ("POST", "/api/reload", None),
    ],
)
def test_a_made_up_actor_is_refused(
    stranger: httpx2.Client, method: str, path: str, body: dict[str, object] | None
) -> None:
    for actor in ("dora", "recorder:console", "token:till"):
        answer = stranger.request(method, path, json=body, headers={ACTOR_HEADER: actor})
        assert answer.status_code == 403, answer.text
        assert "not signed" in answer.json()["detail"]
    again = stranger.request(method, path, json=body, headers={ACTOR_HEADER: "dora", SIGNATURE_HEADER: "1;2;3;4"})
    assert again.status_code == 403


def test_a_token_that_nobody_signed_for_is_refused(stranger: httpx2.Client, home: RecorderHome) -> None:
    body = {"as": "token:till"}
    for answer in (
        stranger.post("/api/extensions/2001/pause", json=body),
        home.act("/api/extensions/2001/pause", by="anna", **body),
    ):
        assert (answer.status_code, "with a token" in answer.text) == (403, True)


def test_a_signature_is_good_for_one_request_only(stranger: httpx2.Client, home: RecorderHome) -> None:
    said = Said(method="GET", target="/api/calls", actor="dora", content=b"")
    headers = {ACTOR_HEADER: "dora", SIGNATURE_HEADER: Signer(home.root).sign(said)}
    assert stranger.get("/api/opt-outs", headers=headers).status_code == 403
    assert stranger.get("/api/calls", headers=headers).status_code == 200
    assert stranger.get("/api/calls", headers=headers).status_code == 403


@pytest.mark.parametrize("word", ["sign-on", "sign-off"])
def test_who_sits_where_is_changed_by_a_person(stranger: httpx2.Client, word: str) -> None:
    body = {"person": {"display_name": "mallory", "roles": ["officer"]}}
    answer = stranger.post(f"/api/agents/2001/{word}", json=body)
    assert (answer.status_code, "a person with an account" in answer.text) == (403, True)


def agents_of(home: RecorderHome) -> list[dict[str, object]]:
    with LiveClient(home.root / "recorder.sock", signer=Signer(home.root)) as client:
        return client.agents()


def test_who_sits_where_is_named_to_who_is_signed_for(stranger: httpx2.Client, home: RecorderHome) -> None:
    shown = stranger.get("/api/agents").raise_for_status().json()
    assert [one["extension"] for one in shown["agents"]] == [one["extension"] for one in agents_of(home)]
    assert [sorted(one) for one in shown["agents"]] == [["extension", "is_signed_on", "service", "team"]] * len(
        shown["agents"]
    )
    assert shown["takeovers"] == []
    assert all("operator" in one for one in agents_of(home))


def test_without_a_name_calls_can_be_seen_and_paused_as_before(stranger: httpx2.Client) -> None:
    assert stranger.get("/api/calls").status_code == 200
    assert stranger.post("/api/extensions/2001/pause", json={}).status_code == 404, "there is no call, and no refusal"


def test_up_says_what_one_user_does_not_protect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = RecorderHome(tmp_path, next_hop="127.0.0.1:5070").root

    def start(*_: object) -> None:
        raise typer.Exit(1)

    monkeypatch.setattr("recorder.cli.service.start", start)
    secret_path(root).unlink()
    public_path(root).unlink()
    said = CliRunner().invoke(app, ["up", "-C", str(root)]).stderr
    assert "run as one user of the operating system" in said
    assert secret_path(root).exists(), "a home of a version before this gets its key before the daemon starts"


def test_up_says_that_it_runs_already(home: RecorderHome) -> None:
    home.edit('[console]\nlisten = "off"', '[console]\nlisten = "127.0.0.1:8080"')
    try:
        done = CliRunner().invoke(app, ["up", "-C", str(home.root)])
    finally:
        home.edit('[console]\nlisten = "127.0.0.1:8080"', '[console]\nlisten = "off"')
    assert home.daemon is not None
    assert done.exit_code == 1
    assert done.stderr == (
        f"recorder: the recorder in {home.root} runs already: process {home.daemon.pid}, "
        "console on http://127.0.0.1:8080\n"
    )


def test_the_console_is_told_of_takeovers(home: RecorderHome) -> None:
    with LiveClient(home.root / "recorder.sock") as unsigned, pytest.raises(DaemonRefusedError):
        unsigned.takeovers()
    with (
        closing(Database("sqlite://")) as database,
        open_site(Home(home.root), NodeOptions(), database, Signer(home.root)) as site,
    ):
        assert site.takeovers() == site.opt_outs() == []
