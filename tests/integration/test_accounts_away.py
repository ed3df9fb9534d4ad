"""A console whose accounts are on a PostgreSQL server that stops: open pages pause, and nothing else is let through."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner, Result

from benchmarks.postgres import PostgresServer
from recorder.access import reachability
from recorder.cli.cli import app
from recorder.permissions import Scope
from recorder.web import auth, recent_checks
from tests.helpers.accounts import PASSWORD, add_token
from tests.helpers.console_site import NO_TLS, Browser, Console, console_site, refused, signed_in
from tests.helpers.recorder_home import HANGS_S, eventually
from tests.helpers.starvation import stopwatch
from tests.helpers.storage_home import ID

SAID = "Accounts cannot be checked at the moment"


@pytest.fixture
def console(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """A console with accounts on the server, which is tried again soon and may answer late: see `in_a_hurry`."""
    monkeypatch.setattr(reachability, "AGAIN_S", 0.2)
    monkeypatch.setattr(auth, "CHECK_S", HANGS_S)
    url = postgres.new_database().partition("?")[0]  # with the product's own limit for connecting
    with console_site(tmp_path, database_url=url) as site:
        site.home.config.write_text(
            f'[storage]\nindex_url = "{url}"\naccounts_url = "{url}"\n[console]\nsecond_factor = "off"\n'
        )
        yield site


@pytest.fixture
def in_a_hurry(console: Console, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Limits from then on how long a check takes, as the product does."""
    return lambda: monkeypatch.setattr(auth, "CHECK_S", recent_checks.CHECK_S)


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    """The server is away until the end."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    """The server keeps its connections and answers nothing until the end."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    processes = [server.pid, *map(int, children)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in reversed(processes):
            os.kill(process, signal.SIGCONT)


def token_client(console: Console, *, scopes: list[Scope]) -> httpx2.Client:
    secret = add_token(console.deps.tokens, "payments", scopes=scopes).secret
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx2.Client(base_url=console.url, headers=headers, timeout=HANGS_S, verify=NO_TLS)


def call_of(console: Console) -> str:
    return str(console.daemon.calls_rows()[0]["call"])


def heard(console: Console) -> list[str]:
    return [one[0].split()[0] for one in console.daemon.heard]


def away(answer: httpx2.Response) -> bool:
    return answer.status_code == 503 and SAID in answer.text


def test_open_pages_and_tokens_pause_and_everything_else_is_refused(console: Console, postgres: PostgresServer) -> None:
    call = call_of(console)
    with (
        signed_in(console, "revenues") as manager,
        signed_in(console, "dpo") as dpo,
        signed_in(console, "ict") as ict,
        token_client(console, scopes=[Scope.PAUSE]) as payments,
    ):
        assert manager.get("/live").status_code == 200
        assert payments.post(f"/api/calls/{call}/pause").status_code == 200
        with stopped(postgres):
            took_s = stopwatch(os.getpid())
            for answer in (
                manager.post(f"/api/calls/{call}/pause"), manager.submit(f"/live/{call}/pause"),
                payments.post(f"/api/calls/{call}/pause"), manager.get("/live"), manager.get("/live/rows"),
                manager.get("/agent"), manager.get("/api/calls"),
            ):  # fmt: skip
                assert answer.status_code == 200, answer.text
            assert took_s() < 4.0
            assert heard(console) == ["pause"] * 4
            assert {"accounts_unavailable", "index_unavailable"} <= set(re.findall("[a-z_]+", ict.get("/health").text))
            for name, answer in {
                "resume by a page": manager.submit(f"/live/{call}/resume"),
                "opt-out": manager.submit(f"/live/{call}/opt-out", caller_asked="on", reason="a good one"),
                "retroactive pause": manager.submit(f"/live/{call}/forgot"),
                "listening": dpo.submit(f"/recordings/{ID}/play", reason="a good one"),
                "a recording, whose grants nobody knows": dpo.get(f"/recordings/{ID}"),
                "another's cookie": httpx2.get(
                    f"{console.url}/live", cookies={console.gate.cookies.session: "never seen"}, verify=NO_TLS
                ),
            }.items():
                assert away(answer), (name, answer.status_code, answer.text)
            for client in (manager, payments):
                assert SAID in refused(client.post(f"/api/calls/{call}/resume"), 503)
            with Browser(console.url) as other:
                assert away(other.sign_in("dpo", PASSWORD))
            assert heard(console) == ["pause"] * 4, "what cannot be checked was done"
            assert away(dpo.submit("/sign-out"))
            assert away(dpo.get("/live")), "who signed out goes on"
        eventually(lambda: "accounts_unavailable" not in ict.get("/health").text, "the server is tried again")
        assert manager.post(f"/api/calls/{call}/resume").status_code == 200
        assert payments.post(f"/api/calls/{call}/resume").status_code == 200
    assert heard(console) == ["pause"] * 4 + ["resume"] * 2


def test_who_ended_a_session_at_this_console_does_not_go_on_by_it(console: Console, postgres: PostgresServer) -> None:
    with (
        signed_in(console, "dpo") as stays,
        signed_in(console, "dpo") as left,
        signed_in(console, "officer") as stolen,
        signed_in(console, "officer") as officer,
        signed_in(console, "other") as former,
        signed_in(console, "other") as other,
    ):
        copied = dict(left.cookies)
        assert left.submit("/sign-out").status_code == 303
        assert officer.submit("/account/sign-out-everywhere").status_code == 303
        new = "copper walrus teapot"
        assert other.submit("/account/password", password=PASSWORD, new=new, again=new).status_code == 303
        with stopped(postgres):
            assert stays.get("/live").status_code == 200
            for answer in (
                httpx2.get(f"{console.url}/live", cookies=copied, verify=NO_TLS), stolen.get("/agent"),
                former.get("/agent"),
            ):  # fmt: skip
                assert away(answer), answer.text


def test_a_quarter_of_an_hour_later_nobody_goes_on(
    console: Console, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_checks, "GOOD_FOR_S", 0.0)
    call = call_of(console)
    with signed_in(console, "revenues") as manager, token_client(console, scopes=[Scope.PAUSE]) as payments:
        assert payments.post(f"/api/calls/{call}/pause").status_code == 200
        assert manager.get("/live").status_code == 200
        with stopped(postgres):
            assert away(manager.get("/live"))
            for client in (manager, payments):
                assert SAID in refused(client.post(f"/api/calls/{call}/pause"), 503)
    assert heard(console) == ["pause"]


def test_a_server_that_hangs_delays_a_pause_by_half_a_second_and_no_other(
    console: Console, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, in_a_hurry: Callable[[], None]
) -> None:
    monkeypatch.setattr(reachability, "AGAIN_S", 60.0)
    call = call_of(console)
    with signed_in(console, "revenues") as manager:
        assert manager.get("/live").status_code == 200
        in_a_hurry()
        with frozen(postgres):
            took_s = []
            for _ in range(3):
                taken_s = stopwatch(os.getpid())
                assert manager.post(f"/api/calls/{call}/pause").status_code == 200
                took_s.append(taken_s())
            assert max(took_s) < 1.5
            assert max(took_s[1:]) < 0.4
            assert SAID in refused(manager.post(f"/api/calls/{call}/resume"), 503)
    assert heard(console) == ["pause"] * 3


def test_commands_use_the_server_and_without_it_only_a_pause_goes_on(
    console: Console, postgres: PostgresServer, tmp_path: Path
) -> None:
    (password := tmp_path / "password").write_text(PASSWORD)
    password.chmod(0o600)

    def run(*words: str, name: str) -> Result:
        given = [*words, "-C", str(console.home.root), "--as", name, "--password-file", str(password)]
        return CliRunner().invoke(app, given)

    call = call_of(console)
    listed = run("users", "list", "--json", name="admin")
    assert {"dpo", "revenues"} <= {one["name"] for one in json.loads(listed.stdout)}, listed.output
    assert not console.home.people.exists()
    with stopped(postgres):
        paused = run("pause", "--call", call, name="revenues")
        assert (paused.exit_code, heard(console)) == (0, ["pause"]), paused.output
        assert "cannot be checked" in paused.stderr
        assert "without an account" in paused.stderr
        for words, name in ((("resume", "--call", call), "revenues"), (("users", "list"), "admin")):
            refused = run(*words, name=name)
            assert (refused.exit_code, "accounts cannot be checked" in refused.stderr) == (1, True), refused.output
    assert heard(console) == ["pause"]
    eventually(
        lambda: run("resume", "--call", call, name="revenues").exit_code == 0, "the server is tried again"
    )  # fmt: skip
    assert heard(console) == ["pause", "resume"]


@pytest.mark.long
def test_searches_that_wait_for_a_server_that_hangs_take_no_thread_from_a_pause(
    console: Console, postgres: PostgresServer, in_a_hurry: Callable[[], None]
) -> None:
    call, statuses = call_of(console), list[int]()
    with signed_in(console, "revenues") as manager, signed_in(console, "dpo") as dpo:
        assert dpo.get("/recordings").status_code == manager.get("/live").status_code == 200
        cookies = dict(dpo.cookies)
        in_a_hurry()

        def search() -> None:
            answer = httpx2.get(f"{console.url}/recordings", cookies=cookies, verify=NO_TLS, timeout=HANGS_S)
            statuses.append(answer.status_code)

        searches = [threading.Thread(target=search) for _ in range(60)]
        with frozen(postgres):
            for one in searches:
                one.start()
            time.sleep(1.0)
            taken_s = stopwatch(os.getpid())
            assert manager.post(f"/api/calls/{call}/pause").status_code == 200
            took_s = taken_s()
        for one in searches:
            one.join()
    assert statuses.count(503) > 20, statuses
    assert took_s < 3.0  # six without limits
