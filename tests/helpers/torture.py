"""The torture messages of RFC 4475, written from its descriptions, and what becomes of each here.

``PORT`` stands for the sender's port. What is right is a set of final statuses, ``SILENCE`` where no answer is. Calls
to 4711 are passed on to a target that knows no caller and answers 404: that
answer shows that the INVITE was understood and went through.
"""

from dataclasses import dataclass, field

PASSED = frozenset({404})
SILENCE: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Torture:
    """One message.

    Attributes:
        section: Where RFC 4475 describes it.
        name: Its name there.
        data: The message.
        answers: Final statuses that are right, none for silence.
        said: What of it the far side must get to see.
    """

    section: str
    name: str
    data: bytes
    answers: frozenset[int]
    said: tuple[bytes, ...] = field(default=())


_SDP = (
    "v=0\r\no=mhandley 29739 7272939 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n"
    "m=audio 49217 RTP/AVP 8\r\n"
)


def _message(
    name: str,
    start: str,
    *,
    via: str = "Via: SIP/2.0/UDP 127.0.0.1:PORT;branch=z9hG4bK-{name}",
    origin: str | None = "From: <sip:caller@example.org>;tag={name}",
    to: str | None = "To: <sip:4711@example.net>",
    call_id: str | None = "Call-ID: {name}.torture",
    cseq: str | None = None,
    more: str = "",
    body: str = "",
    length: str | None = "",
) -> bytes:
    method = start.split(" ", maxsplit=1)[0]
    contact = "Contact: <sip:caller@127.0.0.1:PORT>"
    lines = [start, via, "Max-Forwards: 68", origin, to, call_id, cseq or f"CSeq: 21 {method}", contact]
    text = "\r\n".join(line for line in lines if line is not None) + "\r\n" + more
    if body and "content-type" not in more.lower():
        text += "Content-Type: application/sdp\r\n"
    if length is not None:
        text += f"Content-Length: {length or len(body)}\r\n"
    return (text + "\r\n" + body).replace("{name}", name).encode()


def _short_tortuous() -> bytes:
    head = (
        "INVITE sip:4711@example.net;unknownparam SIP/2.0\r\n"
        "TO :\r\n sip:4711@example.net\r\n"
        'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n'
        "MaX-fOrWaRdS: 0068\r\n"
        "Call-ID: wsinv.ndaksdj@192.0.2.1\r\n"
        "Content-Length   : 137\r\n"
        "cseq: 0009\r\n  INVITE\r\n"
        "Via  : SIP  /   2.0\r\n /UDP\r\n    127.0.0.1:PORT;branch=390skdjuw\r\n"
        "s :\r\n"
        "NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
        "UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
        "Content-Type: application/sdp\r\n"
        "Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
        "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
        " SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
        'm:"Quoted string \\"\\"" <sip:jdrosen@127.0.0.1:PORT> ; newparam =\r\n      newvalue ;\r\n'
        "  secondparam ; q = 0.33\r\n"
    )
    return (head.replace("137", str(len(_SDP))) + "\r\n" + _SDP).encode()


_LONG = "x" * 120

TORTURE: tuple[Torture, ...] = (
    # 3.1.1 valid messages
    Torture("3.1.1.1", "wsinv", _short_tortuous(), PASSED, (b"m=audio 49217 RTP/AVP 8", b"INVITE sip:4711@")),
    Torture(
        "3.1.1.2",
        "intmeth",
        _message(
            "intmeth",
            "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
            ":&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0",
            to='To: "BEL:\\\x07 NUL:\\\x01 DEL:\\\x7f" '
            "<sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>",
            origin="From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%="
            '"\u0440\u0430\u0431\u043e\u0442\u0430\u044e\u0449\u0438\u0439";tag=_token~1\'+`*%!-.',
            call_id="Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
        ),
        frozenset({405, 501}),
    ),
    Torture(
        "3.1.1.3",
        "esc01",
        _message("esc01", "INVITE sip:4711@example.net;p=%2e SIP/2.0", to="To: <sip:%34711@example.net>", body=_SDP),
        PASSED,
        (b"INVITE sip:4711@",),
    ),
    Torture(
        "3.1.1.4",
        "escnull",
        _message("escnull", "REGISTER sip:example.com SIP/2.0", to="To: sip:null-%00-null@example.com"),
        frozenset({405, 501}),
    ),
    Torture(
        "3.1.1.5", "esc02", _message("esc02", "RE%47IST%45R sip:registrar.example.com SIP/2.0"), frozenset({405, 501})
    ),
    Torture(
        "3.1.1.6",
        "lwsdisp",
        _message(
            "lwsdisp",
            "OPTIONS sip:user@example.com SIP/2.0",
            origin="From: caller<sip:caller@example.com>;tag={name}",
            to="To: sip:user@example.com",
        ),
        frozenset({200}),
    ),
    Torture(
        "3.1.1.7",
        "longreq",
        _message(
            "longreq",
            "INVITE sip:4711@example.net SIP/2.0",
            to=f'To: "I have a user name of {_LONG}"<sip:4711@example.net:6000;unknownparam1={_LONG}>',
            origin=f"From: sip:caller@example.net;tag=12982{_LONG};unknownheaderparamname{_LONG}={_LONG}",
            call_id=f"Call-ID: longreq.one{_LONG}",
            more=f"Unknown-Header{_LONG}: v{_LONG}\r\n"
            + "".join(f"Via: SIP/2.0/TCP sip{index}.example.com;branch=z9hG4bK{_LONG}\r\n" for index in range(34)),
            body=_SDP,
        ),
        PASSED,
        (b"m=audio 49217 RTP/AVP 8",),
    ),
    Torture(
        "3.1.1.8",
        "dblreq",
        _message("dblreq", "REGISTER sip:example.com SIP/2.0")
        + _message("second", "INVITE sip:4711@example.net SIP/2.0", body=_SDP),
        frozenset({405, 501}),
    ),
    Torture(
        "3.1.1.9",
        "semiuri",
        _message(
            "semiuri",
            "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0",
            to="To: sip:j_user@example.com",
        ),
        frozenset({200}),
    ),
    Torture(
        "3.1.1.10",
        "transports",
        _message(
            "transports",
            "OPTIONS sip:user@example.com SIP/2.0",
            more="".join(
                f"Via: SIP/2.0/{transport} t{index}.example.com;branch=z9hG4bK{index}\r\n"
                for index, transport in enumerate(("SCTP", "TLS", "UNKNOWN", "TCP"))
            ),
        ),
        frozenset({200}),
    ),
    Torture(
        "3.1.1.11",
        "mpart01",
        _message(
            "mpart01",
            "MESSAGE sip:kumiko@example.org SIP/2.0",
            more="Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\r\n",
            body="--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9cbec02ceef655\r\n"
            "Content-Type: application/octet-stream\r\n\r\n\x00\x01\x02\r\n--7a9cbec02ceef655--\r\n",
        ),
        frozenset({405, 501}),
    ),
    Torture(
        "3.1.1.12",
        "unreason",
        _message("unreason", "SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e", cseq="CSeq: 35 INVITE"),
        SILENCE,
    ),
    Torture("3.1.1.13", "noreason", _message("noreason", "SIP/2.0 100 ", cseq="CSeq: 35 INVITE"), SILENCE),
    # 3.1.2 invalid messages
    Torture(
        "3.1.2.1",
        "badinv01",
        _message(
            "badinv01",
            "INVITE sip:4711@example.net SIP/2.0",
            via="Via: SIP/2.0/UDP 127.0.0.1:PORT;;,;,,",
            more='Contact: "Joe" <sip:joe@example.org>;;;;\r\n',
            body=_SDP,
        ),
        frozenset({400}),
    ),
    Torture(
        "3.1.2.2",
        "clerr",
        _message("clerr", "INVITE sip:4711@example.net SIP/2.0", body=_SDP, length="9999"),
        frozenset({400}),
    ),
    Torture(
        "3.1.2.3",
        "ncl",
        _message("ncl", "INVITE sip:4711@example.net SIP/2.0", body=_SDP, length="-999"),
        frozenset({400}),
    ),
    Torture(
        "3.1.2.4",
        "scalar02",
        _message(
            "scalar02",
            "REGISTER sip:example.com SIP/2.0",
            cseq="CSeq: 36893488147419103232 REGISTER",
            more="Expires: 10000000000000000000000000000000000\r\nMax-Forwards: 300\r\n",
        ),
        frozenset({400}),
    ),
    Torture(
        "3.1.2.5",
        "scalarlg",
        _message(
            "scalarlg",
            "SIP/2.0 503 Service Unavailable",
            cseq="CSeq: 9292394834772304023312 OPTIONS",
            more='Retry-After: 949302838503028349304023988\r\nWarning: 1812 overture "In Progress"\r\n',
        ),
        SILENCE,
    ),
    Torture(
        "3.1.2.6",
        "quotbal",
        _message(
            "quotbal", "INVITE sip:4711@example.net SIP/2.0", to='To: "Mr. J. User <sip:4711@example.net>', body=_SDP
        ),
        frozenset({400}),
    ),
    Torture(
        "3.1.2.7",
        "ltgtruri",
        _message("ltgtruri", "INVITE <sip:4711@example.net> SIP/2.0", body=_SDP),
        frozenset({400}),
    ),
    Torture(
        "3.1.2.8",
        "lwsruri",
        _message("lwsruri", "INVITE sip:4711@example.net; lr SIP/2.0", body=_SDP),
        frozenset({400}),
    ),
    Torture(
        "3.1.2.9",
        "lwsstart",
        _message("lwsstart", "INVITE  sip:4711@example.net  SIP/2.0", body=_SDP),
        frozenset({400}),
    ),
    Torture("3.1.2.10", "trws", _message("trws", "OPTIONS sip:4711@example.net SIP/2.0  "), frozenset({200, 400})),
    Torture(
        "3.1.2.11",
        "escruri",
        _message("escruri", "INVITE sip:4711@example.net?Route=%3Csip:example.com%3E SIP/2.0", body=_SDP),
        frozenset({400}),
    ),
    Torture(
        "3.1.2.12",
        "baddate",
        _message(
            "baddate", "INVITE sip:4711@example.net SIP/2.0", more="Date: Fri, 01 Jan 2010 16:00:00 EST\r\n", body=_SDP
        ),
        PASSED,
    ),
    Torture(
        "3.1.2.13",
        "regbadct",
        _message(
            "regbadct", "REGISTER sip:example.com SIP/2.0", more="Contact: sip:user@example.com?Route=%3Csip:a%3E\r\n"
        ),
        frozenset({400, 405, 501}),
    ),
    Torture(
        "3.1.2.14",
        "badaspec",
        _message(
            "badaspec",
            "OPTIONS sip:t.watson@example.org SIP/2.0",
            to='To: "Watson, Thomas" < sip:t.watson@example.org >',
        ),
        frozenset({200, 400}),
    ),
    Torture(
        "3.1.2.15",
        "baddn",
        _message(
            "baddn",
            "OPTIONS sip:t.watson@example.org SIP/2.0",
            origin="From: Bell, Alexander <sip:a.g.bell@example.com>;tag={name}",
            to="To: Watson, Thomas <sip:t.watson@example.org>",
        ),
        frozenset({200, 400}),
    ),
    Torture("3.1.2.16", "badvers", _message("badvers", "OPTIONS sip:t.watson@example.org SIP/7.0"), frozenset({505})),
    Torture(
        "3.1.2.17",
        "mismatch01",
        _message("mismatch01", "OPTIONS sip:user@example.com SIP/2.0", cseq="CSeq: 8 INVITE"),
        frozenset({400}),
    ),
    Torture(
        "3.1.2.18",
        "mismatch02",
        _message("mismatch02", "NEWMETHOD sip:user@example.com SIP/2.0", cseq="CSeq: 8 INVITE"),
        frozenset({400, 501}),
    ),
    Torture(
        "3.1.2.19",
        "bigcode",
        _message("bigcode", "SIP/2.0 4294967301 better not break the receiver", cseq="CSeq: 353494 INVITE"),
        SILENCE,
    ),
    # 3.2 transaction layer
    Torture(
        "3.2.1",
        "badbranch",
        _message(
            "badbranch", "OPTIONS sip:user@example.com SIP/2.0", via="Via: SIP/2.0/UDP 127.0.0.1:PORT;branch=z9hG4bK"
        ),
        frozenset({200}),
    ),
    # 3.3 application layer
    Torture(
        "3.3.1",
        "insuf",
        _message("insuf", "INVITE sip:4711@example.net SIP/2.0", origin=None, to=None, call_id=None, body=_SDP),
        SILENCE,
    ),
    Torture(
        "3.3.2",
        "unkscm",
        _message("unkscm", "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"),
        frozenset({416}),
    ),
    Torture("3.3.3", "novelsc", _message("novelsc", "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"), frozenset({416})),
    Torture(
        "3.3.4",
        "unksm2",
        _message(
            "unksm2",
            "REGISTER sip:example.com SIP/2.0",
            to="To: isbn:2983792873",
            origin="From: <http://www.example.com>;tag={name}",
            more="Contact: <name:John_Smith>\r\n",
        ),
        frozenset({400, 405, 501}),
    ),
    Torture(
        "3.3.5",
        "bext01",
        _message(
            "bext01",
            "OPTIONS sip:user@example.com SIP/2.0",
            more="Require: nothingSupportsThis, nothingSupportsThisEither\r\nProxy-Require: noProxiesSupportThis\r\n",
        ),
        frozenset({420}),
    ),
    Torture(
        "3.3.6",
        "invut",
        _message(
            "invut",
            "INVITE sip:2001@example.net SIP/2.0",
            more="Content-Type: application/unknownformat\r\n",
            body='<audio>\r\n <pcmu port="443"/>\r\n</audio>\r\n',
        ),
        frozenset({415, 488}),
    ),
    Torture(
        "3.3.7",
        "regaut01",
        _message(
            "regaut01",
            "REGISTER sip:example.com SIP/2.0",
            more="Authorization: NoOneKnowsThisScheme opaque-data=here\r\n",
        ),
        frozenset({405, 501}),
    ),
    Torture(
        "3.3.8",
        "multi01",
        _message(
            "multi01",
            "INVITE sip:4711@example.net SIP/2.0",
            more="CSeq: 59 INVITE\r\nCall-ID: other\r\nTo: <sip:another@example.com>\r\nFrom: <sip:a@b>;tag=2\r\n",
            body=_SDP,
        ),
        frozenset({400}),
    ),
    Torture(
        "3.3.9",
        "mcl01",
        _message("mcl01", "OPTIONS sip:user@example.com SIP/2.0", more="Content-Length: 13\r\n", body="There's no way"),
        frozenset({400}),
    ),
    Torture(
        "3.3.10",
        "bcast",
        _message(
            "bcast",
            "SIP/2.0 200 OK",
            via="Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23",
            cseq="CSeq: 1 INVITE",
        ),
        SILENCE,
    ),
    Torture(
        "3.3.11",
        "zeromf",
        _message("zeromf", "OPTIONS sip:user@example.com SIP/2.0").replace(b"Max-Forwards: 68", b"Max-Forwards: 0"),
        frozenset({200, 483}),
    ),
    Torture(
        "3.3.12",
        "cparam01",
        _message(
            "cparam01",
            "REGISTER sip:example.com SIP/2.0",
            more="Contact: sip:+19725552222@gw1.example.net;unknownparam\r\n",
        ),
        frozenset({400, 405, 501}),
    ),
    Torture(
        "3.3.13",
        "cparam02",
        _message(
            "cparam02",
            "REGISTER sip:example.com SIP/2.0",
            more="Contact: <sip:+19725552222@gw1.example.net;unknownparam>\r\n",
        ),
        frozenset({400, 405, 501}),
    ),
    Torture(
        "3.3.14",
        "regescrt",
        _message(
            "regescrt",
            "REGISTER sip:example.com SIP/2.0",
            more="Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\r\n",
        ),
        frozenset({400, 405, 501}),
    ),
    Torture(
        "3.3.15",
        "sdp01",
        _message("sdp01", "INVITE sip:4711@example.net SIP/2.0", more="Accept: text/nobodyKnowsThis\r\n", body=_SDP),
        frozenset({404, 406}),
    ),
    # 3.4 backward compatibility
    Torture(
        "3.4.1",
        "inv2543",
        _message(
            "inv2543",
            "INVITE sip:4711@example.net SIP/2.0",
            via="Via: SIP/2.0/UDP 127.0.0.1:PORT",
            origin="From: <sip:caller@example.org>",
            body=_SDP,
            length=None,
        ),
        frozenset({400, 404}),
    ),
)
