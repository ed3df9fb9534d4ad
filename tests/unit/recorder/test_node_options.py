"""The section `[node]`: off by default, and mistakes that are said with line and key."""

from pathlib import Path

import pytest

from recorder.config.node_options import PeerFiles
from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from tests.helpers.config_text import written

SHARED = '[storage]\nindex_url = "postgresql://recorder@192.0.2.8/recorder"\n'
NODE = '[node]\nname = "north"\nlisten = "192.0.2.1:7443"\ncertificate = "n.pem"\nkey = "n.key"\nca = "ca.pem"\n'


def test_one_machine_is_no_node(tmp_path: Path) -> None:
    node = read_config(written(tmp_path, "[node]\n")).node
    assert (node.name, node.server_files, node.console_files) == (None, None, None)


def test_a_node_serves_with_its_certificate_and_its_console_has_another(tmp_path: Path) -> None:
    text = f'{SHARED}{NODE}console_certificate = "c.pem"\nconsole_key = "c.key"\n'
    node = read_config(written(tmp_path, text)).node
    assert node.server_files == PeerFiles(certificate="n.pem", key="n.key", ca="ca.pem")
    assert node.console_files == PeerFiles(certificate="c.pem", key="c.key", ca="ca.pem")
    assert node.address == "192.0.2.1:7443"


def test_a_console_without_a_daemon_has_no_name(tmp_path: Path) -> None:
    text = f'{SHARED}[node]\ncertificate = "c.pem"\nkey = "c.key"\nca = "ca.pem"\n'
    node = read_config(written(tmp_path, text)).node
    assert node.server_files is None
    assert node.console_files == PeerFiles(certificate="c.pem", key="c.key", ca="ca.pem")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (SHARED + NODE.replace("north", "North 1"), "line 4: name must be at most 40 of a-z, 0-9 and -"),
        (SHARED + NODE.replace("north", "n" * 41), "line 4: name must be at most 40 of a-z, 0-9 and -"),
        (SHARED + '[node]\nname = "north"\n', "line 4: name and listen belong together"),
        (SHARED + NODE.replace("192.0.2.1:7443", "north.example:7443"), "line 5: listen must be IP:PORT"),
        (SHARED + NODE.replace("192.0.2.1:7443", "0.0.0.0:7443"), "line 5: advertised must say where"),
        (SHARED + '[node]\nname = "north"\nlisten = "192.0.2.1:7443"\n', "line 4: a node needs certificate, key and"),
        (SHARED + NODE.replace('key = "n.key"\n', ""), "line 6: certificate and key belong together"),
        (SHARED + NODE.replace('ca = "ca.pem"\n', ""), "line 6: certificate needs ca"),
        (NODE, "line 6: several nodes share one index: give index_url in [storage]"),
        ('[storage]\nindex_url = "sqlite:///x"\n' + NODE, "line 8: several nodes share one index"),
    ],
)
def test_a_mistake_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_config(written(tmp_path, text))
    assert sentence in str(error.value)
