/* What we send: one RTP stream per leg, numbered on across every change of source (docs/media-core.md, Forwarding). */
#include <errno.h>

#include "leg.h"
#include "media_uring.h"
#include "thread.h"
#include "wire.h"

#define HOLE_LIFE 1024 /* packets after which nothing older can come late any more */
#define LATEST_SENT 128 /* packets; what comes later is refused by SRTP on both sides */

/* The peer may be sent to now. */
int leg_can_hear(const struct leg *leg)
{
    return leg->is_configured && leg->media.sends && leg->rtp.length;
}

int digits_are_busy(const struct leg *leg)
{
    return leg->digits_out.is_sending || leg->digits_out.count > 0;
}

/*
 * Under SRTP no number goes out twice, so a source that begins anew with lower numbers and its old SSRC would be silent until
 * they have caught up: two packets that follow each other there are a new beginning (RFC 3550 appendix A.1).
 */
static int is_restart(struct sender *out, uint16_t seq)
{
    int is_behind = (int16_t)(seq - out->input_seq) < -LATEST_SENT;
    int is_second = is_behind && out->has_restart && out->restart_seq == seq;
    out->has_restart = (uint8_t)(is_behind && !is_second);
    out->restart_seq = (uint16_t)(seq + 1);
    return is_second;
}

/*
 * Makes the sender follow this source, whose next packet has seq and ts. At a switch the sequence goes on by one and
 * time by the wall clock, but never into the audio sent last. Returns 1 at a switch: the marker is due.
 */
int stream_align(struct leg *to, enum stream_source source, uint32_t ssrc, uint16_t seq, uint32_t ts, int64_t now)
{
    struct sender *out = &to->out;
    int goes_on = !out->is_switching && out->source == source && out->source_ssrc == ssrc;
    if (goes_on && !(to->srtp && source == FROM_BRIDGE && is_restart(out, seq)))
        return 0;
    uint16_t next_seq = out->seq;
    uint32_t next_ts = out->ts;
    if (out->has_sent) {
        int64_t elapsed = (now - out->sent_ns) * 8 / NS_PER_MS;
        next_seq++;
        next_ts += elapsed > (int64_t)out->span_ticks ? (uint32_t)elapsed : out->span_ticks;
    }
    out->seq_offset = (uint16_t)(next_seq - seq);
    out->ts_offset = next_ts - ts;
    out->source = (uint8_t)source;
    out->source_ssrc = ssrc;
    out->is_switching = out->has_hole = 0;
    out->input_seq = (uint16_t)(seq - 1);
    return 1;
}

static void note_newest(struct sender *out, uint16_t seq, uint32_t ts, uint32_t span_ticks, int64_t now)
{
    if (out->has_sent && (int16_t)(seq - out->seq) <= 0)
        return;
    if (!out->has_sent || ts != out->ts) /* packets of one event share their timestamp, which is its beginning */
        out->sent_ns = now;
    out->has_sent = 1;
    out->seq = seq;
    out->ts = ts;
    out->span_ticks = span_ticks;
}

static void count_sent(struct leg *leg, int length)
{
    leg->out.packets++;
    leg->out.octets += length;
    leg->thread->counters.sent++;
}

/* 1 if the kernel took it. */
static int send_now(const struct leg *leg, const uint8_t *data, int length)
{
    uring_catch_up(leg);
    return sendto(leg->rtp_fd, data, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL, &leg->rtp.at.any, leg->rtp.length) >= 0;
}

/*
 * Sends payload with our header, written into the RTP_HEADER bytes before it; 1 if the kernel took it, or will with what is
 * queued: what it does not take then is counted as it is told.
 */
int send_rtp(struct leg *leg, uint8_t *payload, int length, int payload_type, int has_marker, uint16_t seq, uint32_t ts,
             uint32_t span_ticks, int64_t now)
{
    struct sender *out = &leg->out;
    uint8_t *data = payload - RTP_HEADER;
    data[0] = 0x80;
    data[1] = (uint8_t)(payload_type | (has_marker ? 0x80 : 0));
    data[2] = (uint8_t)(seq >> 8);
    data[3] = (uint8_t)seq;
    put_u32(data + 4, ts);
    put_u32(data + 8, out->ssrc);
    note_newest(out, seq, ts, span_ticks, now);
    int bytes = RTP_HEADER + length;
    int is_queued = uring_may_send(leg, data);
    if (leg->srtp) {
        uint8_t *sealed = is_queued ? leg->thread->uring->sealed[leg->thread->uring->queued] : leg->thread->sealed;
        bytes = srtp_protect(leg, data, bytes, sealed);
        data = sealed;
    }
    if (bytes && is_queued)
        uring_send(leg, data, bytes);
    if (!bytes || (!is_queued && !send_now(leg, data, bytes))) {
        leg->thread->counters.send_errors++;
        out->is_through = 0;
        return 0;
    }
    out->is_through = 1;
    count_sent(leg, length);
    return 1;
}

/* The number under which an input packet goes on; one from before the last swallowed run keeps the older offset. */
uint16_t output_seq(struct sender *out, uint16_t seq)
{
    uint16_t offset = out->seq_offset;
    if (out->has_hole && (int16_t)(seq - out->hole_from) > HOLE_LIFE)
        out->has_hole = 0;
    if (out->has_hole && (int16_t)(seq - out->hole_from) < 0)
        offset = out->hole_offset;
    if ((int16_t)(seq - out->input_seq) > 0)
        out->input_seq = seq;
    return (uint16_t)(seq + offset);
}

/* Leaves a packet out of what goes to a leg so that the far side sees no loss. */
void swallow(struct leg *to, const struct packet *packet)
{
    struct sender *out = &to->out;
    if (out->is_switching || out->source != FROM_BRIDGE || out->source_ssrc != packet->ssrc)
        return; /* the next packet of this source is a switch, which counts anew */
    if ((int16_t)(packet->seq - out->input_seq) <= 0)
        return; /* late: its place has passed as a loss */
    if (!out->has_hole || packet->seq != (uint16_t)(out->hole_to + 1)) {
        out->hole_from = packet->seq;
        out->hole_offset = out->seq_offset;
        out->has_hole = 1;
    }
    out->hole_to = out->input_seq = packet->seq;
    out->seq_offset--;
}

/*
 * The payload type under which a packet goes to a leg: that of the leg's first format where the rates are the same, as
 * laws are converted; else that of its own codec, if the leg takes it. -1: the leg cannot hear it.
 */
static int payload_type_to(const struct leg *to, const struct packet *packet)
{
    if (same_rate(packet->codec, to->media.first.codec))
        return to->media.first.send_pt;
    for (int i = 0; i < MORE_FORMATS; i++)
        if (to->media.more[i].receive_pt >= 0 && to->media.more[i].codec == packet->codec)
            return to->media.more[i].send_pt;
    return -1;
}

void forward_audio(struct leg *from, const struct packet *packet)
{
    struct leg *to = from->peer;
    if (!to || from->is_muted || to->prompt.audio || digits_are_busy(to))
        return; /* what comes after is a switch */
    int payload_type = leg_can_hear(to) ? payload_type_to(to, packet) : -1;
    if (payload_type < 0) {
        to->out.is_switching = 1;
        return;
    }
    int is_switch = stream_align(to, FROM_BRIDGE, packet->ssrc, packet->seq, packet->ts, packet->arrival_ns);
    if (packet->codec != to->media.first.codec && same_rate(packet->codec, to->media.first.codec)) {
        const uint8_t *other = g711_other[packet->codec == CODEC_PCMA];
        for (int i = 0; i < packet->length; i++)
            packet->payload[i] = other[packet->payload[i]];
    }
    send_rtp(to, packet->payload, packet->length, payload_type, packet->has_marker || is_switch,
             output_seq(&to->out, packet->seq), packet->ts + to->out.ts_offset, (uint32_t)packet->length,
             packet->arrival_ns);
}

/* The kernel has sent it as forward_audio would have; a moment ago, so that another source may have begun since. */
void forward_relayed(struct leg *from, const struct packet *packet)
{
    struct leg *to = from->peer;
    if (!to)
        return;
    struct sender *out = &to->out;
    if (!out->is_switching && out->source == FROM_BRIDGE && out->source_ssrc == packet->ssrc)
        note_newest(out, output_seq(out, packet->seq), packet->ts + out->ts_offset, (uint32_t)packet->length,
                    packet->arrival_ns);
    count_sent(to, packet->length);
}
