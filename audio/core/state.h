/* What the files of the core share: threads, legs, taps. Everything here is guarded by its thread's fair lock. */
#ifndef AUDIO_CORE_STATE_H
#define AUDIO_CORE_STATE_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "core.h"
#include "tones.h"

#define CACHE_LINE 64
#define NS_PER_MS 1000000LL
#define TICKS_PER_MS 8
#define NEVER INT64_MAX
#define FRAME_TICKS 160            /* a packet of ours: 20 ms */
#define FRAME_NS (20 * NS_PER_MS)
#define MAX_STRANGERS 64           /* packets of nobody's that a socket may take of one wake-up: 32,000 a second */
#define MAX_PACKET 2048            /* more than any RTP packet that fits an Ethernet frame; longer ones are dropped */
#define MAX_MISORDER 100            /* packets; one numbered further back begins anew (RFC 3550 appendix A.1) */
#define RTP_HEADER 12
#define MAX_RELAYED 264            /* bytes of RTP that the kernel relays: 30 ms of G.711 */
#define SRTP_EXTRA 16              /* what SRTP and SRTCP add to a packet of ours, at most */
#define DIGIT_MARGIN_TICKS 1600    /* silenced either side of a caller's digit: 200 ms */
#define KEYS "0123456789*#ABCD"    /* by event code, RFC 4733 section 3.2 */
#define STAR 10                    /* its code */
#define PIN_KEYS 12             /* of an entry behind a secret prefix */

enum codec { CODEC_PCMU = 0, CODEC_PCMA = 8, CODEC_G722 = 9 };
enum channel_side { LEFT = 0, RIGHT = 1 };

struct address {
    socklen_t length; /* 0: none */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
};

/* An RTP packet that was taken; payload points into the thread's buffer, RTP_HEADER bytes before it are ours too. */
struct packet {
    uint8_t *payload;
    int length;
    int payload_type, codec; /* codec: of audio */
    int has_marker;
    int is_relayed; /* by the kernel: it has gone on already */
    int is_unproven; /* its source may be somebody else's: it is not relayed */
    int has_returned; /* its stream takes the place of another */
    int is_beside;    /* it speaks while the chosen stream does: not recorded */
    uint16_t seq;
    uint32_t ts;
    uint32_t ssrc;
    int64_t arrival_ns;
};

enum stream_source { FROM_NOBODY = 0, FROM_BRIDGE, FROM_PROMPT, FROM_DIGITS };

/* The one RTP stream that we send on a leg, whoever it comes from (docs/media-core.md, Forwarding). */
struct sender {
    uint32_t ssrc;
    uint16_t seq;           /* newest sent; before the first: what the first will have */
    uint16_t seq_offset;
    uint32_t ts;            /* of the newest sent */
    uint32_t ts_offset;
    uint32_t span_ticks;    /* audio in the newest sent */
    uint32_t source_ssrc;
    int64_t sent_ns;
    uint16_t input_seq;     /* newest input sequence number that was passed on or swallowed */
    uint16_t hole_from, hole_to, hole_offset; /* last swallowed run, so that what comes late keeps its own number */
    uint16_t restart_seq;                     /* has_restart: what follows the last packet that leapt back */
    uint8_t has_hole, has_sent, is_switching, source, has_restart, is_through; /* through: the system took the newest */
    int64_t packets, octets;
};

/* The stream that arrives (RFC 3550 appendix A.1, A.3, A.8). */
struct receiver {
    uint32_t ssrc, transit, jitter /* ticks * 16 */;
    uint16_t base_seq, max_seq;
    uint8_t has_stream;
    uint32_t cycles, last_sr;
    int64_t stream_received, received, lost_before, prior_expected, prior_received, last_sr_ns;
};

/* The RFC 4733 event that is arriving, and what the policy does with it. */
struct digit_in {
    uint32_t ssrc, ts, duration, former_ts; /* former_ts: of the event before it, whose ends may still come */
    uint16_t newest;                        /* highest sequence number of its packets */
    uint8_t has_event, has_ended, has_former, code, is_held;
    int64_t last_ns;
};

/* What an event packet says, and what it is to the event that is arriving. */
struct dtmf_packet {
    int code, is_end;
    uint32_t duration;
    int is_key, is_late, begins; /* late: of an event before; begins: it is the first of its event */
    struct digit_in former;      /* begins: what arrived until then */
};

#define DIGIT_QUEUE 16
/* Events that we make ourselves on a leg: send_dtmf and replays. */
struct digit_out {
    int count;
    uint8_t is_sending, ends_sent;
    struct {
        uint8_t code;
        uint16_t duration_ticks;
    } queue[DIGIT_QUEUE];
    int head;
    uint32_t ts, duration;
    int64_t next_ns;
};

struct star {
    uint8_t is_held;
    uint32_t duration;
    int64_t until_ns;
};

/* A key of late, to tell echoes and doubles; forgotten after two seconds. */
struct press {
    int code; /* -1: nothing */
    int64_t from_ns, to_ns;
};

#define RECENT_PRESSES 8 /* as many as fit the time in which an echo counts */

/* How a packet of audio joins what the tone detector has been fed with. */
enum inband_join { INBAND_NEXT, INBAND_BEHIND_GAP, INBAND_ANEW, INBAND_PASSED };

#define MAX_TONES_EVENTS (4 + MAX_PACKET / TONES_BLOCK)

/* What a key was to an entry. */
enum pin_step { PIN_GOES_ON, PIN_COMPLETE, PIN_INCOMPLETE, PIN_CONTROL, PIN_PREFIX };

/* Keys behind a secret prefix, until "#". */
struct pin_entry {
    uint8_t is_on, prefix, has_star, is_spoiled, count, keys[PIN_KEYS];
    int64_t until_ns;
};

/* The lower sub-band decoder of G.722: scale factor, predictor and its memory. */
struct g722 {
    int32_t estimate, zeros_estimate, restored, log_scale, step;
    int32_t partial[2], poles[2], zeros[6], differences[6];
};

struct prompt {
    uint8_t *audio; /* NULL: nothing plays */
    size_t length, at;
    int64_t tag, next_ns, sent;
    uint8_t codec, loop, is_whole;
};

struct tap;
struct thread;

/* Whose a packet is that came at a leg. */
enum origin {
    ORIGIN_STRANGER,
    ORIGIN_SIGNALLED, /* from the signalled address, under the peer's key, or by the kernel */
    ORIGIN_LATCHED,   /* from another source, which is heard since nothing comes from there */
    ORIGIN_UNPROVEN   /* the same, so early that the signalled address may speak yet */
};

#define MAX_STREAMS 4
/* The streams that come at a leg. */
struct streams {
    uint32_t ssrc; /* of the chosen one */
    uint8_t is_shared; /* another came while it went on: it is listened to from then on */
    int64_t newest_ns, voiced_ns; /* its newest packet, 0: none; the newest that is no silence, if is_shared */
    unsigned next;
    struct other_stream {
        uint32_t ssrc;
        int64_t seen_ns; /* first; 0: none */
    } others[MAX_STREAMS];
};

#define MAX_OTHERS 4
/* A source that was refused while another was heard. */
struct other_source {
    struct address address; /* length 0: none */
    int later_packets;      /* of the source that is heard, after this one's first, up to RIVAL_PACKETS */
};

/* Who else sends to a leg than its signalled address. */
struct sources {
    struct address expected; /* of a leg without remote: the signalled address */
    struct address latched;  /* the other source that is heard now; length 0: none */
    int has_others;
    struct other_source others[MAX_OTHERS];
    int64_t since_ns; /* when the signalled address could have begun to send */
    int64_t latched_from_ns, latched_ns, latched_packets; /* first and newest packet of the latched source, and how many */
    int64_t refused, report_ns; /* packets of others; not before is the next report made */
};

#define MAX_NETWORKS 32
/* The addresses whose first bits are these. */
struct network {
    int family, bits;
    uint8_t first[16];
};

/*
 * What every packet touches comes first and in the order in which it is touched: a leg is out of the nearest caches by the
 * time that its next packet comes, and each line that has to be fetched costs as much as some hundred instructions.
 */
struct leg {
    int64_t id; /* 0: the slot is free */
    struct thread *thread;
    struct leg *peer;
    struct tap *tap;
    struct srtp *srtp; /* keys; NULL: plain RTP */
    int slot, rtp_fd, rtcp_fd, channel;
    uint8_t is_configured, is_muted, hears_tones, reports_voice, has_stopped, is_active, is_delaying, is_pin_near, is_relayed;
    struct address rtp;
    struct leg_media media;
    int heard_codec, heard_pt; /* of the newest audio */
    struct sender out;
    struct prompt prompt;
    struct digit_out digits_out; /* who sends to a leg needs all of it down to here */
    struct receiver in;
    int64_t last_arrival_ns, signalled_ns; /* signalled_ns: the newest from the signalled address; 0: none */
    struct streams streams;
    uint32_t tone_ssrc, tone_next_ts;
    int64_t tone_shift; /* position on the tap minus offset in the detector */
    uint16_t tone_seq;
    uint8_t has_tone_stream, has_tone_shift, tone_codec;
    uint8_t policy;
    struct tones tones;
    struct address rtcp; /* from here on: for digits, and four times a second */
    uint16_t control, pin_prefixes;
    int64_t dropped, digits, unauthentic, replayed;
    int64_t remote_lost;
    int64_t rtcp_next_ns, rtcp_packets;
    struct digit_in event;
    struct star star;
    struct press keyed[RECENT_PRESSES], sounded[RECENT_PRESSES]; /* by RFC 4733, in band; the newest first */
    struct pin_entry pin;
    struct delay_buffer *delay;    /* audio that waits for the detector; NULL: none waits */
    int64_t reports_ns;            /* when the keys reported so far would all have been due */
    int64_t sounded_star_ns;     /* end of an in-band star that may begin a control sequence; NEVER: none */
    struct leg *next_active;
    struct g722 decoder;
    struct address own; /* of its RTP socket */
    struct flow *flow;   /* what the kernel is told of it; NULL: it has not been yet */
    int64_t settle_ns;   /* not before is it opened to the kernel */
    uint8_t has_relayed; /* since it was opened */
    struct address also_rtp, also_rtcp; /* a second source that counts: its signalling's IP, the signalled ports */
    struct sources sources;
    struct network networks[MAX_NETWORKS]; /* a leg without a remote hears nobody from elsewhere; none: anybody */
    int network_count;
    char cname[25];
};

#define MAX_SPANS SILENCED_SPANS
/* Closed positions of one channel, ascending, disjoint, not touching. */
struct spans {
    int count;
    struct {
        int64_t start, end;
    } list[MAX_SPANS];
};

#define SETTLED 8000 /* ticks after which a stream's envelope is trusted: a packet with little delay has come by then */

/* One byte a tick, and whether it is present; 1 PCMU, 2 PCMA, 3 G.722. */
struct ring {
    uint8_t *bytes;
    uint64_t *present, *low, *high; /* low and high: in what the code differs from base, touched only if any does */
    int64_t ticks;                  /* a multiple of 64 */
    uint8_t base, is_mixed;         /* code of the first byte that came, 0: none has; others have come */
};

#define STRETCH 80 /* 10 ms: how exactly it is known when something came */
/* Where the payloads of one short stretch of arrival went: what came lately is known even where timestamps jump. */
struct arrivals {
    uint32_t stretch;   /* which, from the opening of the tap on */
    int16_t newest;     /* when the newest came, from the start of the stretch */
    uint16_t is_shared; /* by several payloads: which of them came when is known no more */
    int32_t start, end; /* positions, from there too; empty when equal */
};

/* How long after its position's time a payload came at most, of those since a moment and of those in a look-back before. */
struct lateness {
    int64_t since, now, before;
};

#define MAX_ANCHORS 32
struct anchor {
    int64_t position, arrival_ns, lead;
    uint32_t ts;
    int codec;
};

/* One run of a sender's clock: ref_ts is at ref_pos; newest is the highest sequence number of it. */
struct epoch {
    uint32_t ssrc, ref_ts;
    int64_t ref_pos;
    uint16_t newest;
};

/* Where a packet's first byte goes. */
struct placement {
    int64_t position;
    int64_t former;  /* is_known: where the clock that its stream had before would have put it */
    int64_t late;    /* is_known: how late it is at most */
    uint8_t is_new_epoch, is_known, is_passed; /* passed: numbered behind what has come of its stream */
};

#define MAX_PAST 4
struct channel { /* what every packet touches comes first, as in a leg */
    struct ring ring;
    int64_t edge;
    uint8_t has_epoch, has_stepped, has_candidate, has_window, has_opened;
    uint8_t has_restarted, is_doubted; /* its epoch is not the first; may be late audio of the closed time */
    uint8_t has_moved; /* another stream took the first one's place: its way may be slower or faster, nothing tells */
    struct epoch epoch;
    int64_t next_pos, last_here, began_here, began_lead, began_late;
    int64_t newest_here, newest_late; /* when the newest of the epoch came, and how late it was at most */
    int64_t longest; /* ticks of the longest payload so far */
    int64_t env_value, env_here;
    int64_t blocked_until; /* nothing below is written: a stream began too close to an opening */
    struct arrivals *arrivals; /* one a stretch, in turn */
    struct lateness lateness;
    int64_t window_here;
    struct anchor candidate;
    int anchor_count;
    int past_count;
    uint16_t stepped_seq; /* has_stepped: the first number after its clock stepped */
    struct spans spans;
    int64_t opened_at;     /* has_opened: end of the span that the last opening finished */
    int64_t closed_from;   /* start of the open-ended span while the gate is closed */
    int64_t doubted_until, doubted_lead, doubted_best; /* is_doubted: on the call's clock; leads when that began, and in its later half */
    int64_t lost_start, lost_end; /* pending lost range; empty when equal */
    struct epoch past[MAX_PAST]; /* streams before the current one, newest first */
    struct anchor anchors[MAX_ANCHORS];
};

/* Bytes of both rings, locked; apart from them what is present and the channels' arrivals; and the codes, hardly ever touched. */
struct tap_memory {
    uint8_t *bytes, *planes, *codes;
    size_t bytes_size, planes_size, codes_size;
};

struct tap {
    int64_t id;
    struct thread *thread;
    int64_t opened_ns, look_back, stretches; /* stretches: of arrival, that each channel remembers */
    int64_t gate_opened_here; /* when the gate was opened last, on the call's clock; INT64_MIN: never */
    int64_t masked_from, masked_to; /* the mask that ends last, on the call's clock: what arrives in it is silenced */
    uint8_t is_closed, mask_left_digits;
    int slot;
    struct leg *legs[2];
    int64_t gate_closed_here; /* when it was shut last */
    struct tap_memory memory;
    int64_t most_ticks; /* how long its rings may become */
    struct channel channels[2];
    struct spans silenced; /* what masks have covered, on the call's clock, until it is asked for */
};

struct thread {
    struct core *core;
    int index;
    pthread_t handle;
    pthread_mutex_t next, data; /* taken in this order; whoever waits holds next, so nobody overtakes */
    int epoll, wake_fd;
    struct leg **legs; /* slots are never freed before the core: a stale epoll event meets a slot, never free memory */
    struct tap **taps;
    int leg_slots, tap_slots;
    int64_t generation;
    struct leg *active; /* legs with something due: prompts, digits, a held star */
    int64_t due_ns, house_ns, asleep_until_ns;
    int relayed;   /* legs whose packets the kernel relays */
    int routes_fd, policies_fd; /* tell that ways, or what IPsec wants, have changed; with a kernel only */
    struct core_counters counters;
    _Alignas(16) uint8_t buffer[MAX_PACKET + 1];
    uint8_t sealed[RTP_HEADER + MAX_PACKET + SRTP_EXTRA]; /* a packet that goes out encrypted; never plain */
    int16_t samples[MAX_PACKET];
};

/* The huge pages of a core (slab.c). */
struct slabs {
    pthread_mutex_t lock;
    struct slab *first;
};

struct kernel;
struct flow;

struct core {
    struct kernel *kernel; /* NULL: it relays nothing */
    struct slabs slabs;
    int thread_count, lock_memory;
    int64_t dead_rtp_ns, gather_ns;
    int64_t turned_ns; /* the time that core_turn was given last; 0: the system's clock counts */
    atomic_int is_stopping, is_closed;
    int is_started;
    pthread_mutex_t life; /* start and close */
    struct thread *threads;
    pthread_mutex_t events_lock;
    int event_fd, events_max, events_head, events_count;
    int64_t events_dropped;
    struct event *events;
};

/* thread.c */
int64_t clock_ns(void);
int64_t core_now(const struct core *core);
void thread_lock(struct thread *thread);
void thread_unlock(struct thread *thread);
int64_t new_id(struct thread *thread, int slot);
struct thread *thread_of(struct core *core, int64_t id);
struct leg *leg_find(struct thread *thread, int64_t id);
struct tap *tap_find(struct thread *thread, int64_t id);
void leg_wake_at(struct leg *leg, int64_t at_ns);

/* lock.c */
struct leg *leg_lock(struct core *core, int64_t id, int *error);
struct leg *leg_look(struct core *core, int64_t id, int *error); /* to change nothing of it */
struct tap *tap_lock(struct core *core, int64_t id, int *error);

/* events.c */
void report(struct core *core, struct event event);

/* address.c */
int address_equal(const struct address *a, const struct address *b);
int address_parse(struct address *out, const char *ip, int port); /* ip NULL: none */
int address_bytes(const struct address *address, const uint8_t **bytes); /* how many there are */
int port_of(const struct address *address);
int is_in_network(const struct network *network, const struct address *source);

/* sources.c */
enum origin source_judge(struct leg *leg, const uint8_t *data, int length, const struct address *source, int64_t now);
int is_signalled(const struct leg *leg, const struct address *source);
void source_spoke(struct leg *leg, int64_t now, int is_audio); /* a packet from the signalled address came */
void sources_reset(struct leg *leg, int64_t now); /* another address is signalled */
int is_rtcp_of_peer(const struct leg *leg, const struct address *source);

/* socket.c */
void socket_readable(struct leg *leg, int is_rtcp, int64_t now);

/* receive.c */
int receive_rtp(struct leg *leg, uint8_t *data, int length, int64_t arrival_ns, enum origin origin, int is_relayed);
int64_t packets_lost(const struct receiver *in);

/* formats.c */
int same_rate(int codec, int other);
int leg_codec_of(const struct leg *leg, int payload_type); /* -1: the peer may not send it as audio */

/* leg.c */
void leg_detach(struct leg *leg);
void leg_house(struct leg *leg, int64_t now);

/* srtp.c */
int srtp_unprotect(struct leg *leg, uint8_t *data, int length, int is_rtcp, int64_t now);
int srtp_protect(struct leg *leg, const uint8_t *data, int length, uint8_t *out);
int srtp_protect_rtcp(struct leg *leg, const uint8_t *data, int length, uint8_t *out);

/* srtp_keys.c */
void srtp_house(struct leg *leg, int64_t now);
void srtp_free(struct leg *leg);

/* streams.c */
int stream_is_left_out(struct leg *leg, struct packet *packet); /* it is silent beside another that goes on */

/* forward.c */
int leg_can_hear(const struct leg *leg);
int digits_are_busy(const struct leg *leg);
int stream_align(struct leg *to, enum stream_source source, uint32_t ssrc, uint16_t seq, uint32_t ts, int64_t now);
int send_rtp(struct leg *leg, uint8_t *payload, int length, int payload_type, int has_marker, uint16_t seq, uint32_t ts,
             uint32_t span_ticks, int64_t now);
uint16_t output_seq(struct sender *out, uint16_t seq);
void swallow(struct leg *to, const struct packet *packet);
void forward_audio(struct leg *from, const struct packet *packet);
void forward_relayed(struct leg *from, const struct packet *packet);

/* fetch.c */
void fetch_ahead(const struct leg *next, const struct leg *second, const struct leg *third, int64_t now);

/* kernel_flow.c */
void kernel_settle(struct leg *leg, int64_t now); /* lets the kernel relay what comes at a leg, if it may */
void kernel_withdraw(struct leg *leg);      /* nothing of it is relayed from here on */
void kernel_leave_alone(struct leg *leg, int64_t now); /* for some time: two streams come, and each shuts the other's flow */
void kernel_house(struct thread *thread);

/* kernel_copies.c */
void kernel_take(struct thread *thread);    /* what has been relayed so far */
void kernel_release(struct leg *leg);       /* before anything is done to a leg: nothing comes or goes by it but by us */
/* Its peer's packet came by the socket: what came before goes before. is_expected: it could have been relayed. */
void kernel_catch_up(struct leg *leg, int is_expected);
void kernel_end(struct thread *thread); /* takes the last of it */

/* kernel_open.c */
void kernel_leave(struct leg *leg); /* its socket may be another's soon */
void kernel_close(struct core *core);

/* prompt.c */
int64_t prompt_tick(struct leg *leg, int64_t now);
void prompt_end(struct leg *leg, int is_complete);

/* press.c */
void press_init(struct leg *leg);
void press_event(struct leg *leg, const struct packet *packet);
int press_audio(struct leg *leg, const struct packet *packet, int is_placed, int64_t position); /* 0: it has passed */
int64_t press_tick(struct leg *leg, int64_t now);
void press_house(struct leg *leg, int64_t now);
int press_is_idle(const struct leg *leg, int64_t now);
void press_forget(struct leg *leg); /* who was heard until now was somebody else; without a report */
void press_end(struct leg *leg, int64_t now);
int press_set_policy(struct leg *leg, enum dtmf_policy policy, unsigned control, unsigned prefixes, int64_t now);
int press_set_tones(struct leg *leg, int is_on, int64_t now);

/* dtmf.c */
int digit_code(int digit);
int dtmf_take(struct digit_in *event, const struct packet *packet, struct dtmf_packet *out);
void dtmf_pass(struct leg *from, const struct packet *packet, uint32_t duration);
int dtmf_queue(struct leg *leg, int code, uint32_t duration_ticks, int64_t now);
void dtmf_replay(struct leg *from, int code, uint32_t duration_ticks, int64_t now);
int64_t dtmf_tick(struct leg *leg, int64_t now);

/* inband_dtmf.c; room for MAX_TONES_EVENTS */
enum inband_join inband_join(const struct leg *leg, const struct packet *packet);
int inband_skip(struct leg *leg, const struct packet *packet, struct tones_event *events);
int inband_feed(struct leg *leg, const struct packet *packet, int is_anew, int is_placed, int64_t position,
                struct tones_event *events);
int inband_finish(struct leg *leg, struct tones_event *events);
void inband_leave(struct leg *leg);
void inband_set(struct leg *leg, int is_on);
void inband_reset(struct leg *leg);

/* pin_entry.c */
void pin_begin(struct pin_entry *pin, int prefix, int64_t now);
enum pin_step pin_take(struct pin_entry *pin, int code, unsigned control, unsigned prefixes, int64_t now);
int64_t pin_packed(const struct pin_entry *pin);
int64_t pin_until(const struct pin_entry *pin, int is_pressed);

/* delay_buffer.c */
int delay_set(struct leg *leg, int is_on, int64_t now);
void delay_audio(struct leg *leg, const struct packet *packet, int is_heard);
void delay_silence_tail(const struct leg *leg, const struct packet *packet);
void delay_swallowed(struct leg *leg, const struct packet *packet);
void delay_cut(struct leg *leg);
void delay_drop(struct leg *leg);
void delay_free(struct leg *leg);
int64_t delay_tick(struct leg *leg, int64_t now);

/* g722.c */
void g722_init(struct g722 *state);
void g722_decode_low(struct g722 *state, const uint8_t *data, int length, int16_t *out); /* 8000 Hz, 16 bits */

/* rtcp.c */
void receive_rtcp(struct leg *leg, uint8_t *data, int length, int64_t arrival_ns);
void send_rtcp(struct leg *leg, int64_t now);

/* slab.c */
void *slab_take(struct slabs *slabs, size_t size, int is_locked);
void slab_prepare(struct slabs *slabs, size_t size, int is_locked);
void slab_give(struct slabs *slabs, void *block, size_t size);
void slabs_free(struct slabs *slabs);

/* tap_write.c */
int64_t tap_here(const struct tap *tap, int64_t at_ns);
int tap_receive(struct tap *tap, int side, const struct packet *packet, int64_t *position);
void tap_fetch(const struct tap *tap, int side, int64_t now);
void tap_mask_event(struct tap *tap, int side, const struct packet *packet, uint32_t duration);
void tap_mask_tone(struct tap *tap, int side, int64_t from, int64_t to, int64_t arrival_ns);
void tap_forget(struct tap *tap, int side, int64_t from_ns, int64_t now);

/* tap.c */
void tap_detach_leg(struct leg *leg);
void tap_free(struct tap *tap);

/* memory.c */
void *memory_locked(size_t size, int lock);
void memory_free(void *memory, size_t size);

/* tap_memory.c */
void tap_memory_prepare(struct core *core, int64_t look_back, int64_t most_ticks); /* without a thread's lock */
int tap_memory_open(struct tap *tap); /* 0: no memory */
void tap_memory_close(struct tap *tap);
void tap_memory_grow(struct tap *tap, int64_t need); /* to hold so many ticks from the edge on, if there is memory and it may */

/* timeline.c */
int64_t envelope(const struct channel *channel, int64_t here);
int timeline_expect(const struct channel *channel, uint32_t ssrc, uint32_t ts, int64_t here, int64_t *position);
void timeline_forget(struct channel *channel, int64_t from, int64_t here); /* what was placed since was another's */
int timeline_place(struct channel *channel, const struct packet *packet, int64_t here, struct placement *out); /* 0: dropped */
void anchor_note(struct channel *channel, const struct anchor *anchor, int64_t here);

/* gate.c */
void spans_add(struct spans *spans, int64_t start, int64_t end);
void spans_drop_below(struct spans *spans, int64_t edge);
void gate_shut(struct tap *tap, int64_t here, int64_t erase);
void gate_forget(struct tap *tap, struct channel *channel, int64_t from, int64_t here);
void gate_release(struct tap *tap, int64_t here);
int64_t gather_ticks(const struct tap *tap); /* how long a packet may have waited before it was taken */
int64_t gate_stretches(int64_t look_back); /* of arrival, to remember for it */
void gate_arrived(const struct tap *tap, struct channel *channel, int64_t here, int64_t start, int64_t end);
int64_t gate_edge(const struct tap *tap, const struct channel *channel, int64_t here); /* what may be handed out ends here */
void gate_placed(struct tap *tap, struct channel *channel, const struct placement *placed, int64_t end, int64_t env,
                 int64_t here);
/* is_placed: it is known where on its channel's time line what is masked lies. */
void gate_mask_span(struct tap *tap, int64_t from, int64_t to, int is_placed, int64_t here);

/* ring.c */
size_t ring_plane_bytes(int64_t ticks);
void ring_place(struct ring *ring, uint8_t *bytes, uint8_t *present, uint8_t *codes, int64_t ticks);
void ring_move(struct ring *to, const struct ring *from, int64_t edge);
int ring_put(struct ring *ring, int64_t position, const uint8_t *data, int64_t length, int codec);
void ring_fetch(const struct ring *ring, int64_t position);
void ring_zero(struct ring *ring, int64_t start, int64_t end);
int64_t ring_run(const struct ring *ring, int64_t position, int64_t limit, int *codec);
void ring_copy(const struct ring *ring, int64_t position, int64_t length, uint8_t *out);

/* g711.c */
extern int16_t g711_linear[2][256]; /* [codec is PCMA][byte] */
extern uint8_t g711_other[2][256];  /* to the other law */

#endif
