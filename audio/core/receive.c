/* A packet that has come at a leg: whether it counts, and where it goes (docs/media-core.md). */
#include "kernel.h"
#include "leg.h"
#include "tap.h"
#include "thread.h"
#include "wire.h"

#define MAX_DROPOUT 3000 /* RFC 3550 appendix A.1: a larger step is a restart, not loss */

/* Packets missing so far (RFC 3550 appendix A.3), restarts of the sender added up; never negative. */
int64_t packets_lost(const struct receiver *in)
{
    int64_t expected = in->has_stream ? (int64_t)in->cycles + in->max_seq - in->base_seq + 1 : 0;
    int64_t lost = expected - in->stream_received;
    return in->lost_before + (lost > 0 ? lost : 0);
}

static void note_sequence(struct receiver *in, const struct packet *packet)
{
    uint32_t transit = (uint32_t)(packet->arrival_ns * 8 / NS_PER_MS) - packet->ts;
    int16_t step = (int16_t)(packet->seq - in->max_seq);
    if (!in->has_stream || in->ssrc != packet->ssrc || step > MAX_DROPOUT || step < -MAX_MISORDER) {
        in->lost_before = packets_lost(in);
        in->has_stream = 1;
        in->ssrc = packet->ssrc;
        in->base_seq = in->max_seq = packet->seq;
        in->cycles = 0;
        in->stream_received = in->prior_expected = in->prior_received = 0;
    } else {
        if (step > 0) {
            in->cycles += packet->seq < in->max_seq ? 0x10000 : 0;
            in->max_seq = packet->seq;
        }
        uint32_t change = transit - in->transit;
        change = (int32_t)change < 0 ? 0u - change : change;
        in->jitter += change - ((in->jitter + 8) >> 4);
    }
    in->transit = transit;
    in->stream_received++;
    in->received++;
}

/* RFC 3550 section 5.1; 0 when the packet is not what its header says. */
static int parse(uint8_t *data, int length, int64_t arrival_ns, struct packet *out)
{
    if (length < RTP_HEADER || data[0] >> 6 != 2)
        return 0;
    int start = RTP_HEADER + 4 * (data[0] & 15);
    if (data[0] & 0x10) {
        if (length < start + 4)
            return 0;
        start += 4 + 4 * (data[start + 2] << 8 | data[start + 3]);
    }
    int padding = data[0] & 0x20 ? data[length - 1] : 0;
    if (start + padding > length || (data[0] & 0x20 && padding == 0))
        return 0;
    out->payload = data + start;
    out->length = length - start - padding;
    out->has_marker = data[1] >> 7;
    out->payload_type = data[1] & 0x7F;
    out->seq = (uint16_t)(data[2] << 8 | data[3]);
    out->ts = get_u32(data + 4);
    out->ssrc = get_u32(data + 8);
    out->arrival_ns = arrival_ns;
    return 1;
}

static void receive_audio(struct leg *leg, const struct packet *packet)
{
    int64_t position = 0;
    int is_placed = leg->tap && !packet->is_beside && tap_receive(leg->tap, leg->channel, packet, &position);
    int was_delaying = leg->is_delaying, is_heard = leg->hears_tones && press_audio(leg, packet, is_placed, position);
    if (packet->is_relayed) {
        forward_relayed(leg, packet);
        return;
    }
    if (packet->is_unproven) {
        if (leg->peer)
            leg->peer->out.is_switching = 1;
        return;
    }
    if (leg->is_delaying) {
        delay_audio(leg, packet, is_heard);
        return;
    }
    if (was_delaying)
        delay_silence_tail(leg, packet);
    forward_audio(leg, packet); /* last: it writes over the packet */
}

/* Silence of a peer that was not asked to leave it out: no audio, but the peer is there (RFC 3389). */
static int is_comfort_noise(const struct leg *leg, const uint8_t *data, int length)
{
    return leg->is_configured && leg->media.receives && length >= RTP_HEADER && data[0] >> 6 == 2 &&
           ((data[1] & 0x7F) == 13 || (data[1] & 0x7F) == 19);
}

/* One packet, from a socket or injected; data is the thread's buffer. 0: it counted for nothing. */
int receive_rtp(struct leg *leg, uint8_t *data, int length, int64_t arrival_ns, enum origin origin, int is_relayed)
{
    struct packet packet;
    int is_event = 0, is_good;
    if (leg->srtp)
        length = srtp_unprotect(leg, data, length, 0, arrival_ns);
    is_good = leg->is_configured && leg->media.receives && parse(data, length, arrival_ns, &packet);
    if (is_good) {
        is_event = packet.payload_type == leg->media.receive_event_pt;
        is_good = is_event || (packet.codec = leg_codec_of(leg, packet.payload_type)) >= 0;
    }
    if (origin == ORIGIN_MOVED) {
        if (is_good && !is_event && packet.length > 0)
            origin = source_moved(leg, arrival_ns);
        else
            source_stayed(leg, arrival_ns);
        is_good = origin != ORIGIN_MOVED;
    }
    if (origin == ORIGIN_SIGNALLED && (is_good || is_comfort_noise(leg, data, length)))
        source_spoke(leg, arrival_ns, is_good && !is_event && packet.length > 0);
    if (!is_good || (is_event && origin == ORIGIN_UNPROVEN)) { /* nobody's keys count who may be a stranger */
        leg->dropped++;
        leg->thread->counters.dropped++;
        return 0;
    }
    packet.is_relayed = is_relayed;
    packet.is_unproven = origin == ORIGIN_UNPROVEN;
    packet.has_returned = packet.is_beside = 0;
    if (!is_event && packet.length > 0 && stream_is_left_out(&leg->streams, &packet)) {
        kernel_leave_alone(leg, arrival_ns);
        leg->dropped++;
        leg->thread->counters.dropped++;
        return 0;
    }
    leg->thread->counters.received++;
    leg->thread->counters.relayed += is_relayed;
    leg->last_arrival_ns = arrival_ns;
    if (leg->has_stopped) {
        leg->has_stopped = 0;
        report(leg->thread->core, (struct event){.kind = EVENT_RESUMED, .id = leg->id});
    }
    note_sequence(&leg->in, &packet);
    if (!is_event) {
        leg->heard_codec = packet.codec;
        leg->heard_pt = packet.payload_type;
        if (packet.seq == leg->in.max_seq) {
            leg->in.newest_ts = packet.ts;
            leg->in.newest_ns = arrival_ns;
        }
    }
    if (is_event)
        press_event(leg, &packet);
    else if (packet.length > 0)
        receive_audio(leg, &packet);
    else
        delay_swallowed(leg, &packet); /* a keep-alive */
    return 1;
}
