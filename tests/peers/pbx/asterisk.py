"""An Asterisk set up by docs/integration/asterisk.md, word by word, and what a site has around that."""

import subprocess
from pathlib import Path

from tests.helpers.recorder_home import eventually
from tests.peers.pbx.site import CARRIER, DESKS, PBX, snippets

SURROUNDINGS_PJSIP = f"""
[transport-udp]
type = transport
protocol = udp
bind = {PBX}:5060
[transport-tcp]
type = transport
protocol = tcp
bind = {PBX}:5060
[trunk]
type = endpoint
transport = transport-udp
context = from-trunk
aors = trunk
disallow = all
allow = alaw,ulaw
direct_media = no
[trunk]
type = aor
contact = sip:{CARRIER}:5060
[trunk]
type = identify
endpoint = trunk
match = {CARRIER}
"""
DESK_PJSIP = """
[{number}]
type = endpoint
transport = transport-udp
context = desk-{number}
aors = {number}
callerid = "{name}" <{number}>
disallow = all
allow = alaw,ulaw
direct_media = no
call_group = 1
pickup_group = 1
[{number}]
type = aor
max_contacts = 1
remove_existing = yes
"""
SURROUNDINGS_DIALPLAN = """
[from-trunk]
include => nominated
include => desks

[desk-2003]
include => nominated
include => emergency
include => desks

[desks]
exten => 2800,1,Dial(PJSIP/2800@recorder,90)
 same => n,Hangup(${HANGUPCAUSE})
exten => _2XXX,1,Dial(PJSIP/${EXTEN},60)
"""
NAMES = {"2001": "Alice", "2002": "Bob", "2003": "Zoe"}
QUEUES = """
[general]
[revenues]
strategy = ringall
member => PJSIP/2001
member => PJSIP/2002
"""
MODULES = "[modules]\nautoload = yes\n"


def dialplan() -> str:
    """Return extensions.conf: the page's, once more for the second nominated desk, and what a site has around it."""
    _, page, queue = snippets("asterisk.md", "ini")
    nominated, desk = _section(page, "nominated"), _section(page, "desk-2001")
    again = nominated.partition("\n")[2].replace("2001", "2002")
    page = page.replace(nominated, nominated + again).replace(desk, desk + desk.replace("desk-2001", "desk-2002"))
    return page + queue + SURROUNDINGS_DIALPLAN  # the page ends with [from-recorder]


def _section(text: str, name: str) -> str:
    start = text.index(f"[{name}]")
    end = text.find("\n[", start)
    return text[start:end].rstrip() + "\n\n" if end > 0 else text[start:]


class Asterisk:
    """A running Asterisk of a prefix (`./configure --prefix`), with a configuration of its own."""

    page = "asterisk.md"
    over_tcp = True
    pickup = "*8"
    trunk_port = 5060
    domain = PBX
    password = ""

    def __init__(self, prefix: Path, folder: Path) -> None:
        self._program = prefix / "sbin" / "asterisk"
        self.folder = folder
        self._config = folder / "etc" / "asterisk.conf"
        for name in ("etc", "var", "log", "run", "spool"):
            (folder / name).mkdir(parents=True)
        self._write(prefix)
        self._log = (folder / "console.log").open("wb")
        command = [str(self._program), "-f", "-C", str(self._config)]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)

    def start(self) -> None:
        """Wait until it is up."""
        eventually(lambda: "System uptime" in self.ask("core show uptime"), "Asterisk starts", timeout_s=60)
        self.ask("pjsip set logger on")
        self.version = subprocess.run(
            [str(self._program), "-V"], capture_output=True, text=True, check=True
        ).stdout.strip()

    def _write(self, prefix: Path) -> None:
        folder, etc = self.folder, self.folder / "etc"
        places = {
            "astetcdir": etc, "astmoddir": prefix / "lib/asterisk/modules", "astdbdir": folder / "var",
            "astvarlibdir": prefix / "var/lib/asterisk", "astdatadir": prefix / "var/lib/asterisk",
            "astspooldir": folder / "spool", "astrundir": folder / "run", "astlogdir": folder / "log",
        }  # fmt: skip
        lines = "".join(f"{name} => {place}\n" for name, place in places.items())
        (etc / "asterisk.conf").write_text(f"[directories]\n{lines}[options]\nverbose = 4\n")
        page = snippets("asterisk.md", "ini")[0]
        desks = "".join(DESK_PJSIP.format(number=number, name=NAMES[number]) for number in DESKS)
        (etc / "pjsip.conf").write_text(SURROUNDINGS_PJSIP + page + desks)
        (etc / "extensions.conf").write_text(dialplan())
        (etc / "queues.conf").write_text(QUEUES)
        (etc / "modules.conf").write_text(MODULES)
        (etc / "rtp.conf").write_text("[general]\nrtpstart = 10000\nrtpend = 10999\n")
        (etc / "logger.conf").write_text("[logfiles]\nfull => notice,warning,error,verbose\n")
        for name in ("features", "musiconhold", "cdr", "ccss", "udptl", "acl", "indications", "cel", "manager"):
            (etc / f"{name}.conf").write_text("[general]\n")

    def ask(self, command: str) -> str:
        """Run a command of Asterisk's console."""
        asked = [str(self._program), "-C", str(self._config), "-rx", command]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout

    def sees_recorder(self) -> bool:
        """Whether the recorder answers Asterisk's OPTIONS."""
        return any("recorder/" in line and " Avail " in line for line in self.ask("pjsip show contacts").splitlines())

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._log.close()
