/* Our own RTCP: a report every 5 s, and what peers report to us (RFC 3550 section 6). Nothing of it is forwarded. */
#include <string.h>
#include <time.h>

#include "leg.h"
#include "thread.h"
#include "wire.h"

#define SR 200
#define RR 201
#define SDES 202
#define REPORT_BYTES 24
#define EVERY_NS (5000 * NS_PER_MS)
#define NTP_EPOCH 2208988800ULL /* seconds from 1900 to 1970 */

static uint8_t *put_head(uint8_t *at, int count, int kind, size_t bytes)
{
    at[0] = (uint8_t)(0x80 | count);
    at[1] = (uint8_t)kind;
    at[2] = (uint8_t)((bytes / 4 - 1) >> 8);
    at[3] = (uint8_t)(bytes / 4 - 1);
    return at + 4;
}

/* Tells whether every length and count of a compound datagram fits; nothing counts otherwise. */
static int is_sound(const uint8_t *data, int length)
{
    if (length < 8)
        return 0;
    for (int at = 0; at < length;) {
        if (length - at < 8 || data[at] >> 6 != 2)
            return 0;
        int bytes = 4 + 4 * (data[at + 2] << 8 | data[at + 3]), count = data[at] & 31, kind = data[at + 1];
        int need = kind == SR ? 28 + count * REPORT_BYTES : kind == RR ? 8 + count * REPORT_BYTES : 8;
        if (bytes > length - at || bytes < need)
            return 0;
        at += bytes;
    }
    return 1;
}

static void take_reports(struct leg *leg, const uint8_t *block, int count)
{
    for (int i = 0; i < count; i++, block += REPORT_BYTES) {
        if (get_u32(block) != leg->out.ssrc)
            continue;
        int32_t lost = (int32_t)(get_u32(block + 4) << 8) >> 8; /* 24 bits, signed; duplicates make it negative */
        leg->remote_lost = lost > 0 ? lost : 0;
    }
}

void receive_rtcp(struct leg *leg, uint8_t *data, int length, int64_t arrival_ns)
{
    if (leg->srtp && (length = srtp_unprotect(leg, data, length, 1, arrival_ns)) == 0)
        return;
    if (!is_sound(data, length)) {
        leg->thread->counters.rtcp_malformed++;
        return;
    }
    leg->thread->counters.rtcp_received++;
    for (int at = 0; at < length; at += 4 + 4 * (data[at + 2] << 8 | data[at + 3])) {
        int count = data[at] & 31;
        if (data[at + 1] == SR) {
            leg->in.last_sr = get_u32(data + at + 8) << 16 | get_u32(data + at + 12) >> 16;
            leg->in.last_sr_ns = arrival_ns;
            take_reports(leg, data + at + 28, count);
        } else if (data[at + 1] == RR) {
            take_reports(leg, data + at + 8, count);
        }
    }
}

/* What we say of the stream that arrives (RFC 3550 section 6.4.1 and appendix A.3). */
static uint8_t *put_report(struct leg *leg, uint8_t *at, int64_t now)
{
    struct receiver *in = &leg->in;
    int64_t expected = (int64_t)in->cycles + in->max_seq - in->base_seq + 1;
    int64_t expected_now = expected - in->prior_expected, lost_now = expected_now - (in->stream_received - in->prior_received);
    uint32_t fraction = expected_now > 0 && lost_now > 0 ? (uint32_t)((lost_now << 8) / expected_now) : 0;
    int64_t lost = expected - in->stream_received;
    lost = lost > 0x7FFFFF ? 0x7FFFFF : lost < -0x800000 ? -0x800000 : lost;
    in->prior_expected = expected;
    in->prior_received = in->stream_received;
    at = put_u32(at, in->ssrc);
    at = put_u32(at, (fraction > 255 ? 255 : fraction) << 24 | ((uint32_t)lost & 0xFFFFFF));
    at = put_u32(at, in->cycles + in->max_seq);
    at = put_u32(at, in->jitter >> 4);
    at = put_u32(at, in->last_sr_ns ? in->last_sr : 0);
    return put_u32(at, in->last_sr_ns ? (uint32_t)((now - in->last_sr_ns) / 1000 * 65536 / 1000000) : 0);
}

static uint8_t *put_sender(struct leg *leg, uint8_t *at, int64_t now)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    at = put_u32(at, (uint32_t)((uint64_t)wall.tv_sec + NTP_EPOCH));
    at = put_u32(at, (uint32_t)(((uint64_t)wall.tv_nsec << 32) / 1000000000ULL));
    at = put_u32(at, leg->out.ts + (uint32_t)((now - leg->out.sent_ns) * 8 / NS_PER_MS));
    at = put_u32(at, (uint32_t)leg->out.packets);
    return put_u32(at, (uint32_t)leg->out.octets);
}

/* SR if anything went out since the last report, else RR; with SDES CNAME (RFC 3550 section 6.1). */
void send_rtcp(struct leg *leg, int64_t now)
{
    uint8_t data[128], sealed[sizeof data + SRTP_EXTRA], *at = data;
    leg->rtcp_next_ns = now + EVERY_NS;
    if (!leg->rtcp.length || !leg->is_configured || (!leg->in.has_stream && !leg->out.has_sent))
        return;
    int is_sender = leg->out.packets != leg->rtcp_packets, reports = leg->in.has_stream;
    leg->rtcp_packets = leg->out.packets;
    at = put_head(at, reports, is_sender ? SR : RR, (size_t)(8 + 20 * is_sender + REPORT_BYTES * reports));
    at = put_u32(at, leg->out.ssrc);
    if (is_sender)
        at = put_sender(leg, at, now);
    if (reports)
        at = put_report(leg, at, now);
    size_t name = sizeof leg->cname - 1, item = (name + 2) / 4 * 4 + 4; /* ends with one to four zeros */
    at = put_head(at, 1, SDES, 8 + item);
    at = put_u32(at, leg->out.ssrc);
    memset(at, 0, item);
    at[0] = 1;
    at[1] = (uint8_t)name;
    memcpy(at + 2, leg->cname, name);
    at += item;
    int length = leg->srtp ? srtp_protect_rtcp(leg, data, (int)(at - data), sealed) : (int)(at - data);
    if (length)
        sendto(leg->rtcp_fd, leg->srtp ? sealed : data, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL, &leg->rtcp.at.any,
               leg->rtcp.length);
}
