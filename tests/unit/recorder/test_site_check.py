"""What site-check makes of a machine and a home."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from recorder.common.home import Home
from recorder.common.process_hardening import locked_bytes
from recorder.config.anchor_options import AnchorOptions
from recorder.config.backup_options import BackupOptions
from recorder.config.metrics_options import MetricsOptions
from recorder.config.reading import read_config
from recorder.config.settings import Config, Console, Limits, MediaSettings, Pause, Site
from recorder.permissions import Person, Role
from recorder.rules.policy import Extension
from recorder.rules.routing import Peer, PeerNotice, Route
from recorder.rules.signing_in import SecondFactor
from recorder.service.backup_check import check_backup
from recorder.service.config_check import (
    check_anchors,
    check_answered_by,
    check_metrics,
    check_pause_keys,
    check_review,
    check_sign_in,
    check_siprec,
    check_srtp,
    check_teamless,
    check_teams,
)
from recorder.service.findings import Level, SiteFinding
from recorder.service.home_check import check_folders
from recorder.service.machine import Machine, Process, Swap
from recorder.service.machine_check import check_machine
from sip.options import Address, TransportKind
from sip.sdes import Srtp

FIT = Machine(
    core_pattern="core",
    suid_dumpable=0,
    swaps=(),
    can_hibernate=False,
    resumes_from=None,
    processes=(Process(pid=1, name="systemd", arguments=("/sbin/init",)),),
    packet_sockets=("systemd-network",),
    memlock_bytes=None,
    may_lock_all=False,
    descriptors=20_000,
    is_clock_synchronised=True,
    has_glibc=True,
)
CONFIG = Config(limits=Limits(max_calls=200), media=MediaSettings(ports=(30000, 33999)))


def found(what: str, machine: Machine = FIT, config: Config = CONFIG) -> SiteFinding:
    (finding,) = [one for one in check_machine(machine, config) if one.what == what]
    return finding


def test_a_fit_machine_has_nothing_to_look_at() -> None:
    findings = list(check_machine(FIT, CONFIG))
    assert {finding.level for finding in findings} == {Level.OK}
    assert len({finding.what for finding in findings}) == len(findings) > 10


RECORDER = ("/opt/recorder/bin/python", "/opt/recorder/bin/recorder", "run", "--verbose")


@pytest.mark.parametrize(
    ("what", "change", "says"),
    [
        ("core files", {"core_pattern": "|/usr/share/apport/apport %p"}, "/usr/share/apport/apport"),
        ("core files", {"suid_dumpable": 1}, "suid_dumpable is 1"),
        (
            "swap",
            {"swaps": (Swap(name="/dev/sda2", is_safe=False), Swap(name="/dev/dm-0", is_safe=True))},
            "/dev/sda2:",
        ),
        ("hibernation", {"can_hibernate": True, "resumes_from": "/dev/sda3"}, "resume from /dev/sda3"),
        ("capture", {"processes": (Process(pid=7, name="sngrep"), Process(pid=8, name="sh"))}, "sngrep (process 7)"),
        ("packet sockets", {"packet_sockets": ("dhclient", "?", "?", "mystery")}, "mystery, 2 of unknown programs"),
        ("debug logging", {"processes": (Process(pid=9, name="recorder", arguments=RECORDER),)}, "process 9"),
        ("clock", {"is_clock_synchronised": False}, "not synchronised"),
        ("freed memory", {"has_glibc": False}, "not glibc"),
        ("locked memory", {"memlock_bytes": 8 << 20}, "the limit here is 8 MiB"),
    ],
)
def test_a_warning_says_what_and_why_and_what_to_do(what: str, change: dict[str, object], says: str) -> None:
    finding = found(what, replace(FIT, **change))  # type: ignore[arg-type]
    assert finding.level is Level.WARNING
    assert says in finding.says
    assert finding.why
    assert finding.do
    assert found(what).level is Level.OK


def test_too_few_descriptors_are_an_error() -> None:
    finding = found("descriptors", replace(FIT, descriptors=1024))
    assert finding.level is Level.ERROR
    assert "1200" in finding.says


def test_what_may_be_locked_is_counted_for_the_calls_and_the_look_back() -> None:
    needed = locked_bytes(200, CONFIG.pause.look_back_s)
    assert found("locked memory", replace(FIT, memlock_bytes=needed)).level is Level.OK
    assert found("locked memory", replace(FIT, memlock_bytes=needed - 1)).level is Level.WARNING
    assert found("locked memory", replace(FIT, memlock_bytes=0, may_lock_all=True)).level is Level.OK
    longer = replace(CONFIG, pause=Pause(look_back_s=30.0))
    assert found("locked memory", replace(FIT, memlock_bytes=needed), longer).level is Level.WARNING
    off = replace(CONFIG, media=MediaSettings(ports=(30000, 33999), lock_memory=False))
    assert found("locked memory", config=off).level is Level.WARNING


def test_ports_for_fewer_calls_than_configured() -> None:
    few = replace(CONFIG, media=MediaSettings(ports=(30000, 30399)))
    assert "carry 100 calls; max_calls is 200" in found("media ports", config=few).says
    enough = replace(CONFIG, media=MediaSettings(ports=(30000, 30799)))
    assert found("media ports", config=enough).level is Level.OK


def test_another_programs_verbose_is_none_of_ours() -> None:
    other = Process(pid=9, name="rsync", arguments=("rsync", "--verbose", "run"))
    assert found("debug logging", replace(FIT, processes=(other,))).level is Level.OK
    quiet = Process(pid=9, name="recorder", arguments=RECORDER[:-1])
    assert found("debug logging", replace(FIT, processes=(quiet,))).level is Level.OK


@pytest.fixture
def home(tmp_path: Path) -> Home:
    tmp_path.chmod(0o755)
    made = Home(tmp_path / "home")
    for folder in (made.root, made.recordings, made.audit, made.state, made.private_keys):
        folder.mkdir(mode=0o700)
    for file in (made.config, made.index, made.people):
        file.touch(mode=0o600)
    return made


def test_a_home_of_the_owner_alone(home: Home) -> None:
    assert [finding.level for finding in check_folders(home)] == [Level.OK]


@pytest.mark.parametrize(
    ("name", "mode"), [(".", 0o755), ("index.sqlite", 0o640), ("private", 0o750), ("audit", 0o701)]
)
def test_whatever_others_may_touch_is_named_with_its_mode(home: Home, name: str, mode: int) -> None:
    (home.root / name).chmod(mode)
    (finding,) = check_folders(home)
    assert finding.level is Level.WARNING
    assert f"{name} ({mode:04o})" in finding.says


def test_a_folder_above_that_anybody_may_write_to(home: Home) -> None:
    home.root.parent.chmod(0o777)
    assert [finding.what for finding in check_folders(home)] == ["permissions", "permissions above"]
    home.root.parent.chmod(0o1777)
    assert [finding.what for finding in check_folders(home)] == ["permissions"]


def test_an_audit_log_whose_head_is_noted_nowhere_is_a_warning(tmp_path: Path) -> None:
    (nowhere,) = check_anchors(Config())
    assert (nowhere.level, "nowhere" in nowhere.says, "[anchors]" in nowhere.do) == (Level.WARNING, True, True)
    (good,) = check_anchors(Config(anchors=AnchorOptions(syslog="udp://box:514", folder=str(tmp_path))))
    assert (good.level, "syslog, folder" in good.says) == (Level.OK, True)
    gone, _ = check_anchors(Config(anchors=AnchorOptions(folder=str(tmp_path / "share"))))
    assert (gone.level, "share does not exist" in gone.says) == (Level.WARNING, True)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def test_a_backup_that_goes_nowhere_or_to_the_same_disk_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, dest, keys = Home(tmp_path / "home"), tmp_path / "dest", tmp_path / "keys"
    home.root.mkdir()

    def says(to: Path | None = None, keys_to: Path | None = None) -> list[str]:
        options = BackupOptions(destination=_text(to), keys_destination=_text(keys_to))
        return [one.says for one in check_backup(home, Config(backup=options))]

    def both() -> list[str]:
        return says(dest, keys)

    assert says() == ["no destination is configured"]
    assert both() == [f"{dest} does not exist", f"{keys} does not exist"]
    dest.mkdir()
    keys.mkdir()
    assert both() == [f"{one} is on the same file system as {home.root}" for one in (dest, keys)]
    devices = {home.root: 1, dest: 2, keys: 3}
    stat = Path.stat
    monkeypatch.setattr(
        Path, "stat",
        lambda self, **how: SimpleNamespace(st_uid=7, st_dev=devices[self]) if self in devices else stat(self, **how),
    )  # fmt: skip
    monkeypatch.setattr(Path, "is_dir", lambda self: self in devices)
    assert both() == [f"{one} was not begun" for one in (dest, keys)]
    for one in (dest, keys):
        (one / "repository.json").write_text("{}")
    assert both() == [f"goes to {dest}, the keys to {keys}"]
    assert says(dest)[0] == "no destination of the keys is configured"


def test_keys_that_a_pbx_takes_as_shipped() -> None:
    (old,) = check_pause_keys(Config())
    assert old.level is Level.WARNING
    assert "*1, *2" in old.says
    assert "pause_keys" in old.do
    (one,) = check_pause_keys(Config(pause=Pause(pause_keys="*5", resume_keys="*6", manager_keys="*3")))
    assert (one.level, "*3" in one.says) == (Level.WARNING, True)
    (good,) = check_pause_keys(Config(pause=Pause(pause_keys="*5", resume_keys="*6", manager_keys="*9")))
    assert (good.level, "*5, *6, *9" in good.says) == (Level.OK, True)
    assert "bind_meta_app" in old.do, "FreeSWITCH takes every *, whichever keys are chosen"
    assert "bind_meta_app" in good.says


def test_extensions_whose_file_does_not_say_who_may_answer(tmp_path: Path) -> None:
    file = tmp_path / "recorder.toml"
    service = '[[service]]\nname = "Revenues"\n'
    told = '[[extension]]\nnumber = "2001"\noperator = "alice"\nservice = "Revenues"\nanswered_by = "nominated"\n'
    silent = '[[extension]]\nnumber = "2002"\noperator = "bob"\nservice = "Revenues"\n'
    file.write_text(service + told + silent)
    (finding,) = check_answered_by(read_config(file))
    assert finding.level is Level.WARNING
    assert ("2002" in finding.says, "2001" in finding.says) == (True, False)
    assert 'answered_by = "anybody"' in finding.do
    file.write_text(service + told)
    (good,) = check_answered_by(read_config(file))
    assert good.level is Level.OK
    assert not list(check_answered_by(Config()))


@pytest.mark.parametrize(
    ("srtp", "transports", "level", "says"),
    [
        (Srtp.OFF, (TransportKind.UDP,), Level.OK, "none"),
        (Srtp.REQUIRED, (TransportKind.TLS,), Level.OK, "none"),
        (Srtp.OPTIONAL, (TransportKind.UDP,), Level.WARNING, "route 'out' (to 192.0.2.1:5060)"),
        (Srtp.REQUIRED, (TransportKind.TLS, TransportKind.TCP), Level.WARNING, "tcp:192.0.2.1:5060"),
    ],
)
def test_keys_over_sip_in_the_clear(srtp: Srtp, transports: tuple[TransportKind, ...], level: Level, says: str) -> None:
    targets = tuple(Address(host="192.0.2.1", transport=transport) for transport in transports)
    (finding,) = check_srtp(Config(route=(Route(name="out", targets=targets, srtp=srtp),)))
    assert finding.level is level
    assert says in finding.says


def test_siprec_clients_for_whose_notice_nobody_answers() -> None:
    plain = Peer(name="pbx", networks=("192.0.2.1/32",))
    silent = Peer(name="sbc", networks=("192.0.2.2/32",), siprec=True)
    attested = replace(silent, notice=PeerNotice.ATTESTED, notice_owner="J. Smith", notice_date="2026-11-01")
    assert list(check_siprec(Config(peer=(plain,)))) == []
    (finding,) = check_siprec(Config(peer=(plain, silent, replace(attested, name="other"))))
    assert finding.level is Level.WARNING
    assert "peer 'sbc'" in finding.says
    assert "other" not in finding.says
    (good,) = check_siprec(Config(peer=(plain, attested)))
    assert good.level is Level.OK


@pytest.mark.parametrize(
    ("listen", "networks", "level", "says"),
    [
        ("127.0.0.1", ("127.0.0.1/32",), Level.OK, "served at 127.0.0.1:9760 to 127.0.0.1/32"),
        ("192.0.2.10", ("127.0.0.1/32", "192.0.2.50/32"), Level.OK, "to 127.0.0.1/32, 192.0.2.50/32"),
        ("192.0.2.10", ("127.0.0.1/32", "::1/128"), Level.WARNING, "networks lets only this machine in"),
        ("127.0.0.1", ("0.0.0.0/0",), Level.WARNING, "networks lets everybody scrape"),
    ],
)
def test_who_may_scrape(listen: str, networks: tuple[str, ...], level: Level, says: str) -> None:
    assert list(check_metrics(Config())) == []
    options = MetricsOptions(listen=Address(host=listen, port=9760), networks=networks)
    (finding,) = check_metrics(Config(console_metrics=options))
    assert (finding.level, finding.what) == (level, "[console_metrics]")
    assert says in finding.says


def test_keys_of_peers_that_may_send_sip_in_the_clear() -> None:
    peer = Peer(name="pbx", networks=("192.0.2.1/32",), srtp=Srtp.REQUIRED)
    (finding,) = check_srtp(Config(peer=(peer,)))
    assert finding.level is Level.WARNING
    assert "peer 'pbx'" in finding.says
    (good,) = check_srtp(Config(peer=(replace(peer, tls_only=True), replace(peer, name="b", srtp=Srtp.OPTIONAL))))
    assert good.level is Level.OK


def test_a_password_alone_is_told_of() -> None:
    (fine,) = check_sign_in(Config())
    (bad,) = check_sign_in(Config(console=Console(second_factor=SecondFactor.OFF)))
    assert (fine.level, bad.level) == (Level.OK, Level.WARNING)
    assert "second_factor" in bad.do


def test_extensions_without_a_team_are_told_of() -> None:
    named, teamless = (
        Extension(number=n, operator="ann", service="Revenues", team=t) for n, t in (("1", "A"), ("2", ""))
    )
    assert list(check_teamless(Config())) == []
    (fine,) = check_teamless(Config(extension=(named,)))
    (bad,) = check_teamless(Config(extension=(named, teamless)))
    assert (fine.level, bad.level, bad.says) == (Level.OK, Level.WARNING, "2")


def test_managers_of_no_team_are_told_of() -> None:
    config = Config(extension=(Extension(number="2001", operator="ann", service="Revenues", team="North"),))

    def manager(name: str, *teams: str) -> Person:
        return Person(name=name, display_name=name, roles=frozenset({Role.MANAGER}), teams=teams)

    assert list(check_teams(config, [])) == []
    (fine,) = check_teams(config, [manager("mary", "South", "North")])
    assert fine.level is Level.OK
    (bad,) = check_teams(config, [manager("mary", "North"), manager("nell"), manager("olga", "north")])
    assert (bad.level, bad.says) == (Level.WARNING, "nell, olga: manager of no team that an extension has")


@pytest.mark.parametrize(
    ("reviewed_on", "level", "says"),
    [
        (None, Level.WARNING, "policy_reviewed_on is off"),
        ("2023-11-25", Level.WARNING, "due for review since 25 November 2026"),
        ("2023-11-26", Level.OK, "the next one is on 26 November 2026"),
    ],
)
def test_when_the_policy_is_reviewed_next(reviewed_on: str | None, level: Level, says: str) -> None:
    (finding,) = check_review(replace(CONFIG, site=Site(policy_reviewed_on=reviewed_on)), date(2026, 11, 25))
    assert finding.level is level
    assert says in finding.says
