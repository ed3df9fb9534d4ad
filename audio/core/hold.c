/*
 * Audio of a masked leg waits until the detector has passed it, so that a tone is silenced before any of it goes on
 * (docs/media-core.md, Held audio). Bounded, in order of arrival, wiped as it leaves.
 */
#include <string.h>
#include <sys/mman.h>

#include "state.h"

#define HOLD_SLOTS 16
#define HOLD_BYTES 6144 /* what waits in HOLD_TICKS, the packet that straddles them and the newest, with headers */
#define HOLD_TICKS 320 /* more than the 203 after which a tone has filled one block of the detector whole */
#define HANG_TICKS 480 /* silent after a block with a tone, so that a drop-out does not let its rest go on */
#define STALL_NS (200 * NS_PER_MS)

struct held {
    int64_t position; /* of its end, in the detector */
    uint32_t ts, ssrc;
    uint16_t seq, length;
    uint16_t at;      /* of its bytes: room for a header, then its payload */
    uint8_t has_marker, codec, is_audio, is_silenced, is_due;
};

struct hold {
    int first, count, end; /* end: of the bytes that are taken, in order */
    int64_t last_ns;       /* when the newest came */
    struct held slots[HOLD_SLOTS];
    uint8_t bytes[HOLD_BYTES];
};

static struct held *slot_at(struct hold *hold, int index)
{
    return &hold->slots[(hold->first + index) % HOLD_SLOTS];
}

static uint8_t *payload_of(struct hold *hold, const struct held *held)
{
    return hold->bytes + held->at + RTP_HEADER;
}

static uint8_t silence_of(int codec)
{
    return codec == CODEC_PCMU ? 0xFF : codec == CODEC_PCMA ? 0xD5 : 0xFA;
}

static void silence(const struct leg *leg, struct held *held)
{
    if (!held->is_silenced)
        memset(payload_of(leg->hold, held), silence_of(held->codec), held->length);
    held->is_silenced = 1;
}

static void wipe_first(struct hold *hold)
{
    struct held *held = slot_at(hold, 0);
    explicit_bzero(hold->bytes + held->at, (size_t)RTP_HEADER + held->length);
    explicit_bzero(held, sizeof *held);
    hold->first = (hold->first + 1) % HOLD_SLOTS;
    hold->count--;
}

static void send_first(struct leg *leg, int64_t now)
{
    struct held *held = slot_at(leg->hold, 0);
    struct packet packet = {.payload = payload_of(leg->hold, held), .length = held->length, .codec = held->codec,
                            .has_marker = held->has_marker, .seq = held->seq, .ts = held->ts, .ssrc = held->ssrc, .arrival_ns = now};
    if (held->is_audio)
        forward_audio(leg, &packet);
    else if (leg->peer)
        swallow(leg->peer, &packet);
    wipe_first(leg->hold);
}

/* Sends what the detector has passed, and what is due for another reason. */
static void send_due(struct leg *leg, int64_t now)
{
    while (leg->hold->count > 0) {
        struct held *held = slot_at(leg->hold, 0);
        if (held->is_audio && !held->is_due && leg->tones.position - held->position < HOLD_TICKS)
            return;
        send_first(leg, now);
    }
}

/* What is held goes on as it is: nothing is withheld any more. */
static void flush(struct leg *leg, int64_t now)
{
    while (leg->hold->count > 0)
        send_first(leg, now);
}

/* What the detector could not decide yet is silenced, since what follows does not join up with it. */
void hold_cut(struct leg *leg)
{
    if (!leg->hold)
        return;
    for (int i = 0; i < leg->hold->count; i++) {
        struct held *held = slot_at(leg->hold, i);
        if (!held->is_audio || leg->tones.position - held->position >= HOLD_TICKS)
            continue;
        silence(leg, held);
        held->is_due = 1;
    }
}

/* What is held goes nowhere: its listener has changed. */
void hold_drop(struct leg *leg)
{
    if (!leg->hold || !leg->hold->count)
        return;
    while (leg->hold->count > 0)
        wipe_first(leg->hold);
    if (leg->peer)
        leg->peer->out.is_switching = 1;
}

void hold_free(struct leg *leg)
{
    if (leg->hold)
        memory_free(leg->hold, sizeof *leg->hold);
    leg->hold = NULL;
}

/* Begins to hold audio back, or ends it, as the leg's rules now say. */
void hold_update(struct leg *leg, int64_t now)
{
    int is_entry = leg->secret.is_on || leg->is_secret_near;
    leg->is_holding = leg->hears_tones && (leg->policy == DTMF_MASK || is_entry);
    if (leg->is_holding && !leg->hold)
        leg->hold = memory_locked(sizeof *leg->hold, leg->thread->core->lock_memory);
    if (leg->is_holding || !leg->hold)
        return;
    flush(leg, now);
    hold_free(leg);
}

static int has_tone(const struct tones *tones)
{
    return tones->seen_to && tones->position - tones->seen_to < HANG_TICKS;
}

/* Moves what waits to the front, and leaves nothing of it behind. */
static void close_up(struct hold *hold)
{
    int from = hold->count ? slot_at(hold, 0)->at : hold->end;
    memmove(hold->bytes, hold->bytes + from, (size_t)(hold->end - from));
    for (int i = 0; i < hold->count; i++)
        slot_at(hold, i)->at = (uint16_t)(slot_at(hold, i)->at - from);
    explicit_bzero(hold->bytes + hold->end - from, (size_t)from);
    hold->end -= from;
}

/* Makes room; more packets than any codec sends: the oldest cannot wait, so it is silenced. */
static void make_room(struct leg *leg, int need, int64_t now)
{
    struct hold *hold = leg->hold;
    if (hold->end + need > HOLD_BYTES)
        close_up(hold);
    while (hold->count == HOLD_SLOTS || hold->end + need > HOLD_BYTES) {
        struct held *oldest = slot_at(hold, 0);
        if (oldest->is_audio && leg->tones.position - oldest->position < HOLD_TICKS)
            silence(leg, oldest);
        send_first(leg, now);
        close_up(hold);
    }
}

static struct held *append(struct leg *leg, const struct packet *packet)
{
    struct hold *hold = leg->hold;
    make_room(leg, RTP_HEADER + packet->length, packet->arrival_ns);
    struct held *held = slot_at(hold, hold->count++);
    held->at = (uint16_t)hold->end;
    hold->end += RTP_HEADER + packet->length;
    held->position = leg->tones.position;
    held->ts = packet->ts;
    held->ssrc = packet->ssrc;
    held->seq = packet->seq;
    held->length = (uint16_t)packet->length;
    held->has_marker = (uint8_t)packet->has_marker;
    held->codec = (uint8_t)packet->codec;
    held->is_audio = held->is_silenced = held->is_due = 0;
    hold->last_ns = packet->arrival_ns;
    return held;
}

/* Takes a packet of audio in place of forward_audio; is_heard: the detector has been fed with it. */
void hold_audio(struct leg *leg, const struct packet *packet, int is_heard)
{
    if (!leg->hold) { /* no memory: nothing of it may go on */
        memset(packet->payload, silence_of(packet->codec), (size_t)packet->length);
        forward_audio(leg, packet);
        return;
    }
    struct held *held = append(leg, packet);
    held->is_audio = 1;
    memcpy(payload_of(leg->hold, held), packet->payload, (size_t)packet->length);
    if (!is_heard)
        silence(leg, held);
    if (has_tone(&leg->tones))
        for (int i = 0; i < leg->hold->count; i++)
            if (slot_at(leg->hold, i)->is_audio)
                silence(leg, slot_at(leg->hold, i));
    send_due(leg, packet->arrival_ns);
    if (leg->hold->count)
        leg_wake_at(leg, packet->arrival_ns + STALL_NS);
}

/* An entry that ended within this packet may have left the end of its last tone in it. */
void hold_silence_tail(const struct leg *leg, const struct packet *packet)
{
    if (has_tone(&leg->tones))
        memset(packet->payload, silence_of(packet->codec), (size_t)packet->length);
}

/* Takes a packet that is not to go on, in its turn: the numbering of what is sent closes up behind it. */
void hold_swallowed(struct leg *leg, const struct packet *packet)
{
    if (!leg->is_holding || !leg->hold) {
        if (leg->peer)
            swallow(leg->peer, packet);
        return;
    }
    append(leg, packet)->length = 0;
    send_due(leg, packet->arrival_ns);
    if (leg->hold->count)
        leg_wake_at(leg, packet->arrival_ns + STALL_NS);
}

/* A stream that stalls, or pauses for silence, does not leave its last words here. */
int64_t hold_tick(struct leg *leg, int64_t now)
{
    if (!leg->hold || !leg->hold->count)
        return NEVER;
    if (now - leg->hold->last_ns < STALL_NS)
        return leg->hold->last_ns + STALL_NS;
    hold_cut(leg);
    flush(leg, now);
    return NEVER;
}
