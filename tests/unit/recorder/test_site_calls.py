"""Live calls of several nodes: what is merged, where an act goes, and what is said when a node does not answer."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recorder.control.client import LiveClient, OptOutGrant
from recorder.control.connections import DaemonAnswer
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.control.node_directory import NodeDirectory
from recorder.control.peer_tls import TlsPeer, peer_of
from recorder.control.site_calls import SiteCalls
from recorder.control.site_members import SiteMembers
from recorder.permissions import Person, Role
from recorder.rules.call_target import CallTarget, ExtensionTarget
from storage.errors import DatabaseError
from storage.nodes import AWAY_US, NodeRow
from tests.helpers.recorder_home import eventually

DORA = Person(name="dora", display_name="Dora", roles=frozenset({Role.MANAGER}))
GRANT = OptOutGrant(caller_asked=True, distress_judged=True, reason="asked")
NORTH, SOUTH = "north", "south"


class FakeNode:
    """Stands for the link to a daemon.

    Attributes:
        calls: Its calls by id, each with its extension.
        is_away: Whether it does not answer.
        is_dead: Whether its machine then says that nobody listens.
        asked: What it was asked: path and body.
        refusals: Status and sentence by the last part of the path, instead of an answer.
        repeatable: What it was asked that may be sent twice.
    """

    def __init__(self) -> None:
        self.calls: dict[str, str] = {}
        self.signed_on: str = ""
        self.is_away = self.is_dead = False
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.refusals: dict[str, tuple[int, str]] = {}
        self.repeatable: list[str] = []

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, *, is_idempotent: bool = False
    ) -> DaemonAnswer:
        if self.is_away:
            raise DaemonUnavailableError("Node did not answer in time", nobody_listens=self.is_dead)
        body = json.loads(content) if content else {}
        self.repeatable += [target] if is_idempotent else []
        if method == "POST":
            self.asked.append((target, body))
        status, document = self._answer(target, body)
        return DaemonAnswer(status=status, reason="", content=json.dumps(document).encode())

    def _answer(self, target: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        _, _, kind, *rest = target.split("/")
        if rest and rest[-1] in self.refusals:
            status, sentence = self.refusals[rest[-1]]
            return status, {"detail": sentence}
        if kind == "agents":
            return 200, self._agents(rest, body)
        if not rest:
            rows = [
                {"call": one, "id": one, "extensions_now": [number], "state": "recording", "started_at": one}
                for one, number in self.calls.items()
            ]
            return 200, {"calls": rows, "opt_outs": [{"id": f"0-{one}", "raised_at": one} for one in self.calls]}
        if kind == "extensions":
            found = [one for one, number in self.calls.items() if number == rest[0]]
            if not found and not body.get("is_spread"):
                return 404, {"detail": f"No recorded call of extension {rest[0]} is in progress."}
            return 200, {"calls": [{"call": one, "state": "paused"} for one in found]}
        is_known = rest[0].removeprefix("0-") in self.calls
        return (200, {"call": rest[0], "state": "paused"}) if is_known else (404, {"detail": f"no call {rest[0]}"})

    def _agents(self, rest: list[str], body: dict[str, Any]) -> dict[str, Any]:
        if not rest:
            agent = {"extension": "2001", "operator": self.signed_on or "Ann", "is_signed_on": bool(self.signed_on)}
            taken = {"extension": "2001", "operator": "Dora", "instead_of": "Ann", "at": "2026-11-29T08:00:00Z"}
            return {"agents": [{**agent, "until": "2026-11-29T20:00:00Z"}], "takeovers": [taken]}
        return {"operator": "Dora", "code": body.get("code", "123456")}

    def close(self) -> None:
        pass


def row(name: str, state: str = "accepting") -> NodeRow:
    return NodeRow(
        name=name, fingerprint="", address=f"{name}:7443", version="1", started_us=0, seen_us=100, state=state,
        calls=0, capacity=10,
    )  # fmt: skip


class Site:
    """Two nodes, of which north is this machine's."""

    def __init__(self, folder: Path) -> None:
        self.north, self.south = FakeNode(), FakeNode()
        self.rows = [row(NORTH), row(SOUTH)]
        self.directory = NodeDirectory(lambda: (self.rows, 100), folder / "nodes.json")
        local: Any = (NORTH, self.north)
        self.members = SiteMembers(self.directory, local, lambda _name, _address: self.south)  # type: ignore[arg-type,return-value]
        self.live = SiteCalls(self.members)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.north.calls, made.south.calls = {"c1": "2001"}, {"c2": "2001", "c3": "3001"}
    yield made
    made.live.close()


def paths(node: FakeNode) -> list[str]:
    return [path for path, _ in node.asked]


def test_lists_are_merged_with_the_node_of_each_call(site: Site) -> None:
    assert [(one["call"], one["node"]) for one in site.live.calls()] == [("c1", NORTH), ("c2", SOUTH), ("c3", SOUTH)]
    assert [one["id"] for one in site.live.opt_outs()] == ["0-c1", "0-c2", "0-c3"]
    assert len(site.live.takeovers()) == 1, "both nodes were told of one"


def test_the_node_is_not_shown_where_there_is_one(site: Site) -> None:
    site.rows.pop()
    assert site.live.calls() == [
        {"call": "c1", "id": "c1", "extensions_now": ["2001"], "state": "recording", "started_at": "c1"}
    ]


def test_a_pause_of_a_call_goes_to_its_node_and_to_other_calls_at_its_extension(site: Site) -> None:
    answer = site.live.pause(CallTarget("c2"), actor=DORA)
    assert (answer["call"], answer["also"]) == ("c2", [{"call": "c1", "state": "paused", "node": NORTH}])
    assert (paths(site.south), paths(site.north)) == (["/api/calls/c2/pause"], ["/api/extensions/2001/pause"])


def test_a_pause_is_the_one_act_that_may_be_sent_twice(site: Site) -> None:
    site.south.calls["c1"] = "2001"
    call, extension, live = CallTarget("c1"), ExtensionTarget("2001"), LiveClient(site.south)
    for target in (call, extension):
        live.resume(target, actor=DORA)
        live.pause_retroactively(target, person=DORA, seconds=5)
        live.second_message(target, person=DORA)
        live.opt_out(target, person=DORA, grant=GRANT)
    live.ask_opt_out("c1", person=DORA)
    live.grant_opt_out("0-c1", person=DORA, grant=GRANT)
    live.decline_opt_out("0-c1", person=DORA, reason="no")
    live.sign_on("2001", person=DORA, is_anothers=False)
    live.sign_off("2001", person=DORA)
    assert site.south.repeatable == []
    for target in (call, extension):
        live.pause(target, actor=DORA)
    assert site.south.repeatable == ["/api/calls/c1/pause", "/api/extensions/2001/pause"]


def test_a_pause_whose_other_node_is_away_is_done_and_says_so(site: Site) -> None:
    site.live.calls()
    site.south.is_away = True
    assert site.live.pause(CallTarget("c1"), actor=DORA)["not_confirmed"] == [SOUTH]


def test_an_act_on_a_call_of_a_node_that_is_away_is_not_confirmed(site: Site) -> None:
    site.live.calls()
    site.south.is_away = True
    with pytest.raises(DaemonUnavailableError):
        site.live.resume(CallTarget("c2"), actor=DORA)
    assert paths(site.north) == []
    with pytest.raises(DaemonRefusedError, match=f"{SOUTH} has not confirmed .* c9") as error:
        site.live.resume(CallTarget("c9"), actor=DORA)
    assert error.value.status == 504


def test_a_call_that_has_ended_is_refused_by_a_daemon(site: Site) -> None:
    with pytest.raises(DaemonRefusedError, match="no call c9") as error:
        site.live.pause(CallTarget("c9"), actor=DORA)
    assert error.value.status == 404


def test_an_act_on_an_extension_is_done_at_every_node(site: Site) -> None:
    answer = site.live.pause(ExtensionTarget("2001"), actor=DORA)
    assert {(one["call"], one["node"]) for one in answer["calls"]} == {("c1", NORTH), ("c2", SOUTH)}
    assert site.live.pause(ExtensionTarget("3001"), actor=DORA)["calls"][0]["node"] == SOUTH
    with pytest.raises(DaemonRefusedError, match="No recorded call of extension 9"):
        site.live.pause(ExtensionTarget("9"), actor=DORA)


def test_an_act_on_an_extension_names_who_has_not_confirmed(site: Site) -> None:
    site.south.is_away = True
    with pytest.raises(DaemonRefusedError) as error:
        site.live.pause(ExtensionTarget("2001"), actor=DORA)
    assert (error.value.status, error.value.problem["nodes"], error.value.problem["confirmed"]) == (
        504, [SOUTH], [NORTH],
    )  # fmt: skip
    assert "south has not confirmed the pause. 1 calls are done at north." in str(error.value)
    site.south.is_away, site.south.refusals = False, {"pause": (504, "Not confirmed within 1.5 s")}
    with pytest.raises(DaemonRefusedError, match="south has not confirmed"):
        site.live.pause(ExtensionTarget("2001"), actor=DORA)


def test_who_may_act_at_no_node_is_refused(site: Site) -> None:
    site.south.refusals = site.north.refusals = {"pause": (403, "You may not.")}
    with pytest.raises(DaemonRefusedError, match="You may not") as error:
        site.live.pause(ExtensionTarget("2001"), actor=DORA)
    assert error.value.status == 403


def test_an_opt_out_by_extension_needs_one_node(site: Site) -> None:
    with pytest.raises(DaemonRefusedError, match=r"at north and south.*say which call is meant") as error:
        site.live.opt_out(ExtensionTarget("2001"), person=DORA, grant=GRANT)
    assert (error.value.status, paths(site.north), paths(site.south)) == (409, [], [])
    site.live.opt_out(ExtensionTarget("3001"), person=DORA, grant=GRANT)
    assert paths(site.south) == ["/api/extensions/3001/opt-out"]
    site.south.is_away = True
    with pytest.raises(DaemonRefusedError, match="south has not confirmed the opt-out"):
        site.live.opt_out(ExtensionTarget("4001"), person=DORA, grant=GRANT)


def test_a_decision_goes_to_the_node_of_the_request(site: Site) -> None:
    site.live.decline_opt_out("0-c3", person=DORA, reason="no")
    assert (paths(site.south), paths(site.north)) == (["/api/opt-outs/0-c3/decline"], [])


def test_a_sign_on_goes_to_every_node_with_one_code(site: Site) -> None:
    assert site.live.sign_on("2001", person=DORA, is_anothers=True)["code"] == "123456"
    assert site.south.asked[0][1]["code"] == "123456"
    site.south.is_away = True
    with pytest.raises(DaemonRefusedError, match=r"south has not confirmed the sign-on\. You are signed on at north"):
        site.live.sign_on("2001", person=DORA, is_anothers=True)


def test_a_sign_on_that_one_node_lacks_is_listed(site: Site) -> None:
    site.north.signed_on = "Dora"
    (agent,) = site.live.agents()
    assert (agent["operator"], agent["not_at"]) == ("Dora", [SOUTH])
    site.south.signed_on = "Dora"
    assert "not_at" not in site.live.agents()[0]


def test_calls_of_a_node_that_falls_silent_stay_listed_as_not_confirmed(site: Site) -> None:
    site.live.calls()
    site.south.is_away = True
    assert {one["call"]: one["state"] for one in site.live.calls()} == {
        "c1": "recording", "c2": "not_confirmed", "c3": "not_confirmed",
    }  # fmt: skip
    (silent,) = [one for one in site.live.nodes() if one["silent_since"] is not None]
    assert (silent["node"], silent["may_have_calls"]) == (SOUTH, True)
    assert datetime.fromisoformat(silent["silent_since"]).tzinfo == UTC
    site.south.is_away = False
    site.live.pause(ExtensionTarget("2001"), actor=DORA)  # any answer will do
    assert {one["state"] for one in site.live.calls()} == {"recording"}


def test_a_daemon_that_was_killed_keeps_nobody_from_pausing(site: Site) -> None:
    site.live.calls()
    site.south.is_away = site.south.is_dead = True
    with pytest.raises(DaemonRefusedError, match="south has not confirmed"):
        site.live.pause(ExtensionTarget("2001"), actor=DORA)  # it renews its row: it may record
    site.rows[1] = replace(site.rows[1], seen_us=100 - AWAY_US - 1)
    site.directory.refresh()
    assert [one["call"] for one in site.live.pause(ExtensionTarget("2001"), actor=DORA)["calls"]] == ["c1"]
    assert "not_confirmed" not in site.live.pause(CallTarget("c1"), actor=DORA)
    assert [one["call"] for one in site.live.calls()] == ["c1"]
    (silent,) = [one for one in site.live.nodes() if one["silent_since"] is not None]
    assert not silent["may_have_calls"]
    site.south.is_dead = False  # it does not answer at all: perhaps it is cut off, and gets calls
    with pytest.raises(DaemonRefusedError, match="south has not confirmed"):
        site.live.pause(ExtensionTarget("2001"), actor=DORA)


def test_a_node_that_was_stopped_is_not_waited_for(site: Site) -> None:
    site.live.calls()
    site.south.is_away = True
    site.rows[1] = row(SOUTH, "stopped")
    site.directory.refresh()
    assert [one["call"] for one in site.live.calls()] == ["c1"]
    assert [one["node"] for one in site.live.nodes()] == [NORTH]


def test_nobody_answers(site: Site) -> None:
    site.north.is_away = site.south.is_away = True
    with pytest.raises(DaemonUnavailableError):
        site.live.calls()


# The list of nodes while the database is away


def test_the_list_of_nodes_outlives_the_database(tmp_path: Path) -> None:
    now, is_away = [1000.0], [False]

    def read() -> tuple[list[NodeRow], int]:
        if is_away[0]:
            raise DatabaseError("away", is_passing=True)
        return [row(SOUTH)], 100

    def directory() -> NodeDirectory:
        return NodeDirectory(read, tmp_path / "nodes.json", wall_s=lambda: now[0])

    first = directory()
    assert [one.name for one in first.running()] == [SOUTH]
    is_away[0] = True
    now[0] += 15 * 60
    assert not first.refresh()
    assert [one.name for one in first.running()] == [SOUTH], "in memory it has no end"
    assert [one.name for one in directory().running()] == [SOUTH], "another process reads the file"
    now[0] += 1
    assert directory().running() == [], "which is too old now"


def test_a_database_that_hangs_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.control.node_directory.READ_S", 0.01)
    is_over: list[bool] = []

    def read() -> tuple[list[NodeRow], int]:
        eventually(lambda: is_over, "the test ends")
        return [], 0

    assert NodeDirectory(read, tmp_path / "nodes.json").running() == []
    is_over.append(True)


# Certificates


@pytest.mark.parametrize(
    ("certificate", "peer"),
    [
        (("console", "hq", "hq"), TlsPeer(role="console", name="hq")),
        (("node", "north", "north"), TlsPeer(role="node", name="north")),
        (("node", "north", "south"), None),
        (("admin", "hq", "hq"), None),
        (("", "hq", "hq"), None),
    ],
)
def test_a_certificate_names_role_and_name(certificate: tuple[str, str, str], peer: TlsPeer | None) -> None:
    role, name, alternative = certificate
    subject = ((("organizationalUnitName", role),),) if role else ()
    found = {"subject": (*subject, (("commonName", name),)), "subjectAltName": (("DNS", alternative),)}
    assert peer_of(found) == peer
    assert peer_of(None) is None


def test_without_a_node_every_act_says_so(tmp_path: Path) -> None:
    directory = NodeDirectory(lambda: ([], 100), tmp_path / "nodes.json")
    live = SiteCalls(SiteMembers(directory, None, lambda _name, _address: FakeNode()))  # type: ignore[arg-type,return-value]
    acts: list[Callable[[], object]] = [
        live.calls,
        lambda: live.pause(CallTarget("c1"), actor=DORA),
        lambda: live.pause(ExtensionTarget("2001"), actor=DORA),
        lambda: live.resume(CallTarget("c1"), actor=DORA),
        lambda: live.opt_out(ExtensionTarget("2001"), person=DORA, grant=GRANT),
        lambda: live.decline_opt_out("1", person=DORA, reason=""),
        lambda: live.sign_on("2001", person=DORA, is_anothers=True),
        lambda: live.sign_off("2001", person=DORA),
    ]
    for act in acts:
        with pytest.raises(DaemonUnavailableError, match="recorder nodes list"):
            act()


# Nodes that lie


class LyingNode(FakeNode):
    """Answers every question with one document."""

    def __init__(self, document: Any) -> None:
        super().__init__()
        self.document = document

    def _answer(self, target: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, self.document


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"calls": 5, "opt_outs": 5, "agents": 5, "takeovers": 5, "alarms": 5, "status": 5, "state": 5, "also": 5},
        {"calls": [5, {"extensions_now": 5}], "opt_outs": [5, {}], "agents": [5, {}], "takeovers": [5, {}]},
        {"alarms": {"x": "y"}, "status": "ok", "agents": [{"extension": []}], "takeovers": [{"extension": {}}]},
        {"agents": [{"extension": "2001"}], "calls": [{"call": [], "extensions_now": [[]]}]},
    ],
)
def test_an_answer_without_sense_hides_only_the_node_that_gave_it(
    site: Site, document: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    health = {"status": "ok", "alarms": {}}
    monkeypatch.setattr(site.north, "_answer", lambda target, body: (200, health))
    site.south = LyingNode(document)
    assert site.live.health()["status"] == "alarm"
    monkeypatch.undo()
    live = site.live
    assert [one["call"] for one in live.calls() if one["node"] == NORTH] == ["c1"]
    assert [one["id"] for one in live.opt_outs() if one["node"] == NORTH] == ["0-c1"]
    assert ([one["extension"] for one in live.agents()], len(live.takeovers())) == (["2001"], 1)
    for target in (CallTarget("c1"), ExtensionTarget("2001")):
        live.pause(target, actor=DORA)
    assert paths(site.north)[-2:] == ["/api/calls/c1/pause", "/api/extensions/2001/pause"]


def test_a_fault_in_asking_one_node_is_that_nodes_silence(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a host name in its row that no resolver takes."""

    def ask(*_: object, is_idempotent: bool) -> DaemonAnswer:
        raise UnicodeError("label empty or too long")

    monkeypatch.setattr(site.south, "ask", ask)
    assert [one["call"] for one in site.live.calls()] == ["c1"]
    with pytest.raises(DaemonRefusedError, match="south has not confirmed the pause") as found:
        site.live.pause(ExtensionTarget("2001"), actor=DORA)
    assert found.value.status == 504
    assert paths(site.north) == ["/api/extensions/2001/pause"]


def test_a_call_that_two_nodes_list_is_paused_at_both_and_nothing_else_is_done_to_it(site: Site) -> None:
    """A node that lists another's call would have its acts, and answer that they are done."""
    site.north.calls["c2"] = "1000"
    site.live.calls()
    answer = site.live.pause(CallTarget("c2"), actor=DORA)
    assert answer["call"] == "c2"
    assert "/api/calls/c2/pause" in paths(site.north)
    assert {"/api/calls/c2/pause", "/api/extensions/1000/pause"} <= set(paths(site.south))
    with pytest.raises(DaemonRefusedError, match="north and south both say that they have this") as found:
        site.live.resume(CallTarget("c2"), actor=DORA)
    assert found.value.status == 409
    site.south.refusals["pause"] = 404, "no call c2"
    with pytest.raises(DaemonRefusedError, match="no call c2"):
        site.live.pause(CallTarget("c2"), actor=DORA)
