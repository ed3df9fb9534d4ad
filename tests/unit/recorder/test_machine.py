"""What is read of a machine, from trees laid out like those of the kernel."""

from pathlib import Path

import pytest

from recorder.service.machine import Machine, Process, Swap, read_machine

SWAPS_HEAD = "Filename Type Size Used Priority\n"
PACKET_HEAD = "sk RefCnt Type Proto Iface R Rmem User Inode\n"


class Tree:
    """A machine's ``proc`` and ``sys``, as far as they are read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.device: tuple[int, int] | None = None

    def put(self, path: str, text: str = "") -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def block(self, name: str, *, dm_uuid: str = "", slaves: tuple[str, ...] = (), backing: str | None = None) -> None:
        self.put(f"sys/devices/{name}/size", "1\n")
        if dm_uuid:
            self.put(f"sys/devices/{name}/dm/uuid", f"{dm_uuid}\n")
        if backing is not None:
            self.put(f"sys/devices/{name}/backing_dev", f"{backing}\n")
        for slave in slaves:
            (self.root / f"sys/devices/{name}/slaves").mkdir(parents=True, exist_ok=True)
            (self.root / f"sys/devices/{name}/slaves/{slave}").symlink_to(f"../../{slave}")
        (self.root / "sys/class/block").mkdir(parents=True, exist_ok=True)
        (self.root / f"sys/class/block/{name}").symlink_to(f"../../devices/{name}")

    def process(self, pid: int, name: str, *arguments: str, sockets: tuple[int, ...] = ()) -> None:
        self.put(f"proc/{pid}/comm", f"{name}\n")
        self.put(f"proc/{pid}/cmdline", "\0".join(arguments))
        for number, inode in enumerate(sockets):
            (self.root / f"proc/{pid}/fd").mkdir(exist_ok=True)
            (self.root / f"proc/{pid}/fd/{number}").symlink_to(f"socket:[{inode}]")

    def read(self) -> Machine:
        return read_machine(self.root, device=lambda _path: self.device, clock=lambda: True)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_machine_of_which_nothing_can_be_read(tree: Tree) -> None:
    machine = tree.read()
    assert (machine.core_pattern, machine.suid_dumpable, machine.swaps) == ("", None, ())
    assert (machine.can_hibernate, machine.resumes_from) == (False, None)
    assert (machine.processes, machine.packet_sockets, machine.may_lock_all) == ((), (), False)


def test_core_files(tree: Tree) -> None:
    tree.put("proc/sys/kernel/core_pattern", "|/usr/lib/systemd/systemd-coredump %P\n")
    tree.put("proc/sys/fs/suid_dumpable", "2\n")
    machine = tree.read()
    assert machine.core_pattern == "|/usr/lib/systemd/systemd-coredump %P"
    assert machine.suid_dumpable == 2


@pytest.mark.parametrize(
    ("name", "is_safe"), [("sda2", False), ("dm-0", True), ("dm-1", True), ("dm-2", False), ("zram0", True),
                          ("zram1", False), ("gone", False)],
)  # fmt: skip
def test_swap_on_a_device(tree: Tree, name: str, is_safe: bool) -> None:
    tree.block("sda2")
    tree.block("sdb1")
    tree.block("dm-0", dm_uuid="CRYPT-PLAIN-swap", slaves=("sda2",))
    tree.block("dm-1", dm_uuid="LVM-abc", slaves=("dm-0",))
    tree.block("dm-2", dm_uuid="LVM-def", slaves=("dm-0", "sdb1"))
    tree.block("zram0", backing="none")
    tree.block("zram1", backing="/dev/sda3")
    tree.put("proc/swaps", f"{SWAPS_HEAD}/dev/{name} partition 1000 0 -2\n")
    assert tree.read().swaps == (Swap(name=f"/dev/{name}", is_safe=is_safe),)


@pytest.mark.parametrize(("device", "is_safe"), [((253, 0), True), ((8, 2), False), ((0, 42), False), (None, False)])
def test_swap_in_a_file_is_as_safe_as_what_it_lies_on(
    tree: Tree, device: tuple[int, int] | None, is_safe: bool
) -> None:
    tree.block("sda2")
    tree.block("dm-0", dm_uuid="CRYPT-LUKS2-root", slaves=("sda2",))
    (tree.root / "sys/dev/block").mkdir(parents=True)
    (tree.root / "sys/dev/block/253:0").symlink_to("../../devices/dm-0")
    (tree.root / "sys/dev/block/8:2").symlink_to("../../devices/sda2")
    tree.device = device
    tree.put("proc/swaps", f"{SWAPS_HEAD}/var/swap\\040file file 1000 0 -2\n")
    assert tree.read().swaps == (Swap(name="/var/swap file", is_safe=is_safe),)


@pytest.mark.parametrize(
    ("state", "disk", "can"),
    [("freeze mem disk", "[platform] shutdown", True), ("freeze mem", "", False), ("mem disk", "[disabled]", False)],
)
def test_hibernation(tree: Tree, state: str, disk: str, can: bool) -> None:
    tree.put("sys/power/state", state)
    tree.put("sys/power/disk", disk)
    assert tree.read().can_hibernate is can


def test_where_it_would_resume_from(tree: Tree) -> None:
    tree.put("sys/power/resume", "0:0\n")
    assert tree.read().resumes_from is None
    tree.put("sys/power/resume", "8:3\n")
    assert tree.read().resumes_from == "8:3"
    tree.put("proc/cmdline", "root=/dev/sda1 resume=/dev/sda3 quiet\n")
    assert tree.read().resumes_from == "/dev/sda3"


def test_processes_and_their_arguments(tree: Tree) -> None:
    tree.process(7, "tcpdump", "/usr/bin/tcpdump", "-i", "any")
    tree.put("proc/meminfo", "no process")
    arguments = ("/usr/bin/tcpdump", "-i", "any")
    assert tree.read().processes == (Process(pid=7, name="tcpdump", arguments=arguments),)


def test_packet_sockets_are_named_by_who_holds_them(tree: Tree) -> None:
    rows = "".join(f"0000 3 3 0003 2 1 0 0 {inode}\n" for inode in (501, 502, 503))
    tree.put("proc/net/packet", PACKET_HEAD + rows)
    tree.process(7, "dhclient", sockets=(501, 900))
    tree.process(8, "sngrep", sockets=(503,))
    assert sorted(tree.read().packet_sockets) == ["?", "dhclient", "sngrep"]


def test_the_right_to_lock_memory(tree: Tree) -> None:
    tree.put("proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n")
    assert tree.read().may_lock_all
    tree.put("proc/self/status", "Name:\tx\nCapEff:\t0000000000003fff\n")
    assert not tree.read().may_lock_all


def test_the_machine_that_this_runs_on() -> None:
    machine = read_machine()
    assert machine.descriptors > 0
    assert machine.core_pattern
    own = [process for process in machine.processes if any("pytest" in word for word in process.arguments)]
    assert own, "this very process was not seen"
