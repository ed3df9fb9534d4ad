/*
 * The media core as `_relay.pyx` sees it (ADR 0003; rules: docs/media-core.md).
 *
 * Every function is safe from any thread: it takes the fair lock of the media thread that owns the leg or tap, so it
 * happens between two batches of packets. Results below zero are negated errno values: ENOENT unknown or closed id,
 * EINVAL value out of range, ESHUTDOWN closed core, others from the system. Times are CLOCK_MONOTONIC ns; CORE_NOW
 * reads the clock once the lock is held, or is the time of the last core_turn.
 */
#ifndef AUDIO_CORE_CORE_H
#define AUDIO_CORE_CORE_H

#include <stddef.h>
#include <stdint.h>

#define CORE_NOW INT64_MIN

struct core;

enum event_kind {
    EVENT_DIGIT = 1,      /* leg; a: ASCII or 0 (masked), b: enum digit_source */
    EVENT_CONTROL = 2,    /* leg; a: ASCII of the key after the star, b: enum digit_source */
    EVENT_PROMPT = 3,     /* leg; a: tag, b: packets sent, c: packets due * 2 + complete */
    EVENT_STOPPED = 4,    /* leg; a: silence in ms */
    EVENT_RESUMED = 5,    /* leg */
    EVENT_REANCHORED = 6, /* tap; a: channel, b: position */
    EVENT_LOST = 7,       /* tap; a: channel, b: start, c: end */
    EVENT_FAX = 8,        /* leg; a: 0 CNG, 1 CED; b: as pause in struct tones_event */
    EVENT_SECRET = 9,     /* leg; a: ASCII of the key after the star, b: keys, 4 bits each, their number from bit 48 on,
                             c: enum digit_source * 2 + complete */
    EVENT_UNAUTHENTIC = 10, /* leg; a: packets so far that are not under its peer's key; once a key */
    EVENT_REFUSED = 11, /* leg; a: is IPv6, port << 1, packets so far from sources that are not heard << 17; b, c: the bytes
                          of the newest source's address; every 10 s at most */
    EVENT_MOVED = 13,   /* leg; a: is IPv6, port << 1; b, c: the bytes of the address that its peer goes on from */
    EVENT_VOICE = 12 /* leg: somebody speaks; every 0.3 s at most, where it was asked for */
};

enum digit_source { SOURCE_RFC4733 = 0, SOURCE_INBAND = 1 };

enum dtmf_policy { DTMF_PASS = 0, DTMF_HOLD_STAR = 1, DTMF_SWALLOW = 2, DTMF_MASK = 3 };

enum srtp_suite { SRTP_AES_128 = 0, SRTP_SHORT_TAG = 1, SRTP_AES_256 = 2 }; /* a sum: AES_CM_128_HMAC_SHA1_80 is 0 */

struct event {
    int64_t kind, id, a, b, c;
    int64_t at_ns; /* of keys: when they were over, monotonic; else 0 */
};

#define MORE_FORMATS 2 /* beside the first: there are three codecs */

/* One codec and its payload types on packets that we send and that the peer sends. */
struct leg_format {
    int codec, send_pt, receive_pt;
};

/*
 * What an offer/answer settled; payload types of -1 mean none. The first format is what we send; the peer may send any of
 * them, and change at any packet (RFC 3264 section 5.1).
 */
struct leg_media {
    struct leg_format first, more[MORE_FORMATS]; /* more: receive_pt -1 where there are fewer */
    int send_event_pt, receive_event_pt, sends, receives;
};

struct leg_statistics {
    int64_t received, sent, lost, dropped, jitter_us, remote_lost /* -1: never reported */, digits, unauthentic, replayed,
        refused;
};

struct core_counters {
    int64_t legs, taps, ring_bytes, received, sent, dropped, send_errors, rtcp_received, rtcp_malformed, late_ticks, lost_ticks,
        srtp_unauthentic, srtp_replayed, relayed /* of received: by the kernel */, refused /* from sources that are not heard */,
        lost /* packets that never came at legs that are closed */,
        starved /* times that a leg's receive by io_uring found no buffer: its packets waited in its socket */;
};

struct core *core_new(int threads, int max_events, int lock_memory, int64_t dead_rtp_ns, int64_t gather_ns);
/*
 * Has the kernel relay settled streams that come in by these interfaces, before core_start; program: audio/core/bpf, as
 * it was compiled. EPERM or EACCES without CAP_BPF and CAP_NET_ADMIN, ENODEV for no such interface.
 */
int core_relay_in_kernel(struct core *core, const char *program, const char *const *interfaces, int count,
                         int packets_per_s /* of a stream; faster ones go by sockets */);
/*
 * Has media threads receive and send by io_uring, before core_start; buffers: packets that each has room for, 0: as many as
 * it can. ENOSYS: the kernel is older than 6.1, or has none; EPERM: it is forbidden; ENOMEM: no more memory may be locked.
 */
int core_use_io_uring(struct core *core, int buffers, int packets_per_s /* of a leg; who sends more is read by epoll */);
int core_uses_io_uring(struct core *core); /* how many threads do now */
int core_start(struct core *core);
/*
 * Does what the media threads would have done by a time, which never goes back; from then on it is the core's time. For
 * a core that is never started: tests turn its clock. Returns when it wants to be called again; EINVAL once it has
 * started, or for an earlier time.
 */
int64_t core_turn(struct core *core, int64_t now_ns);
void core_close(struct core *core); /* idempotent; stops the threads, zeroes the rings; sockets stay the caller's */
void core_free(struct core *core);  /* after core_close, when no other thread can call any more */
int core_event_fd(const struct core *core);
int core_drain_events(struct core *core, struct event *out, int max);
int64_t core_dropped_events(struct core *core);
void core_count(struct core *core, struct core_counters *out);

int64_t core_open_leg(struct core *core, int thread, int rtp_fd, int rtcp_fd);
int core_close_leg(struct core *core, int64_t leg);
int core_set_remote(struct core *core, int64_t leg, const char *rtp_ip, int rtp_port, const char *rtcp_ip, int rtcp_port);
/* Packets from this IP with the ports of set_remote count as well; until the next set_remote, which must come first. */
int core_accept_from(struct core *core, int64_t leg, const char *ip);
/*
 * Makes a leg one that only listens: it has no remote. What comes from ip (NULL: as before) and port is heard; while nothing
 * does, another source may be, in one of these networks; count 0: anywhere (docs/media-core.md, Sources).
 */
int core_listen(struct core *core, int64_t leg, const char *ip, int port, const char *const *ips, const int *bits, int count);
int core_update_leg(struct core *core, int64_t leg, const struct leg_media *media);
/*
 * Gives a leg a key (master key, then master salt): ours to send under, or the peer's, which counts its packets anew while
 * those under its former key are still taken for 5 s; only a peer's may have an MKI. From the first key on nothing goes or comes in the clear.
 */
int core_srtp_key(struct core *core, int64_t leg, int is_send, int suite, const uint8_t *key, size_t length,
                  const uint8_t *mki, size_t mki_length);
int core_srtp_off(struct core *core, int64_t leg); /* plain RTP again */
int core_bridge(struct core *core, int64_t a, int64_t b);
int core_unbridge(struct core *core, int64_t leg);
int core_play(struct core *core, int64_t leg, const uint8_t *audio, size_t length, int64_t tag, int loop);
int core_stop(struct core *core, int64_t leg);
int core_mute(struct core *core, int64_t leg, int is_muted);
/* control: bit n set means "*" followed by event n (RFC 4733 section 3.2) is a control sequence. */
/* secret: the same for a prefix of an entry that is withheld up to "#". A bit in both is refused. */
int core_dtmf_policy(struct core *core, int64_t leg, int policy, unsigned control, unsigned secret);
int core_detect_tones(struct core *core, int64_t leg, int is_on);
int core_report_voice(struct core *core, int64_t leg, int is_on); /* while tones are listened for */
int core_send_dtmf(struct core *core, int64_t leg, int digit, int duration_ms);
int core_leg_statistics(struct core *core, int64_t leg, struct leg_statistics *out);
/* Nanoseconds since the newest packet of a leg's peer, or since it was bridged or began to receive; or an error. */
int64_t core_leg_silence(struct core *core, int64_t leg);
/* Whether RTP that has come at a leg waits for its media thread; or an error. */
int core_leg_has_packets(struct core *core, int64_t leg);
int core_inject(struct core *core, int64_t leg, int is_rtcp, const uint8_t *packet, size_t length, int64_t arrival_ns);

#define SILENCED_SPANS 64 /* more are merged, so that they cover more, never less */

/* Has memory ready with which a call begins, so that the thread that opens the first legs and tap does not wait for it. */
int core_prepare(struct core *core, int64_t look_back_ticks, int64_t ring_ticks);
/* left or right 0: nobody on that side. */
int64_t core_open_tap(struct core *core, int64_t left, int64_t right, int64_t look_back_ticks, int64_t ring_ticks,
                      int mask_left_digits, int is_closed, int64_t now_ns);
int core_retarget_tap(struct core *core, int64_t tap, int64_t left, int64_t right);
int64_t core_gate_close(struct core *core, int64_t tap, int64_t erase_ticks, int64_t now_ns);
int64_t core_gate_open(struct core *core, int64_t tap, int64_t now_ns);
int core_gate_mask(struct core *core, int64_t tap, int64_t from_ticks, int64_t to_ticks, int64_t now_ns);
/* Takes the spans, start and end, that masks have covered since it was last asked for; room for 2 * SILENCED_SPANS. */
int core_tap_silenced(struct core *core, int64_t tap, int64_t *out);
int64_t core_tap_now(struct core *core, int64_t tap, int64_t now_ns);
int64_t core_drain_tap(struct core *core, int64_t tap, uint8_t *out, size_t size, int is_final, int64_t now_ns, int *more);
int core_release_tap(struct core *core, int64_t tap);

/* Fills the G.711 tables; core_new does it too, the analysis below needs it without a core. */
void g711_init(void);

/* What came for a tap while its gate was open, left then right: packets, and how many were missing between them. */
struct tap_packets {
    int64_t received[2], lost[2];
};
int core_tap_packets(struct core *core, int64_t tap, struct tap_packets *out);

/* What a drained block holds: end of its audio or loss, ticks of audio of each channel, records of loss, codecs. */
struct block_survey {
    int64_t end, ticks[2];
    int lost;
    uint32_t codecs[2];  /* by channel: a bit for the number of each codec that there is audio of */
    int64_t clipped[2];  /* bytes of G.711 that stand for its largest value */
    int64_t anchored[2]; /* position of the last anchor, -1: none */
    int64_t arrived[2];  /* when it arrived, ns since the tap opened */
};

/* 0, or -EINVAL for a block that is torn or holds a number that nobody knows. */
int survey_of_block(const uint8_t *block, size_t length, struct block_survey *out);

/*
 * Loudness of one channel of a drained block, for pictures and for the one-way check; no state.
 * levels_of_block fills out[i] with the peak (|linear 16 bit| >> 7) of bucket first + i, 800 ticks each, and has[i]
 * with whether any audio lies in it; returns the number of buckets (at most max), or -EINVAL for a torn block.
 */
int levels_of_block(const uint8_t *block, size_t length, int channel, int64_t *first, uint8_t *out, uint8_t *has, int max);
/* Number of buckets that levels_of_block needs room for. */
int64_t buckets_of_block(const uint8_t *block, size_t length, int channel);

/* Linear samples of [start, start + count), 0 where there are none or those of G.722; how many there are, or -EINVAL. */
int64_t samples_of_block(const uint8_t *block, size_t length, int channel, int64_t start, int16_t *out, int64_t count);

/* speech.c */
#define SPEECH_FRAME 160 /* samples at 8000 Hz: 20 ms */
#define SPEECH_FRAMES 25
#define SPEECH_WINDOW (SPEECH_FRAMES * SPEECH_FRAME)

/* How a window of SPEECH_WINDOW samples moves: docs/adr/0064-speech-by-webrtcvad.md. */
struct window_features {
    double swing_db;  /* from its quiet frames to its loud ones */
    double crossings; /* standard deviation of the share of sign changes between its frames, those far below the loudest left out */
    double steady;    /* share of those frames that are like a neighbour in level and in sign changes, as tones are */
    int digits;       /* DTMF digits that are heard in it */
};
void features_of_window(const int16_t *samples, struct window_features *out);

#endif
