"""What site-check and health make of the certificate of SIP over TLS."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from recorder.config.settings import Config, Console, Sip
from recorder.service import certificates
from recorder.service.findings import Level
from sip.options import Address, TransportKind
from tests.helpers import certificates as papers


def config(paths: tuple[str, str], ca: Path) -> Config:
    listen = Address(host="192.0.2.10", port=5061)
    return Config(sip=Sip(listen_tls=listen, tls_certificate=paths[0], tls_key=paths[1], tls_ca=str(ca)))


def test_nothing_is_said_without_tls() -> None:
    assert list(certificates.check_tls(Config(), datetime.now(UTC))) == []


@pytest.mark.parametrize(
    ("days", "level", "says"),
    [(90, Level.OK, "good until"), (20, Level.WARNING, "in 19 days"), (-1, Level.ERROR, "it ended on")],
)
def test_a_certificate_and_its_end(tmp_path: Path, days: float, level: Level, says: str) -> None:
    authority = papers.Authority(tmp_path)
    (finding,) = certificates.check_tls(config(authority.issue("own", days=days), authority.ca), datetime.now(UTC))
    assert finding.level is level
    assert says in finding.says


def test_files_that_do_not_go_together(tmp_path: Path) -> None:
    authority = papers.Authority(tmp_path)
    own, other = authority.issue("own"), authority.issue("other")
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for paths, ca, says in (
        ((own[0], other[1]), authority.ca, "do not belong together"),
        ((str(tmp_path / "none.pem"), own[1]), authority.ca, "none.pem: No such file"),
        ((own[0], str(tmp_path / "none.key")), authority.ca, "No such file"),
        ((str(empty), own[1]), authority.ca, "empty.pem holds no certificate"),
        (own, empty, "empty.pem holds no certificates"),
        (own, tmp_path / "none", "none: No such file"),
    ):
        (finding,) = certificates.check_tls(config(paths, ca), datetime.now(UTC))
        assert (finding.level, says in finding.says) == (Level.ERROR, True), finding.says


def test_a_key_that_others_can_read(tmp_path: Path) -> None:
    authority = papers.Authority(tmp_path)
    own = authority.issue("own")
    Path(own[1]).chmod(0o644)
    *_, finding = certificates.check_tls(config(own, authority.ca), datetime.now(UTC))
    assert (finding.level, finding.what) == (Level.WARNING, "TLS key")


class Carrier:
    addresses = {TransportKind.TLS: Address(host="192.0.2.10", port=5061, transport=TransportKind.TLS)}  # noqa: RUF012
    connections = 3

    def __init__(self, end: datetime | None) -> None:
        self.certificate_expires_at = end


def test_health_alarms_in_time() -> None:
    end = datetime(2026, 12, 31, tzinfo=UTC)
    calm = certificates.health(Carrier(end), datetime(2026, 11, 1, tzinfo=UTC))
    assert calm == {
        "listening": ["tls:192.0.2.10:5061"],
        "connections": 3,
        "certificate_expires_at": "2026-12-31T00:00:00+00:00",
        "alarms": {},
    }
    late = certificates.health(Carrier(end), datetime(2026, 12, 20, tzinfo=UTC))
    assert late["alarms"] == {"tls_certificate_ends": 1}
    assert certificates.health(Carrier(None), end)["certificate_expires_at"] is None


def test_the_consoles_certificate(tmp_path: Path) -> None:
    authority = papers.Authority(tmp_path)
    certificate, key = authority.issue("console", days=20)
    abroad = Address(host="192.0.2.10", port=443)
    own = Config(console=Console(listen=abroad, tls_certificate=certificate, tls_key=key))
    (finding,) = certificates.check_tls(own, datetime.now(UTC))
    assert (finding.level, finding.what) == (Level.WARNING, "console TLS certificate")
    (plain,) = certificates.check_tls(Config(console=Console(listen=abroad)), datetime.now(UTC))
    assert (plain.level, "plain HTTP" in plain.says) == (Level.ERROR, True)
    for host in ("127.0.0.1", "::1"):
        at_home = Config(console=Console(listen=Address(host=host, port=8080)))
        assert list(certificates.check_tls(at_home, datetime.now(UTC))) == []
