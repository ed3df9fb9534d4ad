/* What comes into a tap, or is taken out of it before it is handed out (docs/media-core.md). */
#include "tap.h"
#include "thread.h"

int64_t tap_here(const struct tap *tap, int64_t at_ns)
{
    int64_t scaled = (at_ns - tap->opened_ns) * 8;
    return scaled >= 0 ? scaled / NS_PER_MS : -((-scaled + NS_PER_MS - 1) / NS_PER_MS); /* towards minus infinity */
}

/* Fetches what the next packet of a channel will be written into, most likely. */
void tap_fetch(const struct tap *tap, int side, int64_t now)
{
    const struct channel *channel = &tap->channels[side];
    int64_t here = tap_here(tap, now);
    if (!channel->arrivals || here < 0)
        return;
    ring_fetch(&channel->ring, channel->next_pos);
    __builtin_prefetch(&channel->arrivals[here / STRETCH % tap->stretches], 1);
}

/* Writes [start, end), which no span closes: below the edge is late, beyond the ring is lost; 0: nothing was new. */
static int write_open(struct tap *tap, struct channel *channel, const struct packet *packet, int64_t position, int64_t start,
                      int64_t end)
{
    if (start < channel->edge) {
        int64_t late = (end < channel->edge ? end : channel->edge) - start;
        tap->thread->counters.late_ticks += late;
        start += late;
    }
    if (end > channel->edge + channel->ring.ticks)
        tap_memory_grow(tap, end - channel->edge);
    int64_t limit = channel->edge + channel->ring.ticks;
    if (end > limit) {
        int64_t lost = start > limit ? start : limit;
        if (channel->lost_start == channel->lost_end) {
            channel->lost_start = lost;
            channel->lost_end = end;
        }
        channel->lost_start = lost < channel->lost_start ? lost : channel->lost_start;
        channel->lost_end = end > channel->lost_end ? end : channel->lost_end;
        tap->thread->counters.lost_ticks += end - lost;
        end = limit;
    }
    return start < end && ring_put(&channel->ring, start, packet->payload + (start - position), end - start, packet->codec);
}

static int write_payload(struct tap *tap, struct channel *channel, const struct packet *packet, int64_t position)
{
    int is_fresh = 0;
    int64_t at = position > channel->blocked_until ? position : channel->blocked_until;
    int64_t end = position + packet->length;
    for (int i = 0; i < channel->spans.count && at < end; i++) {
        int64_t closed = channel->spans.list[i].start, opened = channel->spans.list[i].end;
        if (opened <= at)
            continue;
        if (closed >= end)
            break;
        if (at < closed)
            is_fresh |= write_open(tap, channel, packet, position, at, closed);
        at = opened;
    }
    if (at < end)
        is_fresh |= write_open(tap, channel, packet, position, at, end);
    return is_fresh;
}

/* Counts a packet that may be kept, and by its number those that are missing before it; what is shut counts for nothing. */
static void count_packet(struct channel *channel, const struct packet *packet, int is_new_epoch, int is_closed)
{
    int was_counting = channel->is_counting && !is_new_epoch;
    channel->is_counting = !is_closed;
    if (is_closed)
        return;
    int step = was_counting ? (int16_t)(packet->seq - channel->counted_seq) : 1;
    if (step == 0) /* it came twice */
        return;
    channel->packets++;
    if (step > 0) {
        channel->packets_lost += step - 1;
        channel->counted_seq = packet->seq;
    } else if (channel->packets_lost > 0) { /* it was only late */
        channel->packets_lost--;
    }
}

/* Takes an audio packet of a side; 1 and its position, or 0 when the time line drops it. */
int tap_receive(struct tap *tap, int side, const struct packet *packet, int64_t *position)
{
    struct channel *channel = &tap->channels[side];
    int64_t here = tap_here(tap, packet->arrival_ns);
    int was_running = channel->has_epoch;
    int64_t env = envelope(channel, here);
    struct placement placed;
    if (!timeline_place(channel, packet, here, &placed)) {
        tap->thread->counters.late_ticks += placed.is_passed ? packet->length : 0;
        return 0;
    }
    *position = placed.position;
    count_packet(channel, packet, placed.is_new_epoch, tap->is_closed);
    gate_placed(tap, channel, &placed, *position + packet->length, env, here);
    if (placed.is_new_epoch && was_running)
        report(tap->thread->core, (struct event){.kind = EVENT_REANCHORED, .id = tap->id, .a = side, .b = *position});
    if (*position >= 0) { /* an anchor's position is unsigned; what precedes the opening holds no audio either */
        struct anchor anchor = {*position, packet->arrival_ns - tap->opened_ns, *position - here, packet->ts, packet->codec};
        anchor_note(channel, &anchor, here);
    }
    if (!tap->is_closed && write_payload(tap, channel, packet, *position))
        gate_arrived(tap, channel, here, *position, *position + packet->length);
    return 1;
}

/* Silences an RFC 4733 event, 200 ms either side, on both channels, if it may not be kept of this side. */
void tap_mask_event(struct tap *tap, int side, int is_secret, const struct packet *packet, uint32_t duration)
{
    struct channel *channel = &tap->channels[side];
    if (!is_secret && !tap->masks_digits[side])
        return;
    int64_t here = tap_here(tap, packet->arrival_ns), position;
    int is_placed = timeline_expect(channel, packet->ssrc, packet->ts, here, &position);
    int64_t start = is_placed ? position - envelope(channel, here) : here;
    gate_mask_span(tap, start - DIGIT_MARGIN_TICKS, start + duration + DIGIT_MARGIN_TICKS, is_placed, here);
}

/* The same for a tone at positions [from, to) of the side's channel. */
void tap_mask_tone(struct tap *tap, int side, int is_secret, int64_t from, int64_t to, int64_t arrival_ns)
{
    if (!is_secret && !tap->masks_digits[side])
        return;
    int64_t here = tap_here(tap, arrival_ns), env = envelope(&tap->channels[side], here);
    gate_mask_span(tap, from - env - DIGIT_MARGIN_TICKS, to - env + DIGIT_MARGIN_TICKS, 1, here);
}

/* Forgets what a side has brought since then. */
void tap_forget(struct tap *tap, int side, int64_t from_ns, int64_t now)
{
    gate_forget(tap, &tap->channels[side], tap_here(tap, from_ns), tap_here(tap, now));
}
