"""Lists of all nodes of a site, merged into one: calls, requests, sign-ons, health."""

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from recorder.control.site_members import NodeAnswers, SiteMember, SiteMembers, merged

Json = dict[str, Any]
_STALE = {"state": "not_confirmed", "may": ()}
"""A call of a node that does not answer may go on, or not."""
SILENT = "node_silent"
"""The alarm of a node that does not answer."""
_TAKEOVER = ("extension", "operator", "instead_of")


@dataclass(frozen=True, slots=True)
class Found:
    """The node that has a call or a request, and the row as the node listed it."""

    member: SiteMember
    row: Mapping[str, Any]


class SiteLists:
    """The lists of a site with several nodes. Every method blocks; safe from any thread.

    Args:
        members: The nodes.
    """

    def __init__(self, members: SiteMembers) -> None:
        self._members = members
        self._lock = threading.Lock()
        self._rows: dict[str, list[Json]] = {}
        """The calls of each node, as it last listed them."""
        self._requests: dict[str, list[Json]] = {}

    def close(self) -> None:
        """Close the connections."""
        self._members.close()

    def nodes(self) -> list[Json]:
        """Return the nodes: name, state, calls, capacity; ``silent_since`` if one does not answer.

        ``may_have_calls`` is false of a node that is gone (`recorder.control.site_members.is_gone`).
        """
        listed = {node.name: node for node in self._members.directory.running()}
        silent, gone = self._members.silent(), self._members.gone()
        found = []
        for member in self._members.all():
            node, since = listed.get(member.name), silent.get(member.name)
            found.append(
                {
                    "node": member.name,
                    "state": "unknown" if node is None else node.state,
                    "calls": 0 if node is None else node.calls,
                    "capacity": 0 if node is None else node.capacity,
                    "silent_since": None if since is None else since.isoformat(timespec="seconds"),
                    "may_have_calls": member.name not in gone,
                }
            )
        return found

    def calls(self, *, actor: str = "") -> list[Json]:
        """Return the calls in progress of all nodes; those of a node that does not answer as last listed."""
        answers = self._members.each(lambda client: client.calls(actor=actor), hopeful=False)
        rows = self._remembered(self._rows, answers)
        return sorted(rows, key=lambda row: str(row.get("started_at", "")))

    def opt_outs(self, *, actor: str = "") -> list[Json]:
        """Return the opt-out requests of all nodes, oldest first."""
        answers = self._members.each(lambda client: client.opt_outs(actor=actor), hopeful=False)
        return sorted(self._remembered(self._requests, answers), key=lambda row: str(row.get("raised_at", "")))

    def agents(self) -> list[Json]:
        """Return the nominated extensions and who is at them; ``not_at`` names nodes where nobody signed on there."""
        answers = self._listed(self._members.each(lambda client: client.agents(), hopeful=False))
        by_extension: dict[str, dict[str, Json]] = {}
        for node, agents in answers.items():
            for agent in agents:
                by_extension.setdefault(agent["extension"], {})[node] = agent
        return [_one_agent(agents) for agents in by_extension.values()]

    def takeovers(self) -> list[Json]:
        """Return recent takeovers of phones, each once."""
        answers = self._listed(self._members.each(lambda client: client.takeovers(), hopeful=False))
        found = {tuple(sorted((key, one[key]) for key in _TAKEOVER)): one for all_ in answers.values() for one in all_}
        return sorted(found.values(), key=lambda one: str(one.get("at", "")))

    def health(self) -> Json:
        """Return the health of the first node that answers, with alarms of all; every node's is under ``nodes``."""
        answers = self._members.each(lambda client: client.health())
        found = {node: one for node, one in self._listed(answers).items() if _is_health(one)}
        if not found:
            raise answers.any_error()
        first = next(iter(found.values()))
        nodes: Json = dict(found)
        silent = self._members.silent()
        away = [*answers.silent, *answers.gone, *(answers.given.keys() - found.keys())]
        for node in away:
            since = silent.get(node)
            nodes[node] = {
                "status": "no answer",
                "alarms": {SILENT: 1},
                "since": None if since is None else since.isoformat(),
            }
        alarms: Counter[str] = Counter()
        open_alarms: set[str] = set()
        acknowledged: Json = {}
        for one in found.values():
            alarms.update(one["alarms"])
            said = one.get("acknowledged", {})  # a node of an earlier version has none
            open_alarms |= one["alarms"].keys() - said.keys()
            acknowledged |= said
        if away:
            alarms[SILENT] = len(away)
            open_alarms.add(SILENT)
        acknowledged = {name: said for name, said in acknowledged.items() if name not in open_alarms}
        status = "alarm" if open_alarms else "ok"
        return {**first, "status": status, "alarms": dict(alarms), "acknowledged": acknowledged, "nodes": nodes}

    def alarms(self) -> Json:
        """Return the alarms of all nodes that answer, each with its ``node``."""
        answers = self._listed(self._members.each(lambda client: client.alarms(), hopeful=False))
        return {
            "standing": [{**one, "node": node} for node, found in answers.items() for one in found["standing"]],
            "ended": sorted(
                ({**one, "node": node} for node, found in answers.items() for one in found["ended"]),
                key=lambda one: str(one["ended_at"]), reverse=True,
            ),
        }  # fmt: skip

    def drain_state(self) -> Json:
        """Return whether nodes refuse new calls; ``nodes`` has those that do."""
        answers = self._members.each(lambda client: client.drain_state(), hopeful=False)
        found = {node: state for node, state in self._listed(answers).items() if _is_drain_state(state)}
        draining = [{"node": node, **state} for node, state in found.items() if state["state"] != "running"]
        return {
            "state": draining[0]["state"] if draining else "running",
            "since": min((one["since"] for one in draining if one.get("since")), default=None),
            "calls": sum(state["calls"] for state in found.values()),
            "refused": sum(state["refused"] for state in found.values()),
            "left_s": None,
            "nodes": draining,
        }

    # --- where things are

    def _remembered(self, known: dict[str, list[Json]], answers: NodeAnswers[list[Json]]) -> list[Json]:
        """Return merged rows; those of a node that does not answer are its last ones, of unknown state."""
        self._listed(answers)
        with self._lock:
            known.update(answers.given)
            for node in known.keys() - answers.given.keys() - answers.silent.keys():
                del known[node]  # stopped, or removed
            stale = {node: [{**row, **_STALE} for row in known.get(node, ())] for node in answers.silent}
        rows = answers.given | stale
        return merged(rows) if len(self._members.all()) > 1 else [row for rows_ in rows.values() for row in rows_]

    def _listed(self, answers: NodeAnswers[Any]) -> dict[str, Any]:
        if not answers.given:
            raise answers.any_error()
        return answers.given

    def _find(self, known: Mapping[str, Collection[Mapping[str, Any]]], key: str, value: str) -> list[Found]:
        """Return the nodes that list a row: one, or none; more if a node lists what another has."""
        with self._lock:
            rows_of = {node: [row for row in rows if row.get(key) == value] for node, rows in known.items()}
        found = [(self._members.get(node), rows[0]) for node, rows in rows_of.items() if rows]
        return [Found(member, row) for member, row in found if member is not None]


def _is_health(answer: Json) -> bool:
    alarms = answer.get("alarms")
    return isinstance(alarms, dict) and all(isinstance(count, int) for count in alarms.values()) and "status" in answer


def _is_drain_state(answer: Json) -> bool:
    return "state" in answer and all(isinstance(answer.get(key), int) for key in ("calls", "refused"))


def _one_agent(agents: Mapping[str, Json]) -> Json:
    """Return an extension as one row: the sign-on that lasts longest, and the nodes that do not have it."""
    signed_on = [agent for agent in agents.values() if agent.get("is_signed_on")]
    if not signed_on:
        return next(iter(agents.values()))
    newest = max(signed_on, key=lambda agent: str(agent.get("until") or ""))
    without = [
        node
        for node, agent in agents.items()
        if not agent.get("is_signed_on") or agent.get("operator") != newest.get("operator")
    ]
    return {**newest, "not_at": without} if without else newest
