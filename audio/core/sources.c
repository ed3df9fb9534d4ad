/*
 * Which of the sources that send to a leg is heard (docs/media-core.md, Sources; ADR 34).
 *
 * The signalled address comes first. Another one is heard ("latched") only while nothing comes from there, and only if it
 * may be the peer and sends what was negotiated. A peer of a leg with a remote whose NAT gives it another port is followed
 * there by its stream (ADR 82). Call with the thread's lock.
 */
#include <string.h>

#include "leg.h"
#include "tap.h"
#include "thread.h"
#include "wire.h"

#define UNHEARD_NS (200 * NS_PER_MS)      /* of silence at the signalled address before another source is relayed */
#define QUIET_NS (1000 * NS_PER_MS)       /* of silence of the source that is heard before another takes its place */
#define RIVAL_QUIET_NS (5000 * NS_PER_MS) /* the same for a rival: it is somebody else's, most likely */
#define RIVAL_PACKETS 2 /* of the source that is heard after another's first: one that came late proves nothing */
#define MOVED_NS (500 * NS_PER_MS) /* of silence of the source that is heard before its stream may go on from another port */
#define MOVED_TICKS 8000          /* by which the timestamp may be ahead of the time that has passed since */
#define MOVED_PACKETS 50          /* and the number, beside one for each 5 ms that have passed */
#define LATE_NS (5000 * NS_PER_MS) /* after which nothing comes late from the signalled port that was left */
#define REPORT_NS (10000 * NS_PER_MS)     /* between two reports of refused packets of a leg */

/* What an offer or answer named; length 0: nothing. */
static const struct address *signalled(const struct leg *leg)
{
    return leg->rtp.length ? &leg->rtp : &leg->sources.expected;
}

int is_signalled(const struct leg *leg, const struct address *source)
{
    return address_equal(source, signalled(leg));
}

/*
 * A source that is not the signalled address may be the peer's: the one that core_accept_from has named, or, of a leg that
 * only listens, one in its networks.
 */
static int may_be_from_peer(const struct leg *leg, const struct address *source)
{
    if (leg->rtp.length)
        return leg->also_rtp.length && address_equal(source, &leg->also_rtp);
    for (int i = 0; i < leg->network_count; i++)
        if (is_in_network(&leg->networks[i], source))
            return 1;
    return !leg->network_count;
}

int is_rtcp_of_peer(const struct leg *leg, const struct address *source)
{
    return (leg->rtcp.length && address_equal(source, &leg->rtcp)) ||
           (leg->also_rtcp.length && address_equal(source, &leg->also_rtcp));
}

static int is_negotiated(const struct leg *leg, const uint8_t *data, int length)
{
    if (length < RTP_HEADER || data[0] >> 6 != 2)
        return 0;
    int payload_type = data[1] & 0x7F;
    return payload_type == leg->media.receive_event_pt || leg_codec_of(leg, payload_type) >= 0;
}

/* How long nothing has come from a source whose newest packet came then, while something could have. */
static int64_t silence_since(const struct leg *leg, int64_t heard_ns, int64_t now)
{
    return now - (heard_ns > leg->sources.since_ns ? heard_ns : leg->sources.since_ns);
}

static struct other_source *other_of(struct sources *sources, const struct address *source)
{
    for (int i = 0; i < MAX_OTHERS; i++)
        if (address_equal(&sources->others[i].address, source))
            return &sources->others[i];
    return NULL;
}

/* Which entry the next source takes: one with the least to tell. */
static struct other_source *least_other(struct sources *sources)
{
    struct other_source *least = sources->others;
    for (int i = 0; i < MAX_OTHERS && least->address.length; i++)
        if (!sources->others[i].address.length || sources->others[i].later_packets < least->later_packets)
            least = &sources->others[i];
    return least;
}

/* The source that is heard has sent again since this one began. Where all entries are rivals, an unknown one may be one too. */
static int is_rival(struct sources *sources, const struct address *source)
{
    const struct other_source *other = other_of(sources, source);
    if (!other)
        other = least_other(sources);
    return other->later_packets >= RIVAL_PACKETS;
}

static void note_other(struct sources *sources, const struct address *source)
{
    struct other_source *least = least_other(sources);
    sources->has_others = 1;
    if (!other_of(sources, source) && least->later_packets < RIVAL_PACKETS)
        *least = (struct other_source){*source, 0};
}

/* The source that is heard has sent a packet. */
static void note_later(struct sources *sources)
{
    if (!sources->has_others)
        return;
    for (int i = 0; i < MAX_OTHERS; i++)
        if (sources->others[i].address.length && sources->others[i].later_packets < RIVAL_PACKETS)
            sources->others[i].later_packets++;
}

static void report_source(struct leg *leg, enum event_kind kind, const struct address *source, int64_t count)
{
    const uint8_t *from;
    int64_t bytes[2] = {0}, is_v6 = source->at.any.sa_family == AF_INET6;
    int length = address_bytes(source, &from);
    memcpy(bytes, from, (size_t)length);
    report(leg->thread->core, (struct event){.kind = kind, .id = leg->id, .b = bytes[0], .c = bytes[1],
                                             .a = is_v6 | (int64_t)port_of(source) << 1 | count << 17});
}

static void report_refused(struct leg *leg, const struct address *source, int64_t now)
{
    leg->sources.report_ns = now + REPORT_NS;
    report_source(leg, EVENT_REFUSED, source, leg->sources.refused & 0x7FFFFFFF);
}

static void refuse(struct leg *leg, const uint8_t *data, int length, const struct address *source, int64_t now)
{
    leg->sources.refused++;
    leg->thread->counters.refused++;
    if (length >= RTP_HEADER && data[0] >> 6 == 2 && now >= leg->sources.report_ns)
        report_refused(leg, source, now);
}

/* The source that is heard has been quiet for long enough, or there is none. */
static int may_take_over(struct leg *leg, const struct address *source, int64_t now)
{
    struct sources *sources = &leg->sources;
    int64_t quiet_ns = is_rival(sources, source) ? RIVAL_QUIET_NS : QUIET_NS;
    if (leg->signalled_ns && silence_since(leg, leg->signalled_ns, now) < quiet_ns)
        return 0;
    return !sources->latched.length || silence_since(leg, sources->latched_ns, now) >= quiet_ns;
}

static void latch(struct sources *sources, const struct address *source, int64_t now)
{
    struct other_source *other = other_of(sources, source);
    if (other)
        *other = (struct other_source){0}; /* its own packets do not make it a rival */
    sources->latched = *source;
    sources->latched_from_ns = now;
    sources->latched_packets = 0;
}

/* Takes back what the latched source has said: the signalled one speaks, so it was somebody else. */
static void unlatch(struct leg *leg, int64_t now)
{
    struct sources *sources = &leg->sources;
    struct address latched = sources->latched;
    sources->latched.length = 0;
    sources->refused += sources->latched_packets;
    leg->thread->counters.refused += sources->latched_packets;
    note_other(sources, &latched);
    report_refused(leg, &latched, now);
    if (leg->tap)
        tap_forget(leg->tap, leg->channel, sources->latched_from_ns, now);
    press_forget(leg);
    explicit_bzero(&leg->streams, sizeof leg->streams);
    if (leg->peer)
        leg->peer->out.is_switching = 1;
}

/* Comfort noise, events and keep-alives are signs of life, but take nothing from the source that is heard instead. */
void source_spoke(struct leg *leg, int64_t now, int is_audio)
{
    if (!is_audio && leg->sources.latched.length)
        return;
    leg->signalled_ns = now;
    if (leg->sources.latched.length)
        unlatch(leg, now);
    if (is_audio)
        note_later(&leg->sources);
}

static enum origin latched_origin(struct leg *leg, int64_t now)
{
    leg->sources.latched_ns = now;
    leg->sources.latched_packets++;
    return signalled(leg)->length && silence_since(leg, leg->signalled_ns, now) < UNHEARD_NS ? ORIGIN_UNPROVEN : ORIGIN_LATCHED;
}

/* The stream goes on: the same SSRC, one of its next numbers and a timestamp as of now. To guess all is 1 in 10^15. */
static int goes_on(const struct receiver *in, const uint8_t *data, int64_t now)
{
    int64_t passed_ns = now - in->newest_ns;
    uint16_t step = (uint16_t)(get_u32(data) - in->max_seq);
    uint32_t ahead = get_u32(data + 4) - in->newest_ts;
    return in->has_stream && in->newest_ns && get_u32(data + 8) == in->ssrc && step > 0 && step < 0x8000 &&
           step <= MOVED_PACKETS + passed_ns / (5 * NS_PER_MS) && ahead > 0 && ahead < 0x80000000 &&
           ahead <= MOVED_TICKS + passed_ns * 8 / NS_PER_MS;
}

/*
 * The packet may be of the peer that is heard, whose NAT gives it another port: the source that is heard is silent, and its
 * stream goes on from the same host. The signalled port that it has left is heard at once again: who was followed was
 * somebody else, or the NAT has changed its mind. A packet that came late from there proves neither.
 */
static int may_have_moved(const struct leg *leg, const uint8_t *data, int length, const struct address *source, int64_t now)
{
    const struct sources *sources = &leg->sources;
    const struct address *heard = sources->latched.length ? &sources->latched : &leg->rtp;
    int64_t heard_ns = sources->latched.length ? sources->latched_ns : leg->signalled_ns;
    if (!leg->rtp.length || !leg->media.receives || length <= RTP_HEADER || !is_negotiated(leg, data, length))
        return 0;
    if (address_equal(source, &sources->moved_from))
        return get_u32(data + 8) != leg->in.ssrc || now - sources->moved_ns > LATE_NS ||
               (int16_t)(get_u32(data) - sources->moved_seq) > 0;
    return heard_ns && is_same_host(source, heard) && silence_since(leg, heard_ns, now) >= MOVED_NS &&
           goes_on(&leg->in, data, now);
}

static void set_remote(struct leg *leg, const struct address *to, int64_t now)
{
    struct sources *sources = &leg->sources;
    if (!sources->moved_from.length) {
        sources->moved_from = leg->rtp;
        sources->moved_seq = leg->in.max_seq;
        sources->moved_ns = now;
    }
    leg->rtp = *to;
    if (address_equal(to, &sources->moved_from))
        sources->moved_from.length = 0;
}

/* Follows the peer to where its packet came from, which is good and, under SRTP, has its key; whose the packet is now. */
enum origin source_moved(struct leg *leg, int64_t now)
{
    struct sources *sources = &leg->sources;
    struct address to = sources->candidate;
    report_source(leg, EVENT_MOVED, &to, 0);
    if (sources->latched.length && !address_equal(&to, &sources->moved_from)) {
        sources->latched = leg->also_rtp = to;
        return latched_origin(leg, now);
    }
    set_remote(leg, &to, now);
    return ORIGIN_SIGNALLED;
}

void source_stayed(struct leg *leg, int64_t now)
{
    static const uint8_t head[RTP_HEADER] = {0x80}; /* it had one when it came */
    refuse(leg, head, sizeof head, &leg->sources.candidate, now);
}

/* Decides on a datagram that came at the RTP socket of a leg. */
enum origin source_judge(struct leg *leg, const uint8_t *data, int length, const struct address *source, int64_t now)
{
    struct sources *sources = &leg->sources;
    if (is_signalled(leg, source))
        return ORIGIN_SIGNALLED;
    if (!leg->is_configured)
        return ORIGIN_STRANGER; /* nothing is known yet of who may send */
    int may_be_peer = may_be_from_peer(leg, source);
    if (may_be_peer && leg->srtp)
        return ORIGIN_SIGNALLED; /* whoever has the key is the peer */
    if (may_be_peer && sources->latched.length && address_equal(source, &sources->latched)) {
        if (is_negotiated(leg, data, length))
            note_later(sources);
        return latched_origin(leg, now);
    }
    if (may_be_peer && !leg->media.receives)
        return ORIGIN_STRANGER; /* on hold: neither heard nor worth a word */
    if (may_be_peer && is_negotiated(leg, data, length)) {
        if (may_take_over(leg, source, now)) {
            latch(sources, source, now);
            return latched_origin(leg, now);
        }
        note_other(sources, source);
    }
    if (!may_be_peer && may_have_moved(leg, data, length, source, now)) {
        sources->candidate = *source;
        return ORIGIN_MOVED;
    }
    refuse(leg, data, length, source, now);
    return ORIGIN_STRANGER;
}

void sources_reset(struct leg *leg, int64_t now)
{
    struct sources *sources = &leg->sources;
    leg->signalled_ns = 0;
    sources->latched.length = 0;
    sources->since_ns = now;
    sources->has_others = 0;
    memset(sources->others, 0, sizeof sources->others);
}
