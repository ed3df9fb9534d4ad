/*
 * Audio of a masked leg waits until the detector has passed it, so that a tone is silenced before any of it goes on
 * (docs/media-core.md, Delay buffer). Bounded, in order of arrival, wiped as it leaves.
 */
#include <errno.h>
#include <string.h>

#include "leg.h"
#include "memory.h"
#include "thread.h"

#define DELAY_SLOTS 16
#define DELAY_BYTES 6144 /* what waits in DELAY_TICKS, the packet that straddles them and the newest, with headers */
#define DELAY_TICKS 320 /* more than the 203 after which a tone has filled one block of the detector whole */
#define HANG_TICKS 480 /* silent after a block with a tone, so that a drop-out does not let its rest go on */
#define STALL_NS (200 * NS_PER_MS)

struct delayed {
    int64_t position; /* of its end, in the detector */
    uint32_t ts, ssrc;
    uint16_t seq, length;
    uint16_t at;      /* of its bytes: room for a header, then its payload */
    uint8_t has_marker, codec, is_audio, is_silenced, is_due;
};

struct delay_buffer {
    int first, count, end; /* end: of the bytes that are taken, in order */
    int64_t last_ns;       /* when the newest came */
    struct delayed slots[DELAY_SLOTS];
    uint8_t bytes[DELAY_BYTES];
};

static struct delayed *slot_at(struct delay_buffer *buffer, int index)
{
    return &buffer->slots[(buffer->first + index) % DELAY_SLOTS];
}

static uint8_t *payload_of(struct delay_buffer *buffer, const struct delayed *delayed)
{
    return buffer->bytes + delayed->at + RTP_HEADER;
}

static uint8_t silence_of(int codec)
{
    return codec == CODEC_PCMU ? 0xFF : codec == CODEC_PCMA ? 0xD5 : 0xFA;
}

static void silence(const struct leg *leg, struct delayed *delayed)
{
    if (!delayed->is_silenced)
        memset(payload_of(leg->delay, delayed), silence_of(delayed->codec), delayed->length);
    delayed->is_silenced = 1;
}

static void wipe_first(struct delay_buffer *buffer)
{
    struct delayed *delayed = slot_at(buffer, 0);
    explicit_bzero(buffer->bytes + delayed->at, (size_t)RTP_HEADER + delayed->length);
    explicit_bzero(delayed, sizeof *delayed);
    buffer->first = (buffer->first + 1) % DELAY_SLOTS;
    buffer->count--;
}

static void send_first(struct leg *leg, int64_t now)
{
    struct delayed *delayed = slot_at(leg->delay, 0);
    struct packet packet = {.payload = payload_of(leg->delay, delayed), .length = delayed->length, .codec = delayed->codec,
                            .has_marker = delayed->has_marker, .seq = delayed->seq, .ts = delayed->ts, .ssrc = delayed->ssrc,
                            .arrival_ns = now};
    if (delayed->is_audio)
        forward_audio(leg, &packet);
    else if (leg->peer)
        swallow(leg->peer, &packet);
    wipe_first(leg->delay);
}

/* Sends what the detector has passed, and what is due for another reason. */
static void send_due(struct leg *leg, int64_t now)
{
    while (leg->delay->count > 0) {
        struct delayed *delayed = slot_at(leg->delay, 0);
        if (delayed->is_audio && !delayed->is_due && leg->tones.position - delayed->position < DELAY_TICKS)
            return;
        send_first(leg, now);
    }
}

/* What is delayed goes on as it is: nothing is withheld any more. */
static void flush(struct leg *leg, int64_t now)
{
    while (leg->delay->count > 0)
        send_first(leg, now);
}

/* What the detector could not decide yet is silenced, since what follows does not join up with it. */
void delay_cut(struct leg *leg)
{
    if (!leg->delay)
        return;
    for (int i = 0; i < leg->delay->count; i++) {
        struct delayed *delayed = slot_at(leg->delay, i);
        if (!delayed->is_audio || leg->tones.position - delayed->position >= DELAY_TICKS)
            continue;
        silence(leg, delayed);
        delayed->is_due = 1;
    }
}

/* What is delayed goes nowhere: its listener has changed. */
void delay_drop(struct leg *leg)
{
    if (!leg->delay || !leg->delay->count)
        return;
    while (leg->delay->count > 0)
        wipe_first(leg->delay);
    if (leg->peer)
        leg->peer->out.is_switching = 1;
}

void delay_free(struct leg *leg)
{
    if (leg->delay)
        memory_free(leg->delay, sizeof *leg->delay);
    leg->delay = NULL;
}

/*
 * The one place that decides whether a leg's audio waits: while it is masked, in a PIN entry, and when one may be near. Begins
 * to delay it, or ends that and sends what waits; -ENOMEM: there is no memory to delay it in.
 */
int delay_update(struct leg *leg, int is_pin_near, int64_t now)
{
    int is_on = leg->hears_tones && (leg->policy == DTMF_MASK || leg->pin.is_on || is_pin_near);
    leg->is_pin_near = (uint8_t)is_pin_near;
    leg->is_delaying = (uint8_t)is_on;
    if (is_on && !leg->delay)
        leg->delay = memory_locked(sizeof *leg->delay, leg->thread->core->lock_memory);
    if (!is_on && leg->delay) {
        flush(leg, now);
        delay_free(leg);
    }
    return is_on && !leg->delay ? -ENOMEM : 0;
}

static int has_tone(const struct tones *tones)
{
    return tones->seen_to && tones->position - tones->seen_to < HANG_TICKS;
}

/* Moves what waits to the front, and leaves nothing of it behind. */
static void close_up(struct delay_buffer *buffer)
{
    int from = buffer->count ? slot_at(buffer, 0)->at : buffer->end;
    memmove(buffer->bytes, buffer->bytes + from, (size_t)(buffer->end - from));
    for (int i = 0; i < buffer->count; i++)
        slot_at(buffer, i)->at = (uint16_t)(slot_at(buffer, i)->at - from);
    explicit_bzero(buffer->bytes + buffer->end - from, (size_t)from);
    buffer->end -= from;
}

/* Makes room; more packets than any codec sends: the oldest cannot wait, so it is silenced. */
static void make_room(struct leg *leg, int need, int64_t now)
{
    struct delay_buffer *buffer = leg->delay;
    if (buffer->end + need > DELAY_BYTES)
        close_up(buffer);
    while (buffer->count == DELAY_SLOTS || buffer->end + need > DELAY_BYTES) {
        struct delayed *oldest = slot_at(buffer, 0);
        if (oldest->is_audio && leg->tones.position - oldest->position < DELAY_TICKS)
            silence(leg, oldest);
        send_first(leg, now);
        close_up(buffer);
    }
}

static struct delayed *append(struct leg *leg, const struct packet *packet)
{
    struct delay_buffer *buffer = leg->delay;
    make_room(leg, RTP_HEADER + packet->length, packet->arrival_ns);
    struct delayed *delayed = slot_at(buffer, buffer->count++);
    delayed->at = (uint16_t)buffer->end;
    buffer->end += RTP_HEADER + packet->length;
    delayed->position = leg->tones.position;
    delayed->ts = packet->ts;
    delayed->ssrc = packet->ssrc;
    delayed->seq = packet->seq;
    delayed->length = (uint16_t)packet->length;
    delayed->has_marker = (uint8_t)packet->has_marker;
    delayed->codec = (uint8_t)packet->codec;
    delayed->is_audio = delayed->is_silenced = delayed->is_due = 0;
    buffer->last_ns = packet->arrival_ns;
    return delayed;
}

/* Takes a packet of audio in place of forward_audio; is_heard: the detector has been fed with it. */
void delay_audio(struct leg *leg, const struct packet *packet, int is_heard)
{
    if (!leg->delay) { /* no memory: nothing of it may go on */
        memset(packet->payload, silence_of(packet->codec), (size_t)packet->length);
        forward_audio(leg, packet);
        return;
    }
    struct delayed *delayed = append(leg, packet);
    delayed->is_audio = 1;
    memcpy(payload_of(leg->delay, delayed), packet->payload, (size_t)packet->length);
    if (!is_heard)
        silence(leg, delayed);
    if (has_tone(&leg->tones))
        for (int i = 0; i < leg->delay->count; i++)
            if (slot_at(leg->delay, i)->is_audio)
                silence(leg, slot_at(leg->delay, i));
    send_due(leg, packet->arrival_ns);
    if (leg->delay->count)
        leg_wake_at(leg, packet->arrival_ns + STALL_NS);
}

/* An entry that ended within this packet may have left the end of its last tone in it. */
void delay_silence_tail(const struct leg *leg, const struct packet *packet)
{
    if (has_tone(&leg->tones))
        memset(packet->payload, silence_of(packet->codec), (size_t)packet->length);
}

/* Takes a packet that is not to go on, in its turn: the numbering of what is sent closes up behind it. */
void delay_swallowed(struct leg *leg, const struct packet *packet)
{
    if (!leg->is_delaying || !leg->delay) {
        if (leg->peer)
            swallow(leg->peer, packet);
        return;
    }
    append(leg, packet)->length = 0;
    send_due(leg, packet->arrival_ns);
    if (leg->delay->count)
        leg_wake_at(leg, packet->arrival_ns + STALL_NS);
}

/* A stream that stalls, or pauses for silence, does not leave its last words here. */
int64_t delay_tick(struct leg *leg, int64_t now)
{
    if (!leg->delay || !leg->delay->count)
        return NEVER;
    if (now - leg->delay->last_ns < STALL_NS)
        return leg->delay->last_ns + STALL_NS;
    delay_cut(leg);
    flush(leg, now);
    return NEVER;
}
