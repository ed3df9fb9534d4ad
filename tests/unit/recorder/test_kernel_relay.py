"""What relaying in the kernel takes, as it is read and as it is judged."""

from dataclasses import replace
from pathlib import Path

import pytest

from recorder.config.settings import Config, MediaSettings
from recorder.service.findings import Level, SiteFinding
from recorder.service.kernel_relay import Means, check_kernel_relay, obstacle, read_means

ABLE = Means(kernel=(6, 6), may_relay=True, may_ask_routes=True, interfaces=frozenset({"lo", "eth0", "eth1"}))
ON = Config(media=MediaSettings(address="192.0.2.10", kernel_interfaces=("eth0", "eth1")))
CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF = 1 << 12, 1 << 21, 1 << 39

LACKING = [
    ({"kernel": (6, 5)}, "the kernel is 6.5; relaying needs 6.6 or later", "boot Linux 6.6"),
    ({"kernel": (5, 15)}, "the kernel is 5.15", "boot Linux 6.6"),
    ({"may_relay": False}, "lacks CAP_BPF or CAP_NET_ADMIN", "AmbientCapabilities=CAP_BPF CAP_NET_ADMIN"),
    ({"may_ask_routes": False}, "may not query routes", "RestrictAddressFamilies=AF_NETLINK"),
    ({"interfaces": frozenset({"lo", "eth1"})}, "there is no interface eth0", "`ip -brief link`"),
]


def found(means: Means, config: Config = ON) -> SiteFinding:
    (finding,) = check_kernel_relay(config, means)
    return finding


@pytest.mark.parametrize(("change", "says", "do"), LACKING)
def test_what_is_lacking_is_said_with_what_to_do(change: dict[str, object], says: str, do: str) -> None:
    lacking = replace(ABLE, **change)  # type: ignore[arg-type]
    finding = found(lacking)
    assert finding.level is Level.WARNING
    assert says in finding.says
    assert do in finding.do
    assert "nothing is lost" in finding.why
    assert found(ABLE).level is Level.OK


@pytest.mark.parametrize("address", ["2001:db8::1", "::", "0.0.0.0"])
def test_media_that_the_kernel_does_not_relay(address: str) -> None:
    finding = found(ABLE, Config(media=MediaSettings(address=address, kernel_interfaces=("eth0",))))
    assert finding.level is Level.WARNING
    assert f"the media address is {address}" in finding.says


def test_off_is_no_warning_and_says_whether_it_could_be_on() -> None:
    off = Config(media=MediaSettings(address="192.0.2.10"))
    assert found(ABLE, off).says == "off; [media] kernel_interfaces would turn it on"
    old = found(replace(ABLE, kernel=(5, 15)), off)
    assert (old.level, "not possible here: the kernel is 5.15" in old.says) == (Level.OK, True)


def test_a_kernel_of_a_later_version_will_do() -> None:
    assert [obstacle(replace(ABLE, kernel=kernel), "192.0.2.10", ("eth0",)) for kernel in ((6, 12), (7, 0))] == [
        None
    ] * 2


def machine(root: Path, *, release: str = "6.12.9-amd64", held: int = CAP_BPF | CAP_NET_ADMIN) -> Means:
    head = "Inter-|   Receive\n face |bytes\n"
    files = {
        "proc/sys/kernel/osrelease": f"{release}\n",
        "proc/self/status": f"Name:\trecorder\nCapPrm:\t0000000000000000\nCapEff:\t{held:016x}\n",
        "proc/net/dev": f"{head}    lo: 1 2 3\neth0.100: 4 5 6\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return read_means(root)


def test_kernel_and_interfaces_are_read(tmp_path: Path) -> None:
    means = machine(tmp_path)
    assert (means.kernel, sorted(means.interfaces)) == ((6, 12), ["eth0.100", "lo"])
    assert machine(tmp_path, release="6.6").kernel == (6, 6)
    assert machine(tmp_path, release="odd").kernel == (0, 0)
    assert read_means(tmp_path / "nothing") == replace(means, kernel=(0, 0), may_relay=False, interfaces=frozenset())


@pytest.mark.parametrize(
    ("held", "may"),
    [(0, False), (CAP_BPF, False), (CAP_NET_ADMIN, False), (CAP_BPF | CAP_NET_ADMIN, True), (CAP_SYS_ADMIN, True)],
)
def test_both_capabilities_are_needed(tmp_path: Path, held: int, may: bool) -> None:
    assert machine(tmp_path, held=held).may_relay is may
