"""Reading the configuration: what the file says, and what counts where it says nothing."""

import dataclasses
from pathlib import Path

import pytest

from audio.types import MOST_LOOK_BACK_S
from recorder.config.reading import read_config
from recorder.config.settings import Config, Voicemail
from recorder.config.sip_transports import sip_options
from recorder.config.toml_tables import ConfigError
from recorder.rules.policy import CardPayment, NoticeWhen, extension_of
from sip.options import Address, TlsOptions
from tests.helpers.config_text import GOOD, TLS, written


def test_a_good_file_is_read(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, GOOD))
    assert config.sip.listen == Address(host="192.0.2.10", port=5060)
    assert config.route[0].targets[1] == Address(host="192.0.2.21", port=5060)
    assert config.media.ports == (30000, 30099)
    assert config.service[0].notice_when is NoticeWhen.AFTER_ANSWER
    assert config.service_of(config.extensions["2002"]).card_payment is CardPayment.DISCARD
    assert config.periods["retention_days"] == 90


@pytest.mark.parametrize("number", ["20-02", "(20)02", "2.002", "20 02"])
def test_an_extension_with_separators_is_found_without_them_and_filed_as_it_is_written(
    tmp_path: Path, number: str
) -> None:
    config = read_config(written(tmp_path, GOOD.replace('number = "2002"', f'number = "{number}"')))
    bob = config.extensions[number]
    assert "2002" not in config.extensions
    assert [extension_of(config.nominated, one) for one in ("2002", number, "2-002")] == [bob] * 3
    assert bob.number == number


def test_one_line_that_is_there_in_two_spellings_is_read_as_it_always_was(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, GOOD.replace('number = "2002"', 'number = "20-01"')))
    assert [one.operator for one in map(config.nominated.__getitem__, ("2001", "20-01"))] == ["alice", "bob"]


def test_a_plus_and_letters_are_no_separators_and_nothing_but_separators_is_no_number(tmp_path: Path) -> None:
    text = GOOD.replace('"2001"', '"+44 1632 960201"').replace('"2002"', '"-"')
    assert set(read_config(written(tmp_path, text)).nominated) == {"+44 1632 960201", "+441632960201", "-"}


@pytest.mark.parametrize(("extension", "mailbox"), [("2002", "20-02"), ("20-02", "2002")])
def test_a_mailbox_in_another_spelling_of_an_extension_stops_no_start(
    tmp_path: Path, extension: str, mailbox: str
) -> None:
    text = GOOD.replace('"2002"', f'"{extension}"') + f'[voicemail]\nnumbers = ["{mailbox}"]\n'
    config = read_config(written(tmp_path, text))
    assert config.nominated["2002"].operator == "bob"


def test_a_mailbox_is_one_however_it_is_written() -> None:
    config = Voicemail(numbers=("5000", "60-00"))
    assert all(map(config.has, ("5000", "50-00", "6000", "60-00", "(60)00")))
    assert not config.has("50000")


def test_interfaces_are_read_up_to_sixteen_with_names_of_fifteen(tmp_path: Path) -> None:
    names = ["enp0s31f6.100", "abcdefghijklmno", *(f"bond{i}" for i in range(14))]
    assert read_config(written(tmp_path, f"[media]\nkernel_interfaces = {names}\n")).media.kernel_interfaces == tuple(
        names
    )


def test_the_hash_is_the_files(tmp_path: Path) -> None:
    first = read_config(written(tmp_path, GOOD)).sha256
    assert len(first) == 64
    assert read_config(written(tmp_path, GOOD + "# a word\n")).sha256 != first


def test_a_file_that_is_as_it_was_is_not_built_again_and_one_that_was_changed_is(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    first = read_config(path)
    assert read_config(path) is first
    written(tmp_path, GOOD.replace("30099", "30199"))
    assert read_config(path).media.ports == (30000, 30199)
    written(tmp_path, "[sip]\nlisten = 5\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match="line 2: listen must be"):
            read_config(path)


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, ""))
    assert dataclasses.replace(config, sha256="") == Config()


def test_whole_numbers_are_fine_where_seconds_are_wanted(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, "[pause]\nlook_back_s = 6\n")).pause.look_back_s == 6.0


def test_the_longest_look_back_is_taken(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, f"[pause]\nlook_back_s = {MOST_LOOK_BACK_S}\n"))
    assert config.pause.look_back_s == MOST_LOOK_BACK_S


def test_off_turns_an_optional_key_off(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, '[notice]\nsecond = "off"\n[console]\nlisten = "off"\n'))
    assert config.notice.second is None
    assert config.console.listen is None


def test_tls_and_tcp_are_read(tmp_path: Path) -> None:
    text = GOOD.replace("[[peer]]", TLS + '\nlisten_tcp = "192.0.2.10"\n[[peer]]', 1)
    config = read_config(written(tmp_path, text.replace('"192.0.2.21"', '"tls:pbx.example"')))
    assert config.sip.listen_tls == Address(host="192.0.2.10", port=5061)
    assert config.sip.listen_tcp == Address(host="192.0.2.10", port=5060)
    assert str(config.route[0].targets[1]) == "tls:pbx.example:5061"
    assert (config.connections, Config().connections) == (500, 0)
    options = sip_options(config, is_urgent=lambda _number: False, account_of=lambda _host: None)
    assert options.tls == TlsOptions(certificate="a", private_key="b")


def test_the_longest_erase_that_fits_is_taken(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, "[pause]\nlook_back_s = 4.0\nerase_s = 3.0\n")).pause.erase_s == 3.0
