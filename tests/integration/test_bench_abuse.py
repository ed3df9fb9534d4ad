"""The program that throws a million packets at a recorder, with three thousand."""

import json

import pytest

from benchmarks import abuse


@pytest.mark.long
def test_fuzzed_packets_harm_neither_the_daemon_nor_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    status = abuse.main(["--packets", "3000", "--rate", "1500", "--seed", "7", "--json"])
    captured = capsys.readouterr()
    assert status == 0, captured
    document = json.loads(captured.out)
    assert sum(document["sent"].values()) == 3000
    assert set(document["sent"]) == {"sip", "stranger", "rtp", "noise"}
    assert (document["packets_lost"], document["packets_damaged"], document["tracebacks"]) == (0, 0, 0)
    assert document["outcomes"] == {"recorded": 2}
    signalling = document["signalling"]
    assert signalling["untrusted"] == document["sent"]["stranger"]
    assert min(signalling["malformed"], signalling["foreign"]) > 50
    assert document["media_dropped"] > 1000
