"""Debian's Prometheus with the rules of `deploy/prometheus`, on a port and in a folder of its own."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import yaml

from benchmarks.ports import free_port
from tests.helpers.peer_process import peer_process
from tests.helpers.recorder_home import ROOT

RULES = ROOT / "deploy" / "prometheus" / "recorder.rules.yml"
EVERY = "300ms"


class Prometheus:
    """One that runs; `prometheus` starts it."""

    def __init__(self, url: str) -> None:
        self._client = httpx2.Client(base_url=f"{url}/api/v1", timeout=10)

    def close(self) -> None:
        """Close the connections to it."""
        self._client.close()

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return self._client.get("/status/buildinfo").status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression is now: for each series ``metric`` with its labels, and ``value``."""
        found = self._client.get("/query", params={"query": expression}).raise_for_status().json()
        return list(found["data"]["result"])

    def value(self, expression: str) -> float | None:
        """Return the value of an expression that is one series; None if there is none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[tuple[str, str]]:
        """Return name and label ``alarm`` of each alert that fires."""
        alerts = self._client.get("/alerts").raise_for_status().json()["data"]["alerts"]
        return {
            (one["labels"]["alertname"], one["labels"].get("alarm", "")) for one in alerts if one["state"] == "firing"
        }


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, int]) -> Iterator[Prometheus]:
    """Start it; it scrapes these jobs at ports of loopback."""
    folder.mkdir()
    config = {
        "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in targets.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with closing(Prometheus(f"http://127.0.0.1:{port}")) as made, peer_process(command, folder / "log", made.is_ready):
        yield made
