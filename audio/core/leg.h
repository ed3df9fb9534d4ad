/* Legs: what is known of one, and what its files do with it. Who only keeps or passes a leg does not see into it. */
#ifndef AUDIO_CORE_LEG_H
#define AUDIO_CORE_LEG_H

#include "address.h"
#include "codecs.h"
#include "core.h"
#include "packet.h"
#include "press.h"
#include "streams.h"
#include "tones.h"

struct flow;
struct tap;
struct thread;

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
    int64_t queued_round; /* of its thread's io_uring: the newest is queued while that one lasts */
    uint8_t has_hole, has_sent, is_switching, source, has_restart, is_through; /* through: the system took the newest */
    int64_t packets, octets;
};

/* The stream that arrives (RFC 3550 appendix A.1, A.3, A.8). */
struct receiver {
    uint32_t ssrc, transit, jitter /* ticks * 16 */;
    uint16_t base_seq, max_seq;
    uint8_t has_stream;
    uint32_t cycles, last_sr;
    uint32_t newest_ts;  /* of the audio with the highest number, and when it came */
    int64_t newest_ns;
    int64_t stream_received, received, lost_before, prior_expected, prior_received, last_sr_ns;
};

struct prompt {
    uint8_t *audio; /* NULL: nothing plays */
    size_t length, at;
    int64_t tag, next_ns, sent;
    uint8_t codec, loop, is_whole;
};

/* Whose a packet is that came at a leg. */
enum origin {
    ORIGIN_STRANGER,
    ORIGIN_SIGNALLED, /* from the signalled address, under the peer's key, or by the kernel */
    ORIGIN_LATCHED,   /* from another source, which is heard since nothing comes from there */
    ORIGIN_UNPROVEN,  /* the same, so early that the signalled address may speak yet */
    ORIGIN_MOVED      /* from another port, which the source that is heard goes on from if the packet is good (ADR 82) */
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
    struct address candidate;  /* of the packet that is ORIGIN_MOVED */
    struct address moved_from; /* what was signalled, while the remote is where its owner goes on from; length 0: it is not */
    uint16_t moved_seq;        /* the newest number that came from there */
    int64_t moved_ns;          /* when it was left */
    int64_t refused, report_ns; /* packets of others; not before is the next report made */
};

#define MAX_NETWORKS 32

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
    int slot, rtp_fd, rtcp_fd, channel, taken; /* taken: by io_uring, since the last look at the house */
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
    struct leg *next_active, *next_arriving;
    int64_t polled_until_ns; /* too much comes for io_uring */
    uint8_t is_polled, is_arriving, is_received; /* RTP: at its thread's epoll; about to be at its io_uring; there */
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

/* leg.c */
void leg_detach(struct leg *leg);
void leg_house(struct leg *leg, int64_t now);

/* watch.c */
int leg_watch(struct leg *leg);
void leg_unwatch(struct leg *leg);
int leg_watch_rtp(struct leg *leg);
void leg_unwatch_rtp(struct leg *leg);
void leg_arrive(struct leg *leg, int64_t now);

/* formats.c */
int same_rate(int codec, int other);
int leg_codec_of(const struct leg *leg, int payload_type); /* -1: the peer may not send it as audio */

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

/* prompt.c */
int64_t prompt_tick(struct leg *leg, int64_t now);
void prompt_end(struct leg *leg, int is_complete);

/* receive.c */
int receive_rtp(struct leg *leg, uint8_t *data, int length, int64_t arrival_ns, enum origin origin, int is_relayed);
int64_t packets_lost(const struct receiver *in);

/* socket.c */
int datagram_came(struct leg *leg, int is_rtcp, uint8_t *data, int length, const struct address *source, int64_t now);
void socket_readable(struct leg *leg, int is_rtcp, int64_t now);

/* sources.c */
enum origin source_judge(struct leg *leg, const uint8_t *data, int length, const struct address *source, int64_t now);
int is_signalled(const struct leg *leg, const struct address *source);
void source_spoke(struct leg *leg, int64_t now, int is_audio); /* a packet from the signalled address came */
enum origin source_moved(struct leg *leg, int64_t now);  /* the packet of ORIGIN_MOVED is good: it is followed */
void source_stayed(struct leg *leg, int64_t now);        /* it is not */
void sources_reset(struct leg *leg, int64_t now); /* another address is signalled */
int is_rtcp_of_peer(const struct leg *leg, const struct address *source);

/* srtp.c */
int srtp_unprotect(struct leg *leg, uint8_t *data, int length, int is_rtcp, int64_t now);
int srtp_protect(struct leg *leg, const uint8_t *data, int length, uint8_t *out);
int srtp_protect_rtcp(struct leg *leg, const uint8_t *data, int length, uint8_t *out);

/* srtp_keys.c */
void srtp_house(struct leg *leg, int64_t now);
void srtp_free(struct leg *leg);

/* rtcp.c */
void receive_rtcp(struct leg *leg, uint8_t *data, int length, int64_t arrival_ns);
void send_rtcp(struct leg *leg, int64_t now);

/* fetch.c */
void fetch_ahead(const struct leg *next, const struct leg *second, const struct leg *third, int64_t now);

#endif
