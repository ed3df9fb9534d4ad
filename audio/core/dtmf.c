/* RFC 4733 events: read as they arrive, passed on, and sent by ourselves. press.c judges the keys. */
#include <errno.h>
#include <string.h>

#include "leg.h"
#include "thread.h"

#define LATEST_NS (60000 * NS_PER_MS)       /* no packet is later; and numbers go round in 11 minutes at 10 ms */
#define GAP_NS (50 * NS_PER_MS)             /* between two events of ours */
#define SEGMENT_TICKS 0xFF00                /* RFC 4733 section 2.5.1.3: a long event goes on under a new timestamp */
#define END_PACKETS 3
#define VOLUME 10

/* The event of a key; -1: there is no such key. */
int digit_code(int digit)
{
    const char *at = digit ? strchr(KEYS, digit) : NULL;
    return at ? (int)(at - KEYS) : -1;
}

/*
 * Whether a packet begins an event. One that any receiver would read as a digit counts as one, however it tells digits apart
 * (ADR 81): a new one begins where the timestamp or the code differs from that of the event which is arriving, and, under the
 * same of both, after that one's end with a marker or with a packet that is no end. An end that comes again with the same
 * duration is no digit, though its sender marks every packet. What is late or double by its number begins nothing.
 */
static int begins_event(const struct digit_in *event, const struct packet *packet, const struct dtmf_packet *taken)
{
    if (!event->has_event || event->ssrc != packet->ssrc || packet->ts != event->ts)
        return 1;
    if ((int16_t)(packet->seq - event->newest) <= 0)
        return 0;
    if (event->code != taken->code)
        return 1;
    int is_again = taken->is_end && event->has_end && taken->duration == event->end_duration;
    return event->has_ended && ((packet->has_marker && !is_again) || (event->has_end && !taken->is_end));
}

/* An end of the event before that has been seen comes again: by its number it may be newer than the event that is arriving. */
static int is_former_end(const struct digit_in *event, const struct packet *packet, const struct dtmf_packet *taken)
{
    return event->has_former && packet->ts == event->former_ts && taken->is_end && !packet->has_marker &&
           taken->duration == event->former_end &&
           (event->former_code == taken->code || event->former_code == NO_KEY);
}

/*
 * Takes an event packet into the event that is arriving; 0: it is none. An earlier timestamp alone does not make it late:
 * that is a clock that has stepped back.
 */
int dtmf_take(struct digit_in *event, const struct packet *packet, struct dtmf_packet *out)
{
    if (packet->length < 4)
        return 0;
    *out = (struct dtmf_packet){.code = packet->payload[0], .is_end = packet->payload[1] >> 7,
                                .duration = (uint32_t)packet->payload[2] << 8 | packet->payload[3]};
    int is_same = event->has_event && event->ssrc == packet->ssrc;
    int is_earlier = (int32_t)(packet->ts - event->ts) < 0 && packet->arrival_ns - event->last_ns <= LATEST_NS;
    int is_passed = (int16_t)(packet->seq - event->newest) <= 0;
    int is_another = packet->ts == event->ts && out->code != event->code && event->code != NO_KEY;
    out->is_late = is_same && ((is_earlier && (is_passed || is_former_end(event, packet, out))) || (is_another && is_passed));
    out->is_key = out->code < 16 && !out->is_late;
    if (!out->is_key)
        return 1;
    if (is_same && !event->has_ended && event->code == out->code && event->duration >= SEGMENT_TICKS &&
        packet->ts == event->ts + event->duration && !packet->has_marker) {
        event->ts = packet->ts;
        event->duration = 0;
    } else if (begins_event(event, packet, out)) {
        out->begins = 1;
        out->former = *event;
        *event = (struct digit_in){.ssrc = packet->ssrc, .ts = packet->ts, .newest = packet->seq, .former_ts = event->ts,
                                   .former_end = event->end_duration, .former_code = event->code,
                                   .has_former = is_same && event->has_end, .has_event = 1, .code = (uint8_t)out->code};
    }
    event->has_end |= (uint8_t)out->is_end;
    event->end_duration = out->is_end ? (uint16_t)out->duration : event->end_duration;
    event->duration = out->duration > event->duration ? out->duration : event->duration;
    event->newest = (int16_t)(packet->seq - event->newest) > 0 ? packet->seq : event->newest;
    event->last_ns = packet->arrival_ns;
    return 1;
}

/* Passes an event packet on as it is. */
void dtmf_pass(struct leg *from, const struct packet *packet, uint32_t duration)
{
    struct leg *to = from->peer;
    if (!to || from->is_muted || to->prompt.audio || digits_are_busy(to))
        return;
    if (!leg_can_hear(to)) {
        to->out.is_switching = 1;
        return;
    }
    if (to->media.send_event_pt < 0) {
        swallow(to, packet);
        return;
    }
    int is_switch = stream_align(to, FROM_BRIDGE, packet->ssrc, packet->seq, packet->ts, packet->arrival_ns);
    send_rtp(to, packet->payload, packet->length, to->media.send_event_pt, packet->has_marker || is_switch,
             output_seq(&to->out, packet->seq), packet->ts + to->out.ts_offset, duration, packet->arrival_ns);
}

/* Queues an event to be sent on a leg; 0 if the leg cannot take it. */
int dtmf_queue(struct leg *leg, int code, uint32_t duration_ticks, int64_t now)
{
    struct digit_out *out = &leg->digits_out;
    if (leg->media.send_event_pt < 0 || out->count == DIGIT_QUEUE)
        return 0;
    int at = (out->head + out->count++) % DIGIT_QUEUE;
    out->queue[at].code = (uint8_t)code;
    out->queue[at].duration_ticks = (uint16_t)(duration_ticks < FRAME_TICKS ? FRAME_TICKS
                                               : duration_ticks > 0xFFFF  ? 0xFFFF
                                                                          : duration_ticks);
    if (out->next_ns < now)
        out->next_ns = now;
    leg_wake_at(leg, out->next_ns);
    return 1;
}

/* Sends to the other side a key of a leg that was kept from it. */
void dtmf_replay(struct leg *from, int code, uint32_t duration_ticks, int64_t now)
{
    if (from->peer && !from->is_muted && from->peer->is_configured)
        dtmf_queue(from->peer, code, duration_ticks, now);
}

/* Sends the next packet of the event that is going out; 0 when the leg cannot be sent to. */
static int send_event(struct leg *leg, int64_t now)
{
    struct digit_out *out = &leg->digits_out;
    int is_first = out->duration == 0;
    uint32_t total = out->queue[out->head].duration_ticks;
    uint8_t *payload = leg->thread->buffer + RTP_HEADER;
    if (!leg_can_hear(leg) || leg->media.send_event_pt < 0)
        return 0;
    if (is_first) {
        leg->out.is_switching = 1;
        stream_align(leg, FROM_DIGITS, 0, 0, 0, now);
        out->ts = leg->out.ts_offset;
    }
    uint16_t seq = is_first ? leg->out.seq_offset : (uint16_t)(leg->out.seq + 1);
    out->duration = out->duration + FRAME_TICKS < total ? out->duration + FRAME_TICKS : total;
    int is_end = out->duration == total;
    payload[0] = out->queue[out->head].code;
    payload[1] = (uint8_t)(is_end ? 0x80 | VOLUME : VOLUME);
    payload[2] = (uint8_t)(out->duration >> 8);
    payload[3] = (uint8_t)out->duration;
    send_rtp(leg, payload, 4, leg->media.send_event_pt, is_first, seq, out->ts, out->duration, now);
    explicit_bzero(payload, 4);
    out->ends_sent += (uint8_t)is_end;
    return 1;
}

/* Sends what is due of our own events; when to call again. */
int64_t dtmf_tick(struct leg *leg, int64_t now)
{
    struct digit_out *out = &leg->digits_out;
    while (out->count > 0 && out->next_ns <= now) {
        if (!out->is_sending) {
            out->is_sending = 1;
            out->ends_sent = 0;
            out->duration = 0;
            out->next_ns = now;
        }
        if (send_event(leg, now) && out->ends_sent < END_PACKETS) {
            out->next_ns += FRAME_NS;
            continue;
        }
        out->queue[out->head].code = 0;
        out->head = (out->head + 1) % DIGIT_QUEUE;
        out->count--;
        out->is_sending = 0;
        out->next_ns = now + GAP_NS;
        leg->out.is_switching = 1;
    }
    return out->count > 0 ? out->next_ns : NEVER;
}
