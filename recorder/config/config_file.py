"""The configuration file that `recorder init` writes: every key with its unit, default and reason."""

from dataclasses import dataclass
from datetime import date

from recorder.config.openid_options import CALLBACK_PATH
from recorder.rules.policy import CardPayment, Extension, NoticeWhen
from sip.options import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What only the council can decide, and where things are."""

    site: str
    timezone: str
    sip: Address
    next_hop: Address
    extensions: tuple[Extension, ...]
    media_ports: tuple[int, int]
    console: Address | None
    admin: str
    decided_by: str
    own_addresses: tuple[str, ...] = ()
    passphrase_file: str | None = None
    card_payment: CardPayment = CardPayment.PAUSE
    notice_when: NoticeWhen = NoticeWhen.BEFORE_RING
    erase_on_opt_out: bool = False


def text(answers: Answers, today: date) -> str:
    """Return the whole file as TOML."""
    services = dict.fromkeys(extension.service for extension in answers.extensions)
    return (
        _head(answers)
        + "".join(_service(answers, service, today) for service in services)
        + "".join(map(_extension, answers.extensions))
        + _tail(answers)
    )


def _quote(value: str) -> str:
    escaped = "".join(c if c >= " " and c not in '"\\\x7f' else f"\\u{ord(c):04x}" for c in value)
    return f'"{escaped}"'


def _head(answers: Answers) -> str:
    host = answers.sip.host
    return f"""\
# The recorder's configuration. `recorder site-check` reads it and says what is wrong; `recorder reload` brings it
# into force without dropping a call. Times are seconds unless a name says otherwise; "off" turns an optional key off.

[site]
name = {_quote(answers.site)}
timezone = {_quote(answers.timezone)}   # times are kept in UTC and shown in this zone
policy_reviewed_on = "off"      # day, 2026-11-25: three years later the recording policy is due for review; set it

[sip]
listen = {_quote(str(answers.sip))}     # UDP, IP:PORT
listen_tcp = "off"              # IP:PORT for TCP
listen_tls = "off"              # IP:PORT for TLS, usually port 5061; targets "tls:HOST:PORT" need it
tls_certificate = "off"         # PEM file: our certificate and what leads to its authority
tls_key = "off"                 # PEM file with its key, mode 0600, no passphrase
tls_ca = "off"                  # PEM file of the authorities of our peers' certificates; off is the system's
advertised = "off"              # IP:PORT in Via and Contact when it is not `listen` (NAT, virtual IP)
no_reply_s = 2.0                # a target silent for this long is given up; callers hear silence meanwhile
watch_every_s = 10.0            # OPTIONS to the targets of a route that has several: a dead one is then tried last
session_expires_s = 1800        # life of a call that nobody refreshes (RFC 4028); "off" proposes none
min_session_s = 90              # shorter ones are refused with 422
name_servers = []               # IP or IP:PORT; none are the system's

# Who may send us calls. Requests from elsewhere get no reply at all.
[[peer]]
name = "pbx"
networks = [{", ".join(map(_quote, dict.fromkeys(_network(a) for a in _peers(answers))))}]
is_inside = true                # it says truly which extension calls; false for a trunk: its callers may lie
calls_per_s = 100.0             # new calls from each of its addresses; more are answered 503, emergency calls never
any_port = false                # true: INFO, REFER ... of its calls may come from ports it does not listen at
srtp = "optional"               # its encrypted audio is taken; "required": nothing else is, "off": it is refused
requests_per_s = 100.0          # other requests outside calls (OPTIONS ...), likewise
max_calls = "off"               # its calls in progress, recorded and passed ones each; off: 4/5 of those in [limits]
auth_user = "off"               # our account there, when it asks for one (401, 407) ...
auth_password_file = "off"      # ... and its password: first line of a file, mode 0600
tls_names = []                  # names in its certificate, when targets call it something else
tls_only = false                # true: what it sends over UDP or TCP gets no reply
requires_certificate = false    # true: over TLS it must show a certificate with one of tls_names
large_over_tcp = false          # true: requests of over 1300 bytes go to it over TCP instead of UDP in fragments
siprec = false                  # an SBC that copies calls to us (RFC 7866): true takes its recording sessions
notice = "none"                 # "peer-attested": it plays the notice; without that nothing of them is recorded ...
notice_owner = ""               # ... and this person answers for it ...
notice_date = ""                # ... since this day, "2026-11-01"
all_sessions_nominated = false  # record its sessions that name no nominated extension too ...
siprec_service = ""             # ... by the rules of this service
media_networks = []             # where its audio comes from, when that is not `networks`

# Where calls go. The first route whose peer and number prefix fit is taken; targets are tried in order.
[[route]]
name = "default"
number = ""                     # prefix of the dialled number, "" is any
targets = [{_quote(str(answers.next_hop))}]     # HOST:PORT, "tcp:HOST:PORT" or "tls:HOST:PORT"
strip = 0                       # digits taken off the front ...
prefix = ""                     # ... and what is put there
follow_redirects = false        # dial where a 3xx leads, if a peer is there; else it is passed to the caller
srtp = "off"                    # "required": we offer encrypted audio only, "optional": if the caller's is encrypted
transfers = true                # false: no transfer (REFER) and no redirection (3xx) takes it
transfer_allow = []             # what they may dial on it although [transfers] denies it: "08712345678"

# Where the recorder registers itself, for a PBX that sends calls only to who is registered.
# [[register]]
# name = "pbx"
# registrar = "192.0.2.20:5060"
# user = "recorder"
# password_file = "/etc/recorder/pbx-password"

[emergency]
numbers = ["999", "112", "18000"]       # passed through before any rule, notice, limit or fault
access_prefixes = ["9", "0", "+44", "0044", "+"]  # what may stand before them

# What transfers and redirections never dial, whoever asks for them: a caller may, through the PBX. Emergency numbers,
# extensions and mailboxes of this file are always dialled. Digits are the beginning of a number, as it is dialled
# inside the country; with x for any digit they are a whole one.
[transfers]
deny = ["09", "118xxx", "00", "070", "087"]  # premium, directory enquiries, international, personal, 087 services
prefixes = ["9", "141", "1470", "1280", "18001", "18002"]  # what may stand before: outside line, ours withheld
country = "44"                  # +44 and 0044 stand for a 0; any other + is international

[media]
address = {_quote(host)}         # local IP of the RTP sockets
advertised = "off"              # IP in SDP when it is not `address`
ports = [{answers.media_ports[0]}, {answers.media_ports[1]}]           # a call takes two even/odd pairs
threads = 1                     # media threads; one carries some thousand calls
lock_memory = true              # audio in memory never reaches swap; needs LimitMEMLOCK
detect_tones = true             # find digits that are sent as tones
dead_rtp_s = 10.0               # silence on a joined leg after which it is reported
gather_ms = 2.0                 # how long packets gather under load, so that one wake-up serves many; added delay
kernel_interfaces = []          # ["eth0"]: the kernel relays what comes there; needs rights, see docs/operations.md

[notice]
first = "first"                 # played to every caller before an officer is connected
second = "second"               # how data is used; played when the caller asks
second_key = "1"

[pause]
look_back_s = 5.0               # audio younger than this is only in memory, so that a pause can still erase it
erase_s = 3.0                   # what a pause erases before the key: the digits already spoken
pause_keys = "*5"               # the officer's keys; the caller's never work. PBXs take some: docs/integration
resume_keys = "*6"
max_s = 600.0                   # over this an alarm, never a resume
reminder_s = 60.0               # how often a paused officer hears that recording still is paused; "off" is never
manager_keys = "off"            # "*9": a manager's keys on the officer's phone, then PIN and #, grant an opt-out
forgot_s = 300.0                # an officer who forgot to pause may have so much erased without a second person
card_digits = 4                 # so many digits keyed by the caller ...
card_window_s = 10.0            # ... within this time pause the recording

[storage]
index_url = "off"               # a database URL; off is SQLite in this folder
private_keys = "off"            # folder of the private keys when they lie elsewhere; the daemon never opens them
passphrase_file = {_quote(answers.passphrase_file or "off")}         # a file (0600) with their passphrase, if any

[retention]
# How long each class of data is kept, in days. A shorter period holds when the DPO has confirmed it; a hold beats all.
retention_days = 90             # recordings, from the end of the call; by policy. [[service]] may say otherwise
unrecorded_days = 90            # rows of calls of which nothing was kept
text_days = 730                 # free text of the audit log: reasons, searches
decision_days = 730             # orders to erase and holds that are over, copies made; once their recording is gone
request_days = 730              # texts of requests to hear recordings, from the end of their leave
case_days = 1096                # texts of cases and of claims of data subjects, from their end
access_days = 730               # accounts that were disabled, tokens that ended
torn_days = 730                 # torn ends of the audit log, moved aside after a power cut
tombstone_days = 2192           # tombstones in the database (six years): no backup may be older
most_share_a_day = 5.0          # percent: if more recordings are due in a day, the sweep stops and asks
sweep_at = "03:00"              # time of day of the sweep, in the site's timezone

[archive]
# Finished recordings that are not held may be packed where the private keys are; the original's digest is kept.
after_days = "off"              # days after the end of the call; off: never
format = "flac"                 # flac: every byte comes back; opus: smaller, and no longer exact

[anchors]
# The newest entry of the audit log is noted on other machines, so that nobody can cut off its end or write it anew
# unseen. Give at least one of syslog, folder and mail_to; docs/operations.md says what to do with them.
every_s = 3600.0                # how often; at the start and the end of the daemon as well
syslog = "off"                  # "udp://HOST:514", "tcp://HOST:601" or "tls://HOST:6514", RFC 5424
syslog_ca = "off"               # file of certificates for tls://; off is the system's
folder = "off"                  # a folder on another machine, mounted here, best one that cannot be changed (WORM)
mail_to = []                    # addresses, with mail_from and smtp
mail_from = "off"
smtp = "off"                    # HOST:PORT
smtp_security = "starttls"      # "tls", or "none"
smtp_ca = "off"                 # file of certificates; off is the system's
smtp_user = "off"
smtp_password_file = "off"      # a file (0600) with the password

[mail]
# People are told what waits for them in the console, and by mail where their account has an address
# (`recorder mail address NAME ADDRESS`). A mail says that something is so, never who called or why.
smtp = "off"                    # HOST:PORT of the server that takes the mail; off: in the console only
security = "starttls"           # "tls", or "none"; the certificate is always looked at
ca = "off"                      # file of certificates; off is the system's
user = "off"
password_file = "off"           # a file (0600) with the password
sender = "off"                  # address that mails are from
console_url = "off"             # https://..., where people find the console; off: mails have no link
weekly_on = "monday"            # the week's figures for the data protection officer, at 7:00; off is never

[voicemail]
numbers = []                    # who answers as one of these (P-Asserted-Identity, or dialled) is a mailbox
after_s = "off"                 # so is whoever answers after ringing for so long; a little under what the PBX waits

[sign_on]
# Officers who sit at a phone that is not configured as theirs sign on in the console; docs/console.md says when it
# takes a code that is keyed at the phone.
keys = "*7"                     # the officer's keys before that code, then #; "off": no phone can be taken over
hours = 12.0                    # a sign-on ends by itself: after a day's work, before the next one begins

[limits]
max_calls = 1000                # recorded at the same time; more are answered 503, emergency calls never are
max_passed = 5000               # passed through at the same time, likewise
max_connections = 500           # TCP and TLS connections in all ...
max_connections_per_source = 200  # ... and that one address may open

"""


def _peers(answers: Answers) -> tuple[str, ...]:
    """Return the addresses that may call: the PBX, and this machine by whichever of its own it does."""
    return (answers.next_hop.host, answers.sip.host, *answers.own_addresses)


def _network(host: str) -> str:
    return f"{host}/{128 if ':' in host else 32}"


def _service(answers: Answers, service: str, today: date) -> str:
    return f"""\
# Decided by {answers.decided_by!r} on {today.isoformat()}: notice order, card payments, opt-out.
[[service]]
name = {_quote(service)}
notice_when = {_quote(answers.notice_when.value)}     # before_ring, or after_answer (queues, hunt groups, voicemail)
# "pause" while a card is paid with; "discard": such a pause by the call's officer at their own phone, the caller's
# digits or a payment page destroys the whole recording, unless a hold or a claim stands on it. docs/pausing.md
card_payment = {_quote(answers.card_payment.value)}
# true: an opt-out orders what was recorded before it to be erased too, and a second person confirms that
erase_on_opt_out = {str(answers.erase_on_opt_out).lower()}
record_hold = true              # go on recording while a party is on hold
mask_card_digits = false        # keep the caller's keyed digits from the officer's ear
ring_s = 60.0
retention_days = "off"          # days that its recordings are kept; off is as [retention] says

"""


def _extension(extension: Extension) -> str:
    return f"""\
[[extension]]
number = {_quote(extension.number)}
operator = {_quote(extension.operator)}
service = {_quote(extension.service)}
team = {_quote(extension.team)}
answered_by = "nominated"        # "anybody": a queue whose members are not nominated, and know that it is recorded

"""


def _tail(answers: Answers) -> str:
    return f"""\
[console]
listen = {_quote(str(answers.console)) if answers.console else '"off"'}
tls_certificate = "off"      # PEM file: certificate and what leads to its authority; the console then speaks HTTPS only
tls_key = "off"              # PEM file with its key, mode 0600, no passphrase
behind_tls_proxy = false     # a proxy on this machine has the certificate: cookies are for HTTPS only
second_factor = "required"   # whoever approves, listens or administers signs in with an authenticator app too; or "off"
idle_minutes = 30            # nothing was done for so long: signed out. Not in the middle of a call
longest_hours = 12           # signed out whatever is done
requests_per_s = 20.0        # pages, searches and listings for one person or token; ten times that for an address
acts_per_s = 20.0            # pauses and other acts on calls, counted apart: no flood of searches stops a pause
max_connections = 1000       # in all; strangers' give way, and a quarter of them is kept for acts on calls
max_connections_per_address = 100  # of strangers at one address; not behind a proxy, where everybody has the proxy's
max_requests_per_session = 50      # that one session or token may have in progress, streams of its pages included
header_s = 10.0              # a request whose header is not complete after so long is broken off ...
body_s = 30.0                # ... and so is one whose body is not

[openid]
# People may sign in to the console by the council's own sign-in too (OpenID Connect); docs/console.md says how.
issuer = "off"               # https://..., as the provider names itself; off: with passwords only
client_id = "off"            # the name under which the provider knows this console
client_secret_file = "off"   # a file (0600) with its secret; off: the provider asks for none
console_url = "off"          # https://HOST where browsers find the console; registered there: this and {CALLBACK_PATH}
button = "Sign in with your work account"
scopes = ["openid", "profile"]
account_claim = "preferred_username"  # names the account at somebody's first sign-in; "off": they connect it themselves
account_domain = "off"       # "council.example": what follows the @ in that claim, and is taken off
acr_values = []              # values of the claim acr that stand for a second factor; none: ours is asked for
amr_values = []              # values in the claim amr, likewise
max_age_s = "off"            # whoever signed in at the provider longer ago does so again
passwords_too = true         # false: whoever is connected signs in there only, but for administrators
ca = "off"                   # file of certificates that the provider's must come from; off is the system's
"""
