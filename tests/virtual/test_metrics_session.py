"""A recording session in the daemon's metrics; a scene of its own."""

from pathlib import Path
from typing import Any, cast

from recorder.service.daemon_metrics import daemon_registry
from tests.helpers.siprec_policy import Site
from tests.helpers.virtual.siprec import siprec_site


def test_a_recording_session_has_a_state(tmp_path: Path) -> None:
    with siprec_site(tmp_path / "session") as (home, clients):
        registry = daemon_registry(cast(Any, home).daemon_now.metric_sources())
        session = Site(home, clients).session()
        assert session.invite().status == 200
        session.talk_for(0.3)
        found = {
            (sample.name, sample.labels["state"]): sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if "state" in sample.labels and sample.value
        }
        assert found == {
            ("recorder_calls_in_progress", "recording_session"): 1,
            ("recorder_recordings_in_progress", "recording"): 1,
        }
