"""A FreeSWITCH set up by docs/integration/freeswitch.md, word by word, on top of what it is shipped with."""

import re
import shutil
import socket
import subprocess
from pathlib import Path

from tests.helpers.recorder_home import eventually
from tests.peers.pbx.site import CARRIER, DESKS, PBX, snippets

MODULES = (
    "console", "logfile", "event_socket", "sofia", "loopback", "commands", "db", "dptools", "expr", "hash",
    "callcenter", "dialplan_xml", "sndfile", "native_file", "local_stream", "tone_stream", "say_en",
)  # fmt: skip
TRUNK = f"""<include>
<gateway name="trunk">
  <param name="proxy" value="{CARRIER}:5060"/>
  <param name="register" value="false"/>
  <param name="caller-id-in-from" value="true"/>
</gateway>
</include>
"""
USER = """<include>
<user id="{number}"><params><param name="password" value="$${{default_password}}"/></params>
<variables>
  <variable name="user_context" value="default"/>
  <variable name="effective_caller_id_name" value="{name}"/>
  <variable name="effective_caller_id_number" value="{number}"/>
  <variable name="callgroup" value="revenues"/>
</variables></user>
</include>
"""
NAMES = {"2001": "Alice", "2002": "Bob", "2003": "Zoe"}
OTHERS = """<extension name="others">
  <condition field="destination_number" expression="^2\\d{3}$">
    <action application="bridge" data="user/${destination_number}@${domain}"/>
  </condition>
</extension>
"""
CALLCENTER = """<configuration name="callcenter.conf"><settings/><queues><queue name="revenues@default">
  <param name="strategy" value="ring-all"/>
  <param name="moh-sound" value="tone_stream://%(400,200,250)"/>
</queue></queues><agents>
@agents@</agents><tiers>
  <tier agent="2001" queue="revenues@default" level="1" position="1"/>
  <tier agent="2002" queue="revenues@default" level="1" position="1"/>
</tiers></configuration>
"""


class FreeSwitch:
    """A running FreeSWITCH of a prefix, with a copy of its shipped configuration that is changed as the page says."""

    page = "freeswitch.md"
    over_tcp = False
    pickup = "**2001"
    trunk_port = 5080
    domain = PBX
    password = "1234"

    def __init__(self, prefix: Path, folder: Path) -> None:
        self.folder, self.conf = folder, folder / "conf"
        shutil.copytree(prefix / "etc" / "freeswitch", self.conf)
        for name in ("log", "run", "db"):
            (folder / name).mkdir()
        self._write()
        self._log = (folder / "console.log").open("wb")
        places = [word for name in ("log", "run", "db") for word in (f"-{name}", str(folder / name))]
        self._process = subprocess.Popen(
            [prefix / "bin" / "freeswitch", "-nf", "-nc", "-nonat", "-conf", str(self.conf), *places],
            stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self) -> None:
        """Wait until it is up."""
        eventually(lambda: "is ready" in self.ask("status"), "FreeSWITCH starts", timeout_s=120)
        eventually(lambda: "RUNNING" in self.ask("sofia status"), "its profiles start", timeout_s=60)
        self.version = self.ask("version").strip()

    def _write(self) -> None:
        conf = self.conf
        profile, dialplan, queue, around = snippets("freeswitch.md", "xml")
        gateway, include, setting, acl = re.split(r"<!--.*?-->\n", profile)[1:]
        self._add("vars.xml", "<include>", f'<X-PRE-PROCESS cmd="set" data="local_ip_v4={PBX}"/>')
        text = (conf / "vars.xml").read_text()
        text = re.sub(r'cmd="stun-set" data="(external_\w+)=[^"]*"', rf'cmd="set" data="\1={PBX}"', text)
        (conf / "vars.xml").write_text(text)
        (conf / "sip_profiles" / "internal").mkdir(exist_ok=True)
        (conf / "sip_profiles" / "internal" / "recorder.xml").write_text(gateway)
        self._add("sip_profiles/internal.xml", "<gateways>", include)
        self._add("sip_profiles/internal.xml", "<settings>", setting)
        self._add("autoload_configs/acl.conf.xml", '<list name="domains" default="deny">', acl)
        (conf / "sip_profiles" / "external" / "trunk.xml").write_text(TRUNK)
        # Its example of a user who is known by address, 192.0.2.0/24, which are the addresses of this site.
        (conf / "directory" / "default" / "brian.xml").unlink()
        for number in DESKS:
            user = USER.format(number=number, name=NAMES[number])
            (conf / "directory" / "default" / f"{number}.xml").write_text(user)
        queue, agent = re.split(r"<!--.*?-->\n", queue)
        from_queue, to_queue = queue.split('<extension name="to-queue">')
        emergency, back = dialplan[: dialplan.index('<extension name="out-of')].split('<extension name="back-desk">')
        rest = (
            from_queue
            + '<extension name="back-desk">'
            + back
            + around
            + '<extension name="to-queue">'
            + to_queue
            + OTHERS
        )
        self._add("dialplan/default.xml", '<context name="default">', emergency + rest)
        self._add("dialplan/public.xml", '<context name="public">', rest)
        (conf / "autoload_configs" / "callcenter.conf.xml").write_text(
            CALLCENTER.replace("@agents@", agent + agent.replace("2001", "2002"))
        )
        loads = "".join(f'<load module="mod_{name}"/>' for name in MODULES)
        (conf / "autoload_configs" / "modules.conf.xml").write_text(
            f'<configuration name="modules.conf"><modules>{loads}</modules></configuration>'
        )
        self._edit("autoload_configs/event_socket.conf.xml", 'value="::"', 'value="127.0.0.1"')

    def _add(self, name: str, after: str, text: str) -> None:
        self._edit(name, after, f"{after}\n{text}")

    def _edit(self, name: str, old: str, new: str) -> None:
        path = self.conf / name
        text = path.read_text()
        assert text.count(old) == 1, f"{name}: {old}"
        path.write_text(text.replace(old, new))

    def ask(self, command: str) -> str:
        """Run a command by the event socket; nothing while it does not listen."""
        try:
            with socket.create_connection(("127.0.0.1", 8021), timeout=10) as line, line.makefile("rb") as answers:
                line.sendall(b"auth ClueCon\n\n")
                for _ in range(2):  # what it greets with, and what it says to the password
                    while answers.readline().strip():
                        pass
                line.sendall(f"api {command}\n\n".encode())
                length = 0
                while header := answers.readline().strip():
                    if header.startswith(b"Content-Length:"):
                        length = int(header.split()[1])
                return answers.read(length).decode()
        except OSError:
            return ""

    def sees_recorder(self) -> bool:
        """Whether the recorder answers FreeSWITCH's OPTIONS."""
        return "UP" in self.ask("sofia status gateway recorder")

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._log.close()
