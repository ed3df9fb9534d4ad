"""Mistakes in the configuration: each is one sentence with file and line."""

import re
from pathlib import Path

import pytest

from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from tests.helpers.config_text import GOOD, TLS, written


def complaint(folder: Path, old: str, new: str) -> tuple[int, str]:
    """Return the line and the sentence for the good file with one thing changed."""
    assert GOOD.count(old) == 1, "the change is ambiguous"
    path = written(folder, GOOD.replace(old, new))
    with pytest.raises(ConfigError) as error:
        read_config(path)
    found = re.fullmatch(rf"{re.escape(str(path))}, line (\d+): (.+)", str(error.value))
    assert found, f"not one sentence with file and line: {error.value}"
    return int(found[1]), found[2]


MISTAKES = {
    "unknown key": ('listen = "192', 'lisen = "192', 2, "unknown key 'lisen'; known here are advertised, listen,"),
    "unknown section": (
        "[media]",
        "[medium]",
        13,
        "unknown key 'medium'; known here are anchors, archive, assurance, backup,",
    ),
    "unknown key of the second extension": ('operator = "bob"', 'oper = "bob"', 28, "unknown key 'oper'"),
    "missing key": ('operator = "bob"\n', "", 26, "[[extension]] needs operator"),
    "the nearest key": ('listen = "192', 'lisen = "192', 2, "; the nearest is listen"),
    "text for a number": (
        "[30000, 30099]",
        '["a", "b"]',
        14,
        "ports must be a whole number, not 'a'; such as ports = 5",
    ),
    "one in no list": ("[30000, 30099]", "30000", 14, "in square brackets; such as ports = [30000]"),
    "the nearest choice": ('"discard"', '"discord"', 19, "not 'discord'; the nearest is card_payment = \"discard\""),
    "no TOML": ('name = "pbx"', "name pbx", 5, "this is not TOML: "),
    "number for text": ('name = "pbx"', "name = 5", 5, "name must be text in quotes, not 5"),
    "one port": ("[30000, 30099]", "[30000]", 14, "ports must be two numbers: [first, last]"),
    "no list": ("[30000, 30099]", "30000", 14, "ports must be a list"),
    "ports the wrong way round": ("[30000, 30099]", "[30099, 30000]", 14, "the first one smaller"),
    "ports of the system": ("[30000, 30099]", "[1000, 30000]", 14, "two numbers in [1024, 65535]"),
    "no address": ('"192.0.2.10:5060"', '"192.0.2.10:x"', 2, "listen must be IP:PORT in quotes, not '192.0.2.10:x'"),
    "bad choice": ('"discard"', '"bin"', 19, "card_payment must be one of 'pause', 'discard', not 'bin'"),
    "a target of another kind": (
        '"192.0.2.21"',
        '"ws:192.0.2.21"',
        11,
        'targets must be HOST:PORT, "tcp:HOST:PORT" or "tls:HOST:PORT", not \'ws:192.0.2.21\'',
    ),
    "a transport where none belongs": ('"192.0.2.10:5060"', '"tls:192.0.2.10:5061"', 2, "listen must be IP:PORT in"),
    "TCP without a listener": ('"192.0.2.21"', '"tcp:192.0.2.21"', 11, "tcp:192.0.2.21:5060 needs listen_tcp"),
    "TLS without a listener": ('"192.0.2.21"', '"tls:pbx"', 11, "tls:pbx:5061 needs listen_tls in [sip]"),
    "TLS without a certificate": ("[[peer]]", 'listen_tls = "192.0.2.10"\n[[peer]]', 4, "listen_tls needs tls_certif"),
    "TCP everywhere": ("[[peer]]", 'listen_tcp = "0.0.0.0"\n[[peer]]', 4, "advertised must say which IP goes into Via"),
    "a peer that could not be heard": ("[[route]]", "tls_only = true\n[[route]]", 8, "tls_only needs listen_tls in"),
    "large requests without TCP": ("[[route]]", "large_over_tcp = true\n[[route]]", 8, "large_over_tcp needs listen_t"),
    "no network": ("192.0.2.20/32", "192.0.2.20/40", 6, "'192.0.2.20/40' is not a network"),
    "unknown peer": ('peer = "pbx"', 'peer = "sbc"', 10, "route 'default' names peer 'sbc', which is not configured"),
    "no targets": ('["192.0.2.20:5060", "192.0.2.21"]', "[]", 11, "route 'default' has no targets"),
    "extension of the self-test": ('number = "2002"', 'number = "selftest"', 27, "selftest is the name of self-tests"),
    "duplicate extension": ('number = "2002"', 'number = "2001"', 27, "extension 2001 is listed twice"),
    "wildcard without a word for SDP": ("192.0.2.10:5060", "0.0.0.0:5060", 13, "advertised must say which IP"),
    "bad media address": ("ports =", 'address = "here"\nports =', 14, "address 'here' is not an IP address"),
    "strip what is not there": ("peer = ", "strip = -1\npeer = ", 10, "strip is -1: it must be at least 0"),
    "no time to ring": ("card_payment", "ring_s = 0\ncard_payment", 19, "ring_s is 0: it must be over 0"),
    "peer without networks": (
        '["192.0.2.20/32"]',
        "[]",
        6,
        "peer 'pbx' has no networks, so all its requests would be dropped",
    ),
    "peer twice": (
        "[[route]]",
        '[[peer]]\nname = "pbx"\nnetworks = ["::/0"]\n[[route]]',
        9,
        "peer 'pbx' is listed twice",
    ),
    "service twice": (
        "[[service]]",
        '[[service]]\nname = "Revenues"\n[[service]]',
        19,
        "service 'Revenues' is listed twice",
    ),
    "a mailbox that is a nominated extension": (
        "[media]",
        '[voicemail]\nnumbers = ["2001"]\n[media]',
        14,
        "2001 is a nominated extension, so it cannot be a mailbox",
    ),
    "no media thread": ("ports =", "threads = 0\nports =", 14, "threads is 0: it must be at least 1"),
    "truth for a number": ("ports =", "threads = true\nports =", 14, "threads must be a whole number, not True"),
}


@pytest.mark.parametrize(("old", "new", "line", "says"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    found_line, sentence = complaint(tmp_path, old, new)
    assert says in sentence
    assert found_line == line


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            "requires_certificate = true\n",
            "requires_certificate needs tls_names: the names in the certificate of peer 'pbx'",
        ),
        ('tls_names = ["*.example"]\n', "tls_names holds '*.example': SIP has no wildcards"),
    ],
)
def test_rules_of_tls_that_cannot_be(tmp_path: Path, more: str, says: str) -> None:
    text = GOOD.replace("[[peer]]", TLS + "[[peer]]", 1).replace("[[route]]", more + "[[route]]", 1)
    with pytest.raises(ConfigError, match=re.escape(says)):
        read_config(written(tmp_path, text))


def test_unknown_service_is_found_where_it_is_named(tmp_path: Path) -> None:
    before, name, after = GOOD.rpartition('service = "Revenues"')
    path = written(tmp_path, before + name.replace("Revenues", "Benefits") + after)
    with pytest.raises(ConfigError, match=r"line 29: extension 2002 names service 'Benefits'; known are Revenues"):
        read_config(path)


ALONE = {
    "a database of another kind": (
        '[storage]\nindex_url = "mysql://root:secret@db/x"\n',
        2,
        "'mysql' is no database that can be used: only sqlite and postgresql are",
    ),
    "a URL that is none": ('[storage]\nindex_url = "recorder"\n', 2, "the database's URL cannot be read; write"),
    "accounts in a file of another name": (
        '[storage]\naccounts_url = "sqlite:////srv/people.sqlite"\n',
        2,
        'accounts_url is for a PostgreSQL server: write "off" for people.sqlite in this folder',
    ),
    "accounts on another server": (
        '[storage]\naccounts_url = "mysql://root:secret@db/x"\n',
        2,
        "'mysql' is no database that can be used",
    ),
    "look-back too short": (
        "[pause]\nerase_s = 0.2\nlook_back_s = 1.2\n",
        3,
        "look_back_s is 1.2: shorter than digit window + detector lag + writer period (1.3 s)",
    ),
    "a look-back that no tap can have": (
        "[pause]\nlook_back_s = 500.5\n",
        2,
        "look_back_s is 500.5: it must be at most 500",
    ),
    "erase longer than what is in memory": ("[pause]\nlook_back_s = 3.0\n", 1, "erase_s is 3: it must lie in"),
    "negative erase": ("[pause]\nerase_s = -1.0\n", 2, "erase_s is -1: it must lie in"),
    "keys without a star": ('[pause]\npause_keys = "11"\n', 2, "pause_keys must be * and one more key, not '11'"),
    "same keys": ('[pause]\nresume_keys = "*1"\n', 2, "pause_keys and resume_keys must differ"),
    "no such zone": ('[site]\ntimezone = "Europe/Hull"\n', 2, "timezone 'Europe/Hull' is not known"),
    "no retention": ("[retention]\nretention_days = 0\n", 2, "retention_days is 0: it must be at least 1"),
    "a registrar without its listener": (
        '[[register]]\nname = "a"\nuser = "b"\nregistrar = "tls:pbx.example"\n',
        4,
        "tls:pbx.example:5061 needs listen_tls",
    ),
    "more of one than of all": (
        "[limits]\nmax_connections = 10\nmax_connections_per_source = 11\n",
        3,
        "max_connections_per_source is larger than max_connections",
    ),
    "a denied number that is none": (
        '[transfers]\ndeny = ["09", "+44"]\n',
        2,
        "deny has '+44': write the first digits",
    ),
    "a prefix that is none": ('[transfers]\nprefixes = ["9,"]\n', 2, "prefixes has '9,': write digits"),
    "a country that is none": ('[transfers]\ncountry = "+44"\n', 2, "country must be digits"),
    "no call allowed": ("[limits]\nmax_calls = 0\n", 2, "max_calls is 0: it must be at least 1"),
    "no time for a target": ("[sip]\nno_reply_s = 0.0\n", 2, "no_reply_s is 0: it must be over 0"),
    "no time between OPTIONS": ("[sip]\nwatch_every_s = -1\n", 2, "watch_every_s is -1: it must be over 0"),
    "no time without RTP": ("[media]\ndead_rtp_s = 0\n", 2, "dead_rtp_s is 0: it must be over 0"),
    "gathering too long": ("[media]\ngather_ms = 20.0\n", 2, "gather_ms is 20: it must lie in [0, 10]"),
    "too many interfaces": (
        f"[media]\nkernel_interfaces = {[f'eth{i}' for i in range(17)]}\n",
        2,
        "has 17 names: at most 16",
    ),
    "an interface twice": (
        '[media]\nkernel_interfaces = ["eth0", "lo", "eth0"]\n',
        2,
        "kernel_interfaces has eth0 twice",
    ),
    "an interface that cannot be": (
        '[media]\nkernel_interfaces = ["a name of sixteen"]\n',
        2,
        "is not the name of a network inter",
    ),
    "an interface as ip link writes it": (
        '[media]\nkernel_interfaces = ["veth0@if2"]\n',
        2,
        "'veth0@if2' is not the name",
    ),
    "an interface with one character too many": (
        '[media]\nkernel_interfaces = ["abcdefghijklmnop"]\n',
        2,
        "is not the name of",
    ),
    "no interface": ('[media]\nkernel_interfaces = [""]\n', 2, "'' is not the name of a network interface"),
    "interfaces in no list": ('[media]\nkernel_interfaces = "eth0"\n', 2, "kernel_interfaces must be a list"),
    "no time for a pause": ("[pause]\nmax_s = 0\n", 2, "max_s is 0: it must be over 0"),
    "a number that is none": ("[pause]\nlook_back_s = nan\n", 2, "look_back_s must be a number, not nan"),
    "a number without end": ("[pause]\nlook_back_s = inf\n", 2, "look_back_s must be a number, not inf"),
    "no digit": ("[pause]\ncard_digits = 0\n", 2, "card_digits is 0: it must be at least 1"),
    "no window": ("[pause]\ncard_window_s = 0\n", 2, "card_window_s is 0: it must be over 0"),
    "no key": ('[notice]\nsecond_key = "10"\n', 2, "second_key must be one of 0-9, * and #, not '10'"),
    "deletions forgotten too soon": (
        "[retention]\ntombstone_days = 30\n",
        2,
        "tombstone_days is 30: shorter than the longest period,",
    ),
    "a service that keeps nothing": (
        '[[service]]\nname = "Revenues"\nretention_days = 0\n',
        3,
        "retention_days is 0: it must be at least 1",
    ),
    "a sweep of more than all": (
        "[retention]\nmost_share_a_day = 100.5\n",
        2,
        "most_share_a_day is 100.5: it must lie",
    ),
    "a sweep of nothing": ("[retention]\nmost_share_a_day = 0\n", 2, "most_share_a_day is 0: it must lie in (0, 100]"),
    "a log of another kind": ('[log]\nformat = "xml"\n', 2, "format must be one of 'text', 'json', not 'xml'"),
    "an audit log in the clear": (
        '[syslog]\nserver = "udp://siem.example:514"\n',
        2,
        "'udp://siem.example:514' is not a syslog server over TLS: write tls://HOST:PORT",
    ),
    "half a certificate": (
        '[syslog]\nserver = "tls://siem.example"\nkey = "/etc/key.pem"\n',
        3,
        "certificate and key belong together: give both",
    ),
    "a webhook in the clear": (
        '[[webhook]]\nname = "crm"\nurl = "http://crm.example/"\nsecret_file = "/x"\n',
        3,
        "url is http: write https://HOST/PATH; http is for this machine only",
    ),
    "an event that there is not": (
        '[[webhook]]\nname = "crm"\nurl = "https://crm.example/"\nsecret_file = "/x"\nevents = ["call.began"]\n',
        5,
        "events must be one of 'call.begun', 'call.paused'",
    ),
    "two webhooks of one name": (
        '[[webhook]]\nname = "crm"\nurl = "https://a.example/"\nsecret_file = "/x"\n'
        '[[webhook]]\nname = "crm"\nurl = "https://b.example/"\nsecret_file = "/x"\n',
        6,
        "webhook 'crm' is there twice",
    ),
    "no day before packing": ("[archive]\nafter_days = 0\n", 2, 'after_days is 0: it must be at least 1, or "off"'),
    "a day with 25 hours": (
        '[retention]\nsweep_at = "25:00"\n',
        2,
        "sweep_at must be a time of day, hh:mm, not '25:00'",
    ),
    "a time of day with seconds": ('[retention]\nsweep_at = "02:30:00"\n', 2, "sweep_at must be a time of day, hh:mm"),
    "keys for two": ('[pause]\nmanager_keys = "*1"\n', 2, "manager_keys must differ from pause_keys and resume_keys"),
    "no time before a reminder": ("[pause]\nreminder_s = 0\n", 2, 'reminder_s is 0: it must be over 0, or "off"'),
    "no hour signed on": ("[sign_on]\nhours = 0\n", 2, "hours is 0: a sign-on lasts more than 0 and at most"),
    "signed on for months": ("[sign_on]\nhours = 9999\n", 2, "hours is 9999: a sign-on lasts more than 0 and at most"),
    "no time before a mailbox": ("[voicemail]\nafter_s = 0\n", 2, 'after_s is 0: it must be over 0, or "off"'),
    "a certificate without its key": (
        '[console]\ntls_certificate = "a.pem"\n',
        2,
        "tls_certificate and tls_key go together",
    ),
    "a certificate and a proxy": (
        '[console]\ntls_certificate = "a.pem"\ntls_key = "b.pem"\nbehind_tls_proxy = true\n',
        4,
        "set either tls_certificate, or behind_tls_proxy, not both",
    ),
    "a syslog server that is none": (
        '[anchors]\nsyslog = "http://a"\n',
        2,
        "'http://a' is not a syslog server: write udp://",
    ),
    "anchors in a folder of nowhere": (
        '[anchors]\nfolder = "mnt"\n',
        2,
        "folder must be an absolute path, /mnt/anchors",
    ),
    "a backup into a folder of nowhere": (
        '[backup]\ndestination = "mnt"\n',
        2,
        "destination must be an absolute path, /mnt/backup, or s3://BUCKET/PREFIX",
    ),
    "a backup to an object store without an account": (
        '[backup]\ndestination = "s3://bucket/a"\n',
        2,
        "destination is an object store: name the file of its account in s3_file",
    ),
    "keys in the folder of recordings": (
        '[backup]\ndestination = "/mnt/a"\nkeys_destination = "/mnt/a/keys"\n',
        3,
        "keys_destination must lie outside destination",
    ),
    "keys of no backup": ('[backup]\nkeys_destination = "/mnt/k"\n', 2, "keys_destination needs destination"),
    "a backup that outlives tombstones": (
        "[backup]\nmedia_days = 4000\n",
        2,
        "media_days is 4000, more than tombstone_days in [retention] (2192)",
    ),
    "anchors by mail without a server": ('[anchors]\nmail_to = ["a@b"]\n', 2, "mail_to needs smtp and mail_from"),
    "mail from nobody": ('[mail]\nsmtp = "mail.example:25"\n', 2, "smtp needs sender: the address of the sender"),
    "mail from no address": ('[mail]\nsender = "us"\n', 2, "'us' is not a mail address"),
    "a user without a password": (
        '[[peer]]\nname = "pbx"\nnetworks = ["::/0"]\nauth_user = "us"\n',
        4,
        "peer 'pbx' needs both auth_user and auth_password_file",
    ),
    "a colour by name": ('[site]\ncolour = "blue"\n', 2, 'colour must be "#rrggbb", such as "#1d70b8", not \'blue\''),
    "a colour that is too light": (
        '[site]\ncolour = "#ffdd00"\n',
        2,
        "colour #ffdd00 is too light: white text on it has a contrast of 1.3:1, and 4.5:1 is needed",
    ),
    "a review on no day": (
        '[site]\npolicy_reviewed_on = "2026-02-30"\n',
        2,
        "policy_reviewed_on must be a day, 2026-11-25, not '2026-02-30'",
    ),
    "a service that SIPREC cannot find": (
        '[[peer]]\nname = "sbc"\nnetworks = ["::/0"]\nsiprec = true\nsiprec_service = "Revenues"\n',
        5,
        "siprec_service of peer 'sbc' is 'Revenues'; known are",
    ),
    "a name server without an address": (
        '[sip]\nname_servers = ["dns.example"]\n',
        2,
        "'dns.example' is not a name server: write IP or IP:PORT",
    ),
    "a name server with no port": (
        '[sip]\nname_servers = ["192.0.2.1:x"]\n',
        2,
        "'192.0.2.1:x' is not a name server: write IP or IP:PORT",
    ),
    "a session shorter than the shortest": (
        "[sip]\nmin_session_s = 120\nsession_expires_s = 90\n",
        3,
        "session_expires_s is 90: it must be at least min_session_s",
    ),
    "a peer without calls": (
        '[[peer]]\nname = "pbx"\nnetworks = ["::/0"]\nmax_calls = 0\n',
        4,
        'max_calls is 0: it must be at least 1, or "off"',
    ),
    "key outside a section": ("retention_days = 1\n", 1, "unknown key 'retention_days'"),
    "section that is none": ("sip = 5\n", 1, "sip must be a section: [sip]"),
}


@pytest.mark.parametrize(("text", "line", "says"), ALONE.values(), ids=ALONE)
def test_mistakes_in_short_files(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        read_config(path)
    assert str(error.value).startswith(f"{path}, line {line}: ")
    assert says in str(error.value)


def test_toml_that_is_none_says_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recorder\.toml, line 2: this is not TOML: .*; a line is such as "):
        read_config(written(tmp_path, "[sip]\nlisten = \n"))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "recorder.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"recorder\.toml: "):
        read_config(path)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="recorder init"):
        read_config(tmp_path / "recorder.toml")


def test_a_number_of_thousands_of_digits_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="limit"):
        read_config(written(tmp_path, "t = " + "7" * 6003))


@pytest.mark.parametrize("sign", ["\\u0000", "\\u200b", "\\u202e", "\\ufeff"])
def test_names_have_only_characters_that_are_seen(tmp_path: Path, sign: str) -> None:
    assert "operator of an extension has only characters that are seen" in complaint(
        tmp_path, 'operator = "bob"', f'operator = "bo{sign}b"'
    )[1]  # fmt: skip
