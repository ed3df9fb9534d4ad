"""The configuration file that `recorder init` writes: every key with its unit, default and reason."""

from dataclasses import dataclass
from datetime import date

from recorder.config.openid_options import CALLBACK_PATH
from recorder.rules.policy import CardPayment, Extension, NoticeWhen
from sip.options import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The settings that only the council can decide, and the addresses of systems."""

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
colour = "#0b0c0c"              # header of the console's pages, "#rrggbb", dark enough for white text
timezone = {_quote(answers.timezone)}   # times are kept in UTC and shown in this zone
policy_reviewed_on = "off"      # day, 2026-11-25: three years later the recording policy is due for review; set it

[sip]
listen = {_quote(str(answers.sip))}     # UDP, IP:PORT
listen_tcp = "off"              # IP:PORT for TCP
listen_tls = "off"              # IP:PORT for TLS, usually port 5061; targets "tls:HOST:PORT" need it
tls_certificate = "off"         # PEM file: the recorder's certificate and its chain
tls_key = "off"                 # PEM file with its key, mode 0600, no passphrase
tls_ca = "off"                  # PEM file of CA certificates for peers; off is the system's
advertised = "off"              # IP:PORT in Via and Contact when it is not `listen` (NAT, virtual IP)
no_reply_s = 2.0                # a target silent for this long is given up; callers hear silence meanwhile
watch_every_s = 10.0            # OPTIONS to the targets of a route that has several: a dead one is tried last
session_expires_s = 1800        # life of a call that nobody refreshes (RFC 4028); "off" proposes none
min_session_s = 90              # shorter ones are refused with 422
name_servers = []               # IP or IP:PORT; empty is the system's

# Systems that may send calls. Requests from elsewhere get no reply at all.
[[peer]]
name = "pbx"
networks = [{", ".join(map(_quote, dict.fromkeys(_network(a) for a in _peers(answers))))}]
is_inside = true                # it is trusted to name the calling extension; false for a trunk
calls_per_s = 100.0             # new calls from each of its addresses; more are answered 503, emergency calls never
any_port = false                # true: INFO, REFER ... of its calls may come from ports it does not listen at
srtp = "optional"               # encrypted audio is accepted; "required": only that, "off": it is refused
requests_per_s = 100.0          # other requests outside calls (OPTIONS ...), likewise
max_calls = "off"               # its calls in progress, recorded and passed each; off: 4/5 of those in [limits]
auth_user = "off"               # the recorder's account there, if it asks for one (401, 407) ...
auth_password_file = "off"      # ... and its password: first line of a file, mode 0600
tls_names = []                  # names in its certificate, if they differ from those in targets
tls_only = false                # true: what it sends over UDP or TCP gets no reply
requires_certificate = false    # true: over TLS it must show a certificate with one of tls_names
large_over_tcp = false          # true: requests of over 1300 bytes go to it over TCP instead of UDP in fragments
siprec = false                  # true: it is an SBC that sends recording sessions (RFC 7866)
notice = "none"                 # "peer-attested": it plays the notice; otherwise nothing of them is recorded ...
notice_owner = ""               # ... and this person answers for it ...
notice_date = ""                # ... since this day, "2026-11-01"
all_sessions_nominated = false  # record its sessions that name no nominated extension too ...
siprec_service = ""             # ... by the rules of this service
media_networks = []             # where its audio comes from, if not from `networks`

# Where calls go. The first route whose peer and number prefix match is used; targets are tried in order.
[[route]]
name = "default"
number = ""                     # prefix of the dialled number, "" is any
targets = [{_quote(str(answers.next_hop))}]     # HOST:PORT, "tcp:HOST:PORT" or "tls:HOST:PORT"
strip = 0                       # digits removed from the start ...
prefix = ""                     # ... and what is put there instead
follow_redirects = false        # follow a 3xx to a peer; else it is passed to the caller
srtp = "off"                    # "required": only encrypted audio is offered, "optional": if the caller's is encrypted
transfers = true                # false: no transfer (REFER) and no redirection (3xx) uses it
transfer_allow = []             # numbers they may dial on it although [transfers] denies them: "08712345678"

# Where the recorder registers, for a PBX that sends calls only to registered addresses.
# [[register]]
# name = "pbx"
# registrar = "192.0.2.20:5060"
# user = "recorder"
# password_file = "/etc/recorder/pbx-password"

[emergency]
numbers = ["999", "112", "18000"]       # passed through before any rule, notice, limit or fault
access_prefixes = ["9", "0", "+44", "0044", "+"]  # prefixes that may precede them

# Numbers that transfers and redirections never dial: a caller can ask for them through the PBX. Emergency numbers,
# extensions and mailboxes of this file are always dialled. Digits are the beginning of a number as it is dialled
# inside the country; with x for any digit, a whole number.
[transfers]
deny = ["09", "118xxx", "00", "070", "087"]  # premium, directory enquiries, international, personal, 087 services
prefixes = ["9", "141", "1470", "1280", "18001", "18002"]  # prefixes that may precede: outside line, number withheld
country = "44"                  # +44 and 0044 stand for a 0; any other + is international

[media]
address = {_quote(host)}         # local IP of the RTP sockets
advertised = "off"              # IP in SDP when it is not `address`
ports = [{answers.media_ports[0]}, {answers.media_ports[1]}]           # a call takes two even/odd pairs
threads = 1                     # media threads; one carries some thousand calls
lock_memory = true              # audio in memory never reaches swap; needs LimitMEMLOCK
detect_tones = true             # find digits that are sent as tones
dead_rtp_s = 10.0               # silence on a joined leg after which it is reported
gather_ms = 2.0                 # how long packets are collected under load, so one wake-up handles many; adds delay
io = "epoll"                    # how packets are received and sent; "auto": io_uring where allowed; or "io_uring"
kernel_interfaces = []          # ["eth0"]: the kernel relays media there; needs rights, see docs/operations.md

[notice]
first = "first"                 # played to every caller before an officer is connected
second = "second"               # how data is used; played when the caller asks
second_key = "1"
languages = ["en"]              # ["en", "cy"]: callers hear each message in English, then in Welsh
reasons = ["accuracy", "complaints", "training", "protection"]  # why calls are recorded, in `recorder notices template`
privacy_page = "off"            # where the privacy notice is, as it is read out: "wold.gov.uk/privacy"

[pause]
look_back_s = 5.0               # audio younger than this is in memory only, so that a pause can erase it
erase_s = 3.0                   # audio before the key that a pause erases: digits already spoken
pause_keys = "*5"               # the officer's keys, never the caller's. PBXs use some: docs/integration
resume_keys = "*6"
max_s = 600.0                   # longer than this raises an alarm, but never resumes
reminder_s = 60.0               # how often an officer is reminded that recording is paused; "off" is never
manager_keys = "off"            # "*9": a manager's keys on the officer's phone, then PIN and #, grant an opt-out
forgot_s = 300.0                # an officer who forgot to pause may erase this much without a second person
alone_day_s = 900.0             # and this much of all their calls within 24 hours
card_digits = 4                 # this many digits keyed by the caller ...
card_window_s = 10.0            # ... within this time pause the recording

[storage]
index_url = "off"               # a database URL; off is SQLite in this folder
accounts_url = "off"            # a postgresql:// URL for the accounts; off is people.sqlite in this folder
private_keys = "off"            # folder of the private keys if not in this one; the daemon never opens them
passphrase_file = {_quote(answers.passphrase_file or "off")}         # a file (0600) with their passphrase, if any
verify_days = 30                # each recording is read and verified within so many days

[retention]
# How long each class of data is kept, in days. The DPO must confirm a shorter period; legal holds override all periods.
retention_days = 90             # recordings, from the end of the call; by policy. [[service]] may say otherwise
unrecorded_days = 90            # rows of calls of which nothing was kept
text_days = 730                 # free text of the audit log: reasons, searches
decision_days = 730             # finished orders to erase, ended holds, copies made; once their recording is gone
request_days = 730              # texts of access requests, from the end of the grant
case_days = 1096                # texts of cases and of rights requests of data subjects, from their end
access_days = 730               # accounts that were disabled, tokens that ended
torn_days = 730                 # torn ends of the audit log, moved aside after a power cut
delivery_days = 90              # events for webhooks, and the log of their deliveries
call_record_days = 30           # imported call records of the telephone system
assurance_days = 365            # days that were compared with them, and calls that were not recorded as they should be
tombstone_days = 2192           # tombstones in the database (six years): no backup may be older
most_share_a_day = 5.0          # percent: if more recordings are due in a day, the sweep stops and asks
sweep_at = "03:00"              # time of day of the sweep, in the site's timezone

[assurance]
# Which calls of imported call records should have been recorded; docs/assurance.md.
internal_calls = false          # true: calls between two people inside pass the recorder too

# Where a PBX leaves its call records: the console imports them each half hour.
# [[call_records]]
# path = "/var/log/asterisk/cdr-csv/Master.csv"  # a file, or a folder of files
# format = "asterisk"           # freeswitch, cucm, 3cx, kamailio, or a mapping: "/etc/recorder/pbx.toml"
# pbx = ""                      # its name, where there are several of one format
# time_zone = "off"             # of its local times; off is the site's
# repeated_hour = "off"         # "earlier" or "later": the hour that happens twice when the clocks go back

[archive]
# Finished recordings that are not held can be compressed where the private keys are; the original's digest is kept.
after_days = "off"              # days after the end of the call; off: never
format = "flac"                 # flac: lossless; opus: smaller, but lossy

[anchors]
# The newest hash of the audit log is sent to other machines, so that nobody can cut off its end or rewrite it
# unnoticed. Give at least one of syslog, folder and mail_to; docs/operations.md says what to do with them.
every_s = 3600.0                # how often; at the start and the end of the daemon as well
syslog = "off"                  # "udp://HOST:514", "tcp://HOST:601" or "tls://HOST:6514", RFC 5424
syslog_ca = "off"               # file of CA certificates for tls://; off is the system's
folder = "off"                  # a folder on another machine, mounted here, best one that cannot be changed (WORM)
mail_to = []                    # addresses, with mail_from and smtp
mail_from = "off"
smtp = "off"                    # HOST:PORT
smtp_security = "starttls"      # "tls", or "none"
smtp_ca = "off"                 # file of CA certificates; off is the system's
smtp_user = "off"
smtp_password_file = "off"      # a file (0600) with the password

[objects]
# Finished recordings can be stored at another place too, sealed as they are: docs/several-machines.md.
url = "off"                     # "s3://BUCKET/PREFIX", or an existing folder, mounted here; off: on this disk alone
s3_file = "off"                 # for s3://BUCKET/PREFIX: a file (0600) with its account; docs/operations.md
keep_local_days = 7             # how long a copy stays on this disk once the object was read back and is right
parts = false                   # true: calls in progress are stored too, in parts of 5 s, should this disk be lost

[backup]
# `recorder backups add` copies to these folders; recordings that are deleted go from there within seconds.
destination = "off"             # an existing folder on another disk or machine, mounted here, or "s3://BUCKET/PREFIX"
keys_destination = "off"        # another one, best on another machine, for the private keys; off: name it each time
s3_file = "off"                 # for s3://BUCKET/PREFIX: a file (0600) with its account; docs/operations.md
keys_s3_file = "off"            # the same of keys_destination, so that no account reads both; off: s3_file
media_days = 14                 # how long snapshots are kept: recordings and their sealed keys,
index_days = 14                 # index, configuration, messages and state,
accounts_days = 14              # accounts and PINs,
audit_days = 14                 # audit log,
keys_days = 14                  # keys. The newest snapshot is always kept

[mail]
# People are notified in the console, and by mail if their account has an address
# (`recorder mail address NAME ADDRESS`). A mail never says who called or why.
smtp = "off"                    # HOST:PORT of the mail server; off: notifications in the console only
security = "starttls"           # "tls", or "none"; the certificate is always verified
ca = "off"                      # file of CA certificates; off is the system's
user = "off"
password_file = "off"           # a file (0600) with the password
sender = "off"                  # address of the sender
console_url = "off"             # https://..., address of the console; off: mails have no link
weekly_on = "monday"            # weekly figures for the data protection officer, at 7:00; off is never

[metrics]
# The daemon's metrics for Prometheus, plain HTTP, at /metrics; docs/monitoring.md has the list. No number or name is in
# them, but how many calls there are.
listen = "off"                  # IP:PORT, 127.0.0.1:9760
networks = ["127.0.0.1/32", "::1/128"]  # who may scrape; others get no answer

[console_metrics]
listen = "off"                  # the console's, likewise: 127.0.0.1:9761
networks = ["127.0.0.1/32", "::1/128"]

[node]
# For a site with several recorders that share one PostgreSQL index; docs/several-machines.md. A machine with the
# console only has no name and no listen.
name = "off"                    # this node's name: a-z, 0-9 and -, at most 40; no other node of the site has it
listen = "off"                  # IP:PORT of the control API over mutual TLS, 10.1.2.3:7443
advertised = "off"              # where the console reaches it, if that is another address
certificate = "off"             # this machine's certificate and its chain, PEM
key = "off"                     # its key, PEM, mode 0600
ca = "off"                      # the certificate of the site's authority, PEM
console_certificate = "off"     # the certificate of console and command line, on a machine that is a node too
console_key = "off"             # its key, PEM, mode 0600; the daemon's user must not read it

[voicemail]
numbers = []                    # mailboxes: numbers that answer (P-Asserted-Identity) or are dialled
after_s = "off"                 # an answer after ringing this long is a mailbox too; set it just below the PBX's time

[sign_on]
# Officers at a phone that is not configured as theirs sign on in the console; docs/console.md says when it
# takes a code that is keyed at the phone.
keys = "*7"                     # the officer's keys before that code, then #; "off": no phone can be taken over
hours = 12.0                    # how long a sign-on lasts: longer than a shift, shorter than a day

[drain]
# Before the daemon stops, it refuses new calls (503) and lets calls in progress end; emergency calls always pass.
limit_s = 600.0                 # how long a stop waits for them, then it ends them; 0 ends them at once
refuse_options = true           # OPTIONS are answered 503 too; false where a PBX would then send no emergency calls

[selftest]
# The recorder can call itself by two phones of its own, and check that the call was recorded: docs/selftest.md.
every_minutes = "off"           # how often the daemon does so by itself, at least 5; `recorder selftest` does it once
extension = "off"               # a nominated extension, by the rules of whose service; off: the first one
targets_answer = true           # whether targets of routes must answer OPTIONS; false if your trunk never does

[limits]
max_calls = 1000                # recorded at the same time; more are answered 503, except emergency calls
max_passed = 5000               # passed through at the same time, likewise
refuse_options = false          # true: OPTIONS are answered 503 while max_calls is reached, for a dispatcher in front
when_disk_fails = "take"        # calls to be recorded are connected all the same; "refuse": 503, for another recorder
warn_disk_days = 7              # alarm when the disk is full within so many days at the present rate; 0: never
max_connections = 500           # TCP and TLS connections in all ...
max_connections_per_source = 200  # ... and that one address may open

[log]
format = "text"                 # "json": one JSON object a line, for a log collector

[syslog]
# The entries of the audit log are sent to a syslog server over TLS (RFC 5424, RFC 5425), each at least once, without
# numbers and names of callers; docs/events.md has the format.
server = "off"                  # "tls://HOST:6514"
ca = "off"                      # file of CA certificates for the server; off is the system's
certificate = "off"             # our certificate and its chain, PEM, for a server that asks for one
key = "off"                     # its key, PEM, mode 0600

# Systems that are told of events by signed webhooks; docs/events.md has the events and how to check the signature.
# [[webhook]]
# name = "crm"
# url = "https://crm.council.example/hooks/recorder"  # http only for this machine
# secret_file = "/etc/recorder/crm-webhook"  # a file (0600): whsec_ and the output of `openssl rand -base64 32`
# events = ["call.begun", "call.ended", "recording.ready"]  # none: every event
# networks = ["10.1.2.0/24"]    # networks inside that its name may resolve to; none: public addresses only
# ca = "off"                    # file of CA certificates for it; off is the system's

"""


def _peers(answers: Answers) -> tuple[str, ...]:
    """Return the addresses that may call: the PBX, and this machine's own."""
    return (answers.next_hop.host, answers.sip.host, *answers.own_addresses)


def _network(host: str) -> str:
    return f"{host}/{128 if ':' in host else 32}"


def _service(answers: Answers, service: str, today: date) -> str:
    return f"""\
# Decided by {answers.decided_by!r} on {today.isoformat()}: notice order, card payments, opt-out.
[[service]]
name = {_quote(service)}
notice_when = {_quote(answers.notice_when.value)}     # before_ring, or after_answer (queues, hunt groups, voicemail)
# "pause" during a card payment; "discard": such a pause by the call's officer at their own phone, the caller's
# digits or a payment page destroys the whole recording, unless a hold or rights request keeps it. docs/pausing.md
card_payment = {_quote(answers.card_payment.value)}
# true: an opt-out orders what was recorded before it to be erased too, and a second person confirms that
erase_on_opt_out = {str(answers.erase_on_opt_out).lower()}
record_hold = true              # go on recording while a party is on hold
mask_card_digits = false        # keep the caller's keyed digits from the officer
ring_s = 60.0
retention_days = "off"          # days that its recordings are kept; off is the default of [retention]
languages = []                  # languages of its callers' messages; none are those of [notice]

"""


def _extension(extension: Extension) -> str:
    return f"""\
[[extension]]
number = {_quote(extension.number)}
operator = {_quote(extension.operator)}
service = {_quote(extension.service)}
team = {_quote(extension.team)}
answered_by = "nominated"        # "anybody": a queue whose members are not nominated, but know that it is recorded

"""


def _tail(answers: Answers) -> str:
    return f"""\
[console]
listen = {_quote(str(answers.console)) if answers.console else '"off"'}
tls_certificate = "off"      # PEM file: certificate and its chain; the console then uses HTTPS only
tls_key = "off"              # PEM file with its key, mode 0600, no passphrase
behind_tls_proxy = false     # a proxy on this machine has the certificate: cookies are for HTTPS only
second_factor = "required"   # people who approve, listen or administer need an authenticator app; or "off"
idle_minutes = 30            # signed out after this long without activity, but not during a call
longest_hours = 12           # signed out after this long in any case
requests_per_s = 20.0        # pages, searches and lists for one person or token; ten times that for an address
acts_per_s = 20.0            # pauses and other acts on calls, counted apart, so that searches never block a pause
max_connections = 1000       # in all; those not signed in give way, and a quarter is reserved for acts on calls
max_connections_per_address = 100  # not signed in, from one address; not behind a proxy, where all have its address
max_requests_per_session = 50      # requests of one session or token in progress, event streams included
header_s = 10.0              # a request whose header is not complete after this long is ended ...
body_s = 30.0                # ... and so is one whose body is not
search_by_post = false       # true: no search is in an address, so none in a browser's history, nor in a link

[openid]
# People may also sign in to the console through the council's OpenID Connect provider; docs/console.md says how.
issuer = "off"               # https://..., as the provider names itself; off: passwords only
client_id = "off"            # the name under which the provider knows this console
client_secret_file = "off"   # a file (0600) with its secret; off: the provider needs none
console_url = "off"          # https://HOST of the console; register this with {CALLBACK_PATH} at the provider
button = "Sign in with your work account"
scopes = ["openid", "profile"]
account_claim = "preferred_username"  # names the account at a person's first sign-in; "off": they connect it themselves
account_domain = "off"       # "council.example": the part after the @ in that claim, which is removed
acr_values = []              # values of the claim acr that mean a second factor; empty: the recorder asks for its own
amr_values = []              # values in the claim amr, likewise
max_age_s = "off"            # a longer time since the sign-in at the provider means signing in again
passwords_too = true         # false: connected accounts sign in there only, except administrators
ca = "off"                   # file of CA certificates for the provider; off is the system's
"""
