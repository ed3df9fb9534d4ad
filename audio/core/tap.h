/* Taps: what a recording still holds in memory, and what of it may be kept. */
#ifndef AUDIO_CORE_TAP_H
#define AUDIO_CORE_TAP_H

#include "core.h"
#include "packet.h"

struct core;
struct leg;
struct thread;

#define DIGIT_MARGIN_TICKS 1600 /* silenced either side of a digit: 200 ms */
#define MAX_SPANS SILENCED_SPANS

/* Closed positions of one channel, ascending, disjoint, not touching. */
struct spans {
    int count;
    struct {
        int64_t start, end;
    } list[MAX_SPANS];
};

#define SETTLED 8000 /* ticks after which a stream's envelope is trusted: a packet with little delay has come by then */
#define STRETCH 80 /* 10 ms: how exactly it is known when something came */

/* One byte a tick, and whether it is present; 1 PCMU, 2 PCMA, 3 G.722. */
struct ring {
    uint8_t *bytes;
    uint64_t *present, *low, *high; /* low and high: in what the code differs from base, touched only if any does */
    int64_t ticks;                  /* a multiple of 64 */
    uint8_t base, is_mixed;         /* code of the first byte that came, 0: none has; others have come */
};

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
    int64_t packets, packets_lost; /* while the gate was open */
    uint16_t counted_seq;          /* is_counting: the highest number counted of the running stream */
    uint8_t is_counting;
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
    uint8_t is_closed, masks_digits[2]; /* digits of a side are not kept */
    int slot;
    struct leg *legs[2];
    int64_t gate_closed_here; /* when it was shut last */
    struct tap_memory memory;
    int64_t most_ticks; /* how long its rings may become */
    struct channel channels[2];
    struct spans silenced; /* what masks have covered, on the call's clock, until it is asked for */
};

/* tap.c */
void tap_detach_leg(struct leg *leg);
void tap_free(struct tap *tap);

/* tap_write.c */
int64_t tap_here(const struct tap *tap, int64_t at_ns);
int tap_receive(struct tap *tap, int side, const struct packet *packet, int64_t *position);
void tap_fetch(const struct tap *tap, int side, int64_t now);
void tap_mask_event(struct tap *tap, int side, int is_secret, const struct packet *packet, uint32_t duration);
void tap_mask_tone(struct tap *tap, int side, int is_secret, int64_t from, int64_t to, int64_t arrival_ns);
void tap_forget(struct tap *tap, int side, int64_t from_ns, int64_t now);

/* tap_memory.c */
void *tap_memory_prepare(struct core *core, int64_t look_back, int64_t most_ticks); /* without a thread's lock */
void tap_memory_unused(void *prepared, int64_t look_back, int64_t most_ticks); /* gives back what tap_memory_open was not given */
int tap_memory_open(struct tap *tap, void *prepared); /* 0: no memory; what was prepared is given back */
void tap_memory_close(struct tap *tap);
void tap_memory_grow(struct tap *tap, int64_t need); /* to hold so many ticks from the edge on, if there is memory and it may */

/* timeline.c */
int64_t envelope(const struct channel *channel, int64_t here);
int timeline_expect(const struct channel *channel, uint32_t ssrc, uint32_t ts, int64_t here, int64_t *position);
void timeline_forget(struct channel *channel, int64_t from, int64_t here); /* what was placed since was another's */
int timeline_place(struct channel *channel, const struct packet *packet, int64_t here, struct placement *out); /* 0: dropped */
void anchor_note(struct channel *channel, const struct anchor *anchor, int64_t here);

/* gate.c */
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

#endif
