"""A chain of custody: everybody who had something of a case, a log that is unbroken, files that are the same."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner, Result

from recorder.cli.cli import app
from recorder.common.problems import ProblemError
from recorder.data_subjects import casework
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.data_subjects.custody import NO_COPY, Custody, custody_of, custody_to_json
from recorder.permissions import Actor
from recorder.rules.cases import CaseEvent, CaseKind
from recorder.web import case_pages
from storage.types import Search
from tests.helpers.console_site import Browser, Console, console_site, signed_in
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.storage_home import ID

CROWD = 45
"""More than the 40 threads that answer, and fewer than a session may have in progress."""


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path, is_daemon_up=False) as running:
        yield running


def disclosed(console: Console) -> str:
    """Take a case from the request to what became of the copy; returns its reference."""
    repos, lead, dpo = console.deps.cases, console.person("lead"), console.person("dpo")
    case = casework.open_case(
        repos, lead, kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="letter", text="my call"
    )

    def step(what: CaseEvent, text: str, **details: str) -> None:
        who = dpo if what is CaseEvent.DECIDED else lead
        casework.add_event(repos, who, case.id, what, text=text, details=details)

    step(CaseEvent.IDENTITY_CHECKED, "tax account")
    list(casework.search_for(repos, lead, case.id, Search(operator="Olive Officer")))
    casework.match(repos, lead, case.id, [ID])
    step(CaseEvent.DECIDED, "it is hers", decision="disclose")
    return case.id


def copy(browser: Browser, folder: Path, case: str) -> Path:
    answer = browser.submit(
        f"/recordings/{ID}/export", format="wav", reason="the copy", ground="sar", requester="J. Doe", case=case
    )
    assert answer.status_code == 200, answer.text[:500]
    path = folder / "copy.wav"
    path.write_bytes(answer.content)
    return path


def chain(console: Console, case: str, *files: Path, by: str = "dpo") -> Custody:
    return custody_of(console.deps.cases, console.person(by), case, files)


def test_who_has_many_chains_proven_takes_one_thread_and_not_all(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, is_over = disclosed(console), threading.Event()
    proven = chain(console, case)

    def slowly(_repos: CaseRepositories, _actor: Actor, _case_id: str) -> Custody:
        assert is_over.wait(30)
        return proven

    monkeypatch.setattr(case_pages, "custody_of", slowly)
    sent = threading.Semaphore(0)
    with signed_in(console, "lead") as lead, ThreadPoolExecutor(CROWD) as crowd:
        cookies, hooks = dict(lead.cookies), {"request": [lambda _request: sent.release()]}
        with httpx2.Client(base_url=console.url, cookies=cookies, timeout=60, event_hooks=hooks) as site:
            asked = [crowd.submit(site.get, f"/cases/{case}/custody") for _ in range(CROWD)]
            try:
                for _ in range(CROWD):
                    assert sent.acquire(timeout=10)
                    assert lead.get("/api/session", timeout=5).status_code == 200
            finally:
                is_over.set()
            assert {one.result().status_code for one in asked} == {200}


def test_everybody_who_had_something_is_in_it_and_it_is_proven(console: Console, tmp_path: Path) -> None:
    case = disclosed(console)
    with signed_in(console, "lead") as lead:
        path = copy(lead, tmp_path, "")
        for word, text in [
            ("handed_over", "by recorded post"), ("passphrase_told", "by telephone, on the number of her account"),
            ("received", "she telephoned"), ("returned", "nothing came back"), ("destroyed", "she says so"),
        ]:  # fmt: skip
            assert lead.submit(f"/cases/{case}/step", step=word, text=text).status_code == 303, word
        page = lead.get(f"/cases/{case}/custody").text
        assert "Proven." in page
        assert "by telephone, on the number of her account" in page
    found = chain(console, case, path)
    assert found.is_proven
    what = [hand.what for hand in found.hands]
    order = [
        "Opened a case", "Confirmed the identity", f"Took a recording into a case: {ID}", "Decided a case: disclose",
        "Took a copy as WAV", "Copy ", "Handed over the copies", "Gave the passphrase",
        "Noted that the copies of a case were received", "Noted that the copies of a case came back",
        "Noted that copies of a case were destroyed",
    ]  # fmt: skip
    at = [next(place for place, words in enumerate(what) if words.startswith(one)) for one in order]
    assert at == sorted(at), what
    assert any(words == "Placed a legal hold" for words in what)
    assert any(words.startswith("Granted the request of lead") for words in what)
    assert [one.is_good for one in found.copies.values()] == [True]
    assert "Copy " in found.copies[str(path)].words
    assert found.recordings[ID].sha256 == console.deps.index.get(ID).sha256
    assert custody_to_json(found)["hands"][0]["who"] == "lead"
    assert console.entries("case.custody_read")[-1].actor == "dpo"


def test_what_is_not_as_it_was_is_said(console: Console, tmp_path: Path) -> None:
    case = disclosed(console)
    with signed_in(console, "lead") as lead:
        path = copy(lead, tmp_path, "")
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        changed = chain(console, case, path)
        assert not changed.is_proven
        assert changed.copies[str(path)].words == NO_COPY

        row = console.deps.index.get(ID)
        container = console.deps.copy_repositories.vault.locate(row.path or "")
        content = bytearray(container.read_bytes())
        content[len(content) // 2] ^= 1
        container.chmod(0o600)
        container.write_bytes(content)
        assert not chain(console, case).recordings[ID].is_good
        assert "Not proven" in lead.get(f"/cases/{case}/custody").text
        content[len(content) // 2] ^= 1
        container.write_bytes(content)
        assert chain(console, case).is_proven

        log = console.home.audit / "audit.log"
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(line for line in lines if b'"case.decided"' not in line))
        broken = chain(console, case)
        assert broken.log_problems
        assert not broken.is_proven
        assert "The audit log was changed after it was written" in lead.get(f"/cases/{case}/custody").text


def test_free_words_of_others_are_for_who_may_read_the_log(console: Console) -> None:
    case = disclosed(console)
    console.give_leave("officer")
    assert any("complaint 17" in hand.text for hand in chain(console, case, by="dpo").hands)
    theirs = chain(console, case, by="lead").hands
    assert all("complaint 17" not in hand.text for hand in theirs)
    assert any(hand.text == "tax account" for hand in theirs)


def test_who_does_not_work_on_cases_sees_none(console: Console) -> None:
    case = disclosed(console)
    with pytest.raises(ProblemError, match="work on cases"):
        chain(console, case, by="officer")
    with signed_in(console, "officer") as officer:
        assert officer.get(f"/cases/{case}/custody").status_code == 403
    with signed_in(console, "lead") as lead:
        assert lead.get("/cases/SAR-2026-0009/custody").status_code == 404


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        yield home


def test_at_the_shell(home: RecorderHome) -> None:
    def sar(*words: str) -> Result:
        return CliRunner().invoke(app, ["sar", *words, *home.as_admin(), "-C", str(home.root)])

    opened = sar("open", "--requester", "J. Doe", "--form", "letter", "--on", "2026-11-02", "--json")
    case = json.loads(opened.stdout)["id"]
    assert sar("received", case, "--reason", "she telephoned").exit_code == 1, "nothing was handed over"
    found = sar("custody", case, "--json")
    document = json.loads(found.stdout)
    assert (found.exit_code, document["is_proven"], document["audit_log"]["problems"]) == (0, True, [])
    assert [one["what"] for one in document["hands"]] == ["Opened a case"]
    assert "unchanged" in sar("custody", case).output
    other = home.root / "other.txt"
    other.write_text("not a copy")
    assert sar("custody", case, "--file", str(other)).exit_code == 1
    assert sar("custody", case, "--file", str(home.root / "none")).exit_code == 2
