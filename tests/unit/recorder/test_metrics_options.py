"""The sections of the metrics: defaults, and mistakes that are said with line and key."""

from pathlib import Path

import pytest

from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from sip.options import Address
from tests.helpers.config_text import written


def test_they_are_off_and_loopback_by_default(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, "[metrics]\n"))
    assert (config.metrics.listen, config.console_metrics.listen) == (None, None)
    assert config.metrics.networks == ("127.0.0.1/32", "::1/128")


def test_each_process_has_its_own(tmp_path: Path) -> None:
    text = '[metrics]\nlisten = "192.0.2.10:9760"\nnetworks = ["192.0.2.50/32"]\n'
    text += '[console_metrics]\nlisten = "[::1]:9761"\n'
    config = read_config(written(tmp_path, text))
    assert config.metrics.listen == Address(host="192.0.2.10", port=9760)
    assert config.metrics.networks == ("192.0.2.50/32",)
    assert config.console_metrics.listen == Address(host="::1", port=9761)


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ('[metrics]\nlisten = "recorder.example:9760"\n', 2, "listen must be IP:PORT, 127.0.0.1:9760, not"),
        ("[metrics]\nnetworks = []\n", 2, "networks is empty, so nobody could scrape"),
        ('[metrics]\nnetworks = ["192.0.2.7/24"]\n', 2, "'192.0.2.7/24' is not a network: write 192.0.2.7/32"),
        ('[console_metrics]\nnetworks = ["everybody"]\n', 2, "'everybody' is not a network"),
        (
            '[metrics]\nlisten = "127.0.0.1:9760"\n[console_metrics]\nlisten = "127.0.0.1:9760"\n', 4,
            "[metrics] and [console_metrics] both have 127.0.0.1:9760: give each its own",
        ),
        (
            '[console]\nlisten = "127.0.0.1:8080"\n[console_metrics]\nlisten = "127.0.0.1:8080"\n', 4,
            "127.0.0.1:8080 is the console's own address: give the metrics another port",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_said(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_config(written(tmp_path, text))
    assert f"line {line}: {sentence}" in str(error.value)
