/* RFC 4733: events that arrive under the leg's policy, control sequences, replay, and events of our own making. */
#include <errno.h>
#include <string.h>

#include "state.h"

#define STAR 10
#define EVENT_LOST_END_NS (400 * NS_PER_MS) /* every end packet of an event was lost */
#define LATEST_NS (60000 * NS_PER_MS)       /* no packet is later; and numbers go round in 11 minutes at 10 ms */
#define GAP_NS (50 * NS_PER_MS)             /* between two events of ours */
#define SEGMENT_TICKS 0xFF00                /* RFC 4733 section 2.5.1.3: a long event goes on under a new timestamp */
#define END_PACKETS 3
#define VOLUME 10

/* Queues an event to be sent on a leg; 0 if the leg cannot take it. */
static int queue_digit(struct leg *leg, int code, uint32_t duration_ticks, int64_t now)
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

static void replay(struct leg *from, int code, uint32_t duration_ticks, int64_t now)
{
    if (from->peer && !from->is_muted && from->peer->is_configured)
        queue_digit(from->peer, code, duration_ticks, now);
}

static void report_digit(struct leg *leg, int code, int64_t now)
{
    int named = leg->policy == DTMF_MASK ? 0 : KEYS[code];
    report_at(leg, EVENT_DIGIT, named, SOURCE_RFC4733, 0, now);
}

/* The star waited in vain, or its leg's rule changed: it goes on after all. */
void star_release(struct leg *leg, int64_t now)
{
    if (!leg->star.is_held)
        return;
    leg->star.is_held = 0;
    replay(leg, STAR, leg->star.duration, now);
    report_digit(leg, STAR, now);
}

/* A digit of a HOLD_STAR leg is over: what was kept back is decided (audio/dtmf.py has the table). */
static void decide(struct leg *leg, int code, int64_t now)
{
    struct digit_in *event = &leg->event;
    int has_star = leg->star.is_held;
    if (pin_take(leg, code, SOURCE_RFC4733, now))
        return;
    if (has_star && leg->control >> code & 1) {
        leg->star.is_held = 0;
        report_at(leg, EVENT_CONTROL, KEYS[code], SOURCE_RFC4733, 0, now);
        return;
    }
    if (has_star && leg->pin_prefixes >> code & 1) {
        leg->star.is_held = 0;
        pin_begin(leg, code, now);
        return;
    }
    star_release(leg, now);
    if (code == STAR && event->is_held) {
        leg->star.is_held = 1;
        leg->star.duration = event->duration;
        leg->star.until_ns = now + STAR_WAIT_NS;
        leg_wake_at(leg, leg->star.until_ns);
        return;
    }
    if (event->is_held)
        replay(leg, code, event->duration, now);
    report_digit(leg, code, now);
}

static void finish(struct leg *leg, int64_t now)
{
    int code = leg->event.code;
    leg->event.has_ended = 1;
    leg->event.code = 0; /* over, and its identity is its timestamp: the key itself is kept no longer */
    if (!leg->pin.is_on)
        leg->digits++;
    if (leg->policy == DTMF_HOLD_STAR)
        decide(leg, code, now);
    else
        report_digit(leg, code, now);
    leg->is_pin_near = 0;
    delay_update(leg, now);
}

static void pass_event(struct leg *from, const struct packet *packet, uint32_t duration)
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

static int is_kept_back(const struct leg *leg, int code)
{
    if (leg->policy != DTMF_HOLD_STAR)
        return leg->policy != DTMF_PASS;
    return code == STAR || leg->star.is_held || leg->pin.is_on || (leg->peer && digits_are_busy(leg->peer));
}

static void begin(struct leg *leg, const struct packet *packet, int code)
{
    struct digit_in *event = &leg->event;
    if (event->has_event && !event->has_ended)
        finish(leg, packet->arrival_ns);
    uint8_t has_former = event->has_event && event->ssrc == packet->ssrc;
    *event = (struct digit_in){.ssrc = packet->ssrc, .ts = packet->ts, .newest = packet->seq, .former_ts = event->ts,
                               .has_former = has_former, .has_event = 1, .code = (uint8_t)code};
    event->is_held = (uint8_t)is_kept_back(leg, code);
    press_begin(&leg->keyed, code, packet->arrival_ns);
    if (leg->policy == DTMF_HOLD_STAR && leg->star.is_held && leg->pin_prefixes >> code & 1) {
        leg->is_pin_near = 1; /* tones that come beside the next events must find the audio delayed already */
        delay_update(leg, packet->arrival_ns);
    }
}

/* It belongs to an event before the current one: an earlier timestamp alone is a clock that has stepped back. */
static int is_of_former(const struct digit_in *event, const struct packet *packet)
{
    if ((int32_t)(packet->ts - event->ts) >= 0 || packet->arrival_ns - event->last_ns > LATEST_NS)
        return 0;
    return (int16_t)(packet->seq - event->newest) <= 0 || (event->has_former && packet->ts == event->former_ts);
}

void receive_event(struct leg *leg, const struct packet *packet)
{
    struct digit_in *event = &leg->event;
    if (packet->length < 4) {
        leg->dropped++;
        delay_swallowed(leg, packet);
        return;
    }
    int code = packet->payload[0], is_end = packet->payload[1] >> 7;
    uint32_t duration = (uint32_t)packet->payload[2] << 8 | packet->payload[3];
    int is_key = code < 16, is_held = leg->policy != DTMF_PASS;
    int is_same = event->has_event && event->ssrc == packet->ssrc;
    int is_old = is_same && is_of_former(event, packet);
    if (is_key && !is_old) {
        int goes_on = is_same && !event->has_ended && event->code == code && event->duration >= SEGMENT_TICKS &&
                      packet->ts == event->ts + event->duration;
        if (goes_on) {
            event->ts = packet->ts;
            event->duration = 0;
        } else if (!is_same || packet->ts != event->ts) {
            begin(leg, packet, code);
        }
        event->duration = duration > event->duration ? duration : event->duration;
        event->newest = (int16_t)(packet->seq - event->newest) > 0 ? packet->seq : event->newest;
        event->last_ns = packet->arrival_ns;
        if (!event->has_ended)
            press_now(&leg->keyed)->to_ns = packet->arrival_ns;
        is_held = event->is_held;
    }
    tap_mask_event(leg, packet, duration); /* after the prefix of an entry, whose ends may all be lost, is known to be over */
    if (is_held || is_old) {
        delay_swallowed(leg, packet);
    } else {
        pass_event(leg, packet, duration);
    }
    if (!is_key || is_old || event->has_ended)
        return;
    if (is_end)
        finish(leg, packet->arrival_ns);
    else
        leg_wake_at(leg, packet->arrival_ns + EVENT_LOST_END_NS);
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

static int64_t send_due(struct leg *leg, int64_t now)
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

/* What is due on a leg, as a receiver and as a sender of digits; when to call again. */
int64_t digits_tick(struct leg *leg, int64_t now)
{
    int64_t next = NEVER;
    int is_pressed = leg->event.has_event && !leg->event.has_ended;
    if (is_pressed && now - leg->event.last_ns >= EVENT_LOST_END_NS) {
        finish(leg, now);
        is_pressed = 0;
    }
    if (is_pressed)
        next = leg->event.last_ns + EVENT_LOST_END_NS;
    if (leg->star.is_held && now >= leg->star.until_ns && !is_pressed)
        star_release(leg, now);
    if (leg->star.is_held && !is_pressed)
        next = leg->star.until_ns;
    int64_t others[] = {pin_tick(leg, is_pressed, now), send_due(leg, now), delay_tick(leg, now)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        next = others[i] < next ? others[i] : next;
    return next;
}

int core_dtmf_policy(struct core *core, int64_t id, int policy, unsigned control, unsigned secret)
{
    if (policy < DTMF_PASS || policy > DTMF_MASK || control > 0xFFFF || secret > 0xFFFF || control & secret)
        return -EINVAL;
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    int64_t now = core_now(leg->thread->core);
    pin_end(leg, 0, SOURCE_RFC4733, now);
    if (policy != DTMF_HOLD_STAR)
        star_release(leg, now);
    leg->policy = (uint8_t)policy;
    leg->control = (uint16_t)control;
    leg->pin_prefixes = (uint16_t)secret;
    leg->sounded_star_ns = NEVER;
    leg->is_pin_near = 0;
    delay_update(leg, now);
    error = leg->is_delaying && !leg->delay ? -ENOMEM : 0;
    thread_unlock(leg->thread);
    return error;
}

int core_send_dtmf(struct core *core, int64_t id, int digit, int duration_ms)
{
    int code = digit_code(digit);
    if (code < 0 || duration_ms < 40 || duration_ms > 8000)
        return -EINVAL;
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    error = leg->is_configured && queue_digit(leg, code, (uint32_t)duration_ms * 8, core_now(core)) ? 0 : -EINVAL;
    thread_unlock(leg->thread);
    return error;
}
