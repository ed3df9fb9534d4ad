"""Scenarios for sipp in a few words a line, and what the recorder must say of them: `scenarios/*.txt`, turned into XML.

A file holds several scenarios::

    == name                       once in all files
    trap: what goes wrong elsewhere; a row of the table in README.md
    ends: recorded caller_hung_up the row's outcome and reason; `none` for a call that leaves no row
    segments: recording hold      kinds of segments in order, when they matter
    counts: passed=1              what the daemon's counters must have grown by, at least
    home: timers                  which daemon takes it, `plain` when left out
    service: after                how it is announced: `before` (when left out), `after` or `none` (not nominated)
    silent                        nobody sends audio
    operator: X                   the row's operator
    numbers: X Y                  further numbers that the row has, among others
    redirects                     the route follows 3xx
    anybody                       calls to the extension are recorded whoever answers
    call-id: X                    the Call-ID begins so
    caller:                       the script of the side that calls
    officer:                      the script of the side that is called; without one nobody is there
    second caller:                a PBX that places a call of the same caller to a colleague, at once with the first:
                                  `[second]` is her number; `ends`, `segments` and `operator` are then of both rows
    second officer:               the colleague

A line of a script is one of

    > INVITE sdp                  send a request, here with a session description; `sdp:KIND` is one of `KINDS`
    > 200 INVITE sdp              answer the last INVITE (or UPDATE, BYE ...)
    < 180                         wait for a response, or `< BYE` for a request; `?` behind it: it may be missing
    ~ 300                         wait for so many milliseconds
                                  (a caller who hears the notice first is told nothing of the officer's answer:
                                  it waits 1500, so that both are in the call on a busy machine too)
    call / answer / bye / byed    see `WORDS`

and below a `>` line `+Name: value` adds a header, below a `<` line `=Name: pattern` checks one (POSIX extended),
`=auth USER PASSWORD` the digest in it, `=~ pattern` the whole message, `!Name` that it is not there, and
`@name Name: pattern` keeps what the pattern's first group finds, for `[$name]` later. Options of a `>` line: `tag=X`
(answer with that To tag), `uri=X`, `cseq=N`, `branch=N` (that of the N-th request sent), `type=T` with `body=TEXT`,
`hops=N` (Max-Forwards), `to=refusal` (an ACK of what is no 2xx), `dialog` (an answer to a re-INVITE), `once` (no
retransmission), `same` (the session description of before).
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

FOLDER = Path(__file__).parent / "scenarios"

SIDES = ("caller", "officer", "second caller", "second officer")
"""Who has a script."""

WORDS = {
    "call": "> INVITE sdp\n< 100?\n< 180?\n< 183?\n< 200\n> ACK\ntalk\n",
    "answer": "< INVITE\n> 180 INVITE\n> 200 INVITE sdp\n< ACK\n",
    "bye": "> BYE\n< 200\n",
    "byed": "< BYE\n> 200 BYE\n",
}
"""Lines that most scripts have."""

KINDS = {
    "": ("c=IN IP[media_ip_type] [media_ip]", "8 101", "a=rtpmap:101 telephone-event/8000\na=sendrecv"),
    "sendonly": ("c=IN IP[media_ip_type] [media_ip]", "8", "a=sendonly"),
    "recvonly": ("c=IN IP[media_ip_type] [media_ip]", "8", "a=recvonly"),
    "inactive": ("c=IN IP[media_ip_type] [media_ip]", "8", "a=inactive"),
    "zero": ("c=IN IP4 0.0.0.0", "8", "a=sendrecv"),
    "ulaw": ("c=IN IP[media_ip_type] [media_ip]", "0", "a=rtpmap:0 PCMU/8000"),
    "both": ("c=IN IP[media_ip_type] [media_ip]", "0 8 9", "a=ptime:30"),
    "gsm": ("c=IN IP[media_ip_type] [media_ip]", "3", "a=rtpmap:3 GSM/8000"),
    "nonsense": ("c=IN IP[media_ip_type] [media_ip]", "0", "a=rtpmap:0 pcmu/8000a"),
    "video": (
        "c=IN IP[media_ip_type] [media_ip]",
        "8",
        "a=sendrecv\nm=video 40998 RTP/AVP 99\na=rtpmap:99 H264/90000",
    ),
    "fax": ("c=IN IP[media_ip_type] [media_ip]", "8", "a=sendrecv\nm=image 40996 udptl t38"),
    "onlyfax": None,
}
"""Session descriptions: connection, formats of the audio stream, and what follows it."""


@dataclass
class Scenario:
    """One scenario as its file has it."""

    name: str
    fields: dict[str, str] = field(default_factory=dict)
    scripts: dict[str, list[str]] = field(default_factory=dict)

    @property
    def ends(self) -> tuple[str, ...]:
        return tuple(self.fields.get("ends", "recorded caller_hung_up").split())

    @property
    def home(self) -> str:
        return self.fields.get("home", "plain")

    @property
    def service(self) -> str:
        return self.fields.get("service", "before")

    @property
    def is_twice(self) -> bool:
        """Whether the call passes the recorder a second time."""
        return "second caller" in self.scripts

    @property
    def is_silent(self) -> bool:
        return "silent" in self.fields


def read_all() -> list[Scenario]:
    """Return every scenario of every file, in order; fails when a name is there twice."""
    found = [scenario for path in sorted(FOLDER.glob("*.txt")) for scenario in _read(path)]
    names = [scenario.name for scenario in found]
    assert len(set(names)) == len(names), f"twice: {sorted({n for n in names if names.count(n) > 1})}"
    return found


def least_s(scenario: Scenario) -> float:
    """Return for how long a scenario waits at least, by its scripts' pauses and the timers of its daemon."""
    pauses = [sum(float(line[2:]) for line in lines if line[0] == "~") / 1000 for lines in scenario.scripts.values()]
    return max(*pauses, 4.0 if scenario.home == "timers" else 0.0, 0.0)


def table() -> str:
    """Return the table of README.md: what goes wrong elsewhere, and the scenario that looks for it here."""
    lines = ["| trap | scenario | file |", "|---|---|---|"]
    for path in sorted(FOLDER.glob("*.txt")):
        lines += [f"| {s.fields.get('trap', '-')} | `{s.name}` | {path.name} |" for s in _read(path)]
    return "\n".join(lines) + "\n"


def _read(path: Path) -> list[Scenario]:
    found: list[Scenario] = []
    script: list[str] | None = None
    for raw in path.read_text().splitlines():
        line = raw.split(" #", 1)[0].strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("== "):
            found.append(Scenario(line[3:]))
            script = None
        elif line.endswith(":") and line[:-1] in SIDES:
            script = found[-1].scripts[line[:-1]] = []
        elif script is not None:
            script += WORDS.get(line, line).splitlines()
        else:
            key, _, value = line.partition(":")
            found[-1].fields[key.strip()] = value.strip()
    return found


@dataclass
class _Step:
    """A line that sends or waits, with the lines below it."""

    kind: str
    words: list[str]
    below: list[str] = field(default_factory=list)


def compile_script(name: str, lines: list[str], *, is_caller: bool, is_silent: bool) -> str:
    """Return the XML of one side."""
    steps: list[_Step] = []
    for line in lines:
        if line[0] in "+=!@":
            steps[-1].below.append(line)
        elif line == "talk":
            steps.append(_Step("talk", []))
        else:
            kind, _, rest = line.partition(" ")
            assert kind in ("<", ">", "~"), f"{name}: {line!r}"
            steps.append(_Step(kind, rest.split(" ")))
    return _Writer(is_caller=is_caller, is_silent=is_silent).write(name, steps)


class _Writer:
    def __init__(self, *, is_caller: bool, is_silent: bool) -> None:
        self._is_caller, self._is_silent = is_caller, is_silent
        self._cseq = self._sent = self._version = self._checks = self._labels = 0
        self._invite_cseq = self._invite_sent = 0
        self._is_dialog = False
        self._last = ""
        self._names: set[str] = set()
        self._branches: list[int] = []

    def write(self, name: str, steps: list[_Step]) -> str:
        parts = [part for step in steps for part in self._step(step)]
        used = ",".join(sorted(self._names))
        reference = f'<Reference variables="{used}"/>\n' if used else ""
        scenario = f"<scenario name={quoteattr(name)}>\n{''.join(parts)}{reference}</scenario>\n"
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{scenario}'

    def _step(self, step: _Step) -> list[str]:
        if step.kind == "~":
            return [f'<pause milliseconds="{step.words[0]}"/>\n']
        if step.kind == "talk":
            return (
                [] if self._is_silent else ['<nop><action><exec rtp_stream="talk.al,-1,8,PCMA/8000"/></action></nop>\n']
            )
        if step.kind == "<":
            return self._receive(step)
        return self._send(step)

    # -- waiting

    def _receive(self, step: _Step) -> list[str]:
        what = step.words[0]
        optional = ' optional="true"' if what.endswith("?") else ""
        what = what.rstrip("?")
        actions = [self._check(line) for line in step.below]
        if what == "INVITE":
            actions += [self._keep(f"invite_{key.lower()}", key, "(.*)") for key in ("Via", "CSeq", "From", "To")]
        kind = "response" if what.isdigit() else "request"
        if kind == "response" and not optional:
            self._is_dialog = self._is_dialog or what[0] == "2" or what in ("180", "183")
        rrs = (
            ' rrs="true"' if what == "INVITE" or (what[0] in "12" and what != "100" and self._last == "INVITE") else ""
        )
        label, after = "", ""
        if any(line.startswith("=auth") for line in step.below):
            self._labels += 1
            label = f' next="{self._labels}" test="is_proven"'
            self._names.add("is_proven")
            after = f'<nop><action><exec int_cmd="stop_now"/></action></nop>\n<label id="{self._labels}"/>\n'
        inside = f"<action>{''.join(actions)}</action>" if actions else ""
        return [f'<recv {kind}="{what}"{optional}{rrs}{label}>{inside}</recv>\n{after}']

    def _check(self, line: str) -> str:
        if line.startswith("=auth"):
            user, password = line.split()[1:]
            return f'<verifyauth assign_to="is_proven" username="{user}" password="{password}"/>'
        self._checks += 1
        variable = f"check{self._checks}"
        self._names.add(variable)
        if line.startswith("=~"):
            pattern = line[2:].strip()
            return f'<ereg regexp={quoteattr(pattern)} search_in="msg" check_it="true" assign_to="{variable}"/>'
        if line.startswith("!"):
            absent = quoteattr(f"{line[1:].strip()}:")
            return f'<ereg regexp={absent} search_in="msg" check_it_inverse="true" assign_to="{variable}"/>'
        if line.startswith("@"):
            name, _, rest = line[1:].partition(" ")
            header, _, pattern = rest.partition(":")
            self._names.discard(variable)
            return self._keep(name, header, pattern.strip())
        header, _, pattern = line[1:].partition(":")
        return (
            f'<ereg regexp={quoteattr(pattern.strip())} search_in="hdr" header="{header.strip()}:" check_it="true" '
            f'assign_to="{variable}"/>'
        )

    def _keep(self, name: str, header: str, pattern: str) -> str:
        self._names |= {name, f"{name}_all"}
        return (
            f'<ereg regexp={quoteattr(pattern)} search_in="hdr" header="{header}:" check_it="true" '
            f'assign_to="{name}_all,{name}"/>'
        )

    # -- sending

    def _send(self, step: _Step) -> list[str]:
        what, *words = step.words
        options = dict(word.split("=", 1) for word in words if "=" in word)
        headers = [line[1:] for line in step.below]
        sdp = next((word.partition(":")[2] for word in words if word.split(":")[0] == "sdp" and "=" not in word), None)
        self._version += 0 if "same" in words or sdp is None else 1
        body = self._sdp(sdp) if sdp is not None else options.get("body", "").replace("_", " ").replace("|", "\n")
        head = self._response(what, words, options) if what.isdigit() else self._request(what, options)
        head += headers
        if body:
            head.append(f"Content-Type: {options.get('type', 'application/sdp')}")
        text = "\n".join([*head, "Content-Length: [len]", "", body])
        is_again = (not what.isdigit() and what != "ACK") or (what[0] == "2" and "INVITE" in words)
        retrans = ' retrans="500"' if is_again and "once" not in words else ""
        return [f"<send{retrans}><![CDATA[\n{text}\n]]></send>\n"]

    def _sdp(self, kind: str) -> str:
        origin = f"v=0\no=- 1 {self._version} IN IP[local_ip_type] [local_ip]\ns=-\n"
        if KINDS[kind] is None:
            return f"{origin}c=IN IP[media_ip_type] [media_ip]\nt=0 0\nm=image 40996 udptl t38\n"
        connection, formats, rest = KINDS[kind] or ("", "", "")
        port = "[rtpstream_audio_port]" if self._is_caller and not self._is_silent else "[media_port]"
        return f"{origin}{connection}\nt=0 0\nm=audio {port} RTP/AVP {formats}\n{rest}\n"

    def _request(self, method: str, options: dict[str, str]) -> list[str]:
        if method == "ACK":
            cseq, branch = (
                self._invite_cseq,
                self._invite_sent if options.get("to") == "refusal" else self._next_branch(),
            )
        elif method == "CANCEL":
            cseq, branch = self._invite_cseq, self._invite_sent
        else:
            self._last = method
            self._cseq += 1
            cseq, branch = int(options.get("cseq", self._cseq)), self._next_branch()
            self._cseq = max(self._cseq, cseq)
        if "branch" in options:
            branch = int(options["branch"])
        if method == "INVITE":
            self._invite_cseq, self._invite_sent = cseq, branch
        return [
            f"{method} {self._uri(method, options)} SIP/2.0",
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-[pid]-{branch}",
            f"Max-Forwards: {options.get('hops', '70')}",
            *self._names_of(options),
            "Call-ID: [call_id]",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{'caller' if self._is_caller else 'officer'}@[local_ip]:[local_port];transport=UDP>",
        ]

    def _next_branch(self) -> int:
        self._sent += 1
        return self._sent

    def _uri(self, method: str, options: dict[str, str]) -> str:
        if "uri" in options:
            return options["uri"]
        if self._is_caller and (not self._is_dialog or method == "CANCEL" or options.get("to") == "refusal"):
            return "sip:[service]@[remote_ip]:[remote_port]"
        return "[next_url]"

    def _names_of(self, options: dict[str, str]) -> list[str]:
        if self._is_caller:
            peer = f";tag={options['tag']}" if "tag" in options else "[peer_tag_param]" if self._is_dialog else ""
            if options.get("to") == "refusal":
                peer = "[peer_tag_param]"
            return [
                "From: <sip:[number]@[local_ip]>;tag=[pid]caller",
                f"To: <sip:[service]@[remote_ip]:[remote_port]>{peer}",
            ]
        return [f"From: [$invite_to];tag={options.get('tag', '[pid]officer')}", "To: [$invite_from]"]

    def _response(self, status: str, words: list[str], options: dict[str, str]) -> list[str]:
        start = f"SIP/2.0 {status} Said So"
        tag = f";tag={options.get('tag', '[pid]officer')}"
        contact = f"Contact: <sip:{'caller' if self._is_caller else 'officer'}@[local_ip]:[local_port];transport=UDP>"
        if "INVITE" in words:
            to = "To: [$invite_to]" if "dialog" in words else f"To: [$invite_to]{'' if status == '100' else tag}"
            return [
                start,
                "Via: [$invite_via]",
                "From: [$invite_from]",
                to,
                "Call-ID: [call_id]",
                "CSeq: [$invite_cseq]",
                *([] if any(o.startswith("nocontact") for o in words) else [contact]),
            ]
        return [start, "[last_Via:]", "[last_From:]", "[last_To:]", "Call-ID: [call_id]", "[last_CSeq:]", contact]


if __name__ == "__main__":
    sys.stdout.write(table())
