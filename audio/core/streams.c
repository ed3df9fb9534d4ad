/*
 * Which of several streams (SSRCs) on one port is a leg's voice (docs/media-core.md, Several streams). A source is its SSRC
 * (RFC 3550 section 3): a stream that is silent must not take the place of one that speaks.
 */
#include <string.h>

#include "codecs.h"
#include "streams.h"

#define LIVE_NS (100 * NS_PER_MS)   /* a stream that sent within this time still sends */
#define SILENT_NS (200 * NS_PER_MS) /* of silence of the chosen stream before another that speaks takes its place */
#define VOICED_LEVEL 260            /* mean of linear 16 bit: -42 dBFS, as for speech in analysis */

static int is_voiced(const struct packet *packet)
{
    int64_t sum = 0;
    if (packet->codec == CODEC_G722) { /* its silence is one code over and over */
        for (int i = 1; i < packet->length; i++)
            sum += packet->payload[i] != packet->payload[0];
        return sum > packet->length / 4;
    }
    const int16_t *linear = g711_linear[packet->codec == CODEC_PCMA];
    for (int i = 0; i < packet->length; i++) {
        int level = linear[packet->payload[i]];
        sum += level < 0 ? -level : level;
    }
    return sum > (int64_t)VOICED_LEVEL * packet->length;
}

/* When a stream that is not the chosen one was first seen; now, if it was not until now. */
static int64_t first_seen(struct streams *streams, uint32_t ssrc, int64_t now)
{
    for (int i = 0; i < MAX_STREAMS; i++)
        if (streams->others[i].seen_ns && streams->others[i].ssrc == ssrc)
            return streams->others[i].seen_ns;
    streams->others[streams->next++ % MAX_STREAMS] = (struct other_stream){ssrc, now};
    return now;
}

static void choose(struct streams *streams, struct packet *packet)
{
    if (streams->newest_ns) {
        (void)first_seen(streams, streams->ssrc, streams->newest_ns);
        packet->has_returned = 1;
    }
    streams->ssrc = packet->ssrc;
    streams->newest_ns = streams->voiced_ns = packet->arrival_ns;
}

int stream_is_left_out(struct streams *streams, struct packet *packet)
{
    int64_t now = packet->arrival_ns;
    if (streams->newest_ns && packet->ssrc == streams->ssrc) {
        streams->newest_ns = now;
        if (streams->is_shared && is_voiced(packet))
            streams->voiced_ns = now;
        return 0;
    }
    if (streams->newest_ns && now - streams->newest_ns < LIVE_NS) {
        int64_t seen_ns = first_seen(streams, packet->ssrc, now);
        if (!streams->is_shared)
            streams->voiced_ns = now; /* it has not been listened to until now */
        streams->is_shared = 1;
        if (!is_voiced(packet))
            return 1;
        int goes_on = streams->newest_ns > seen_ns; /* else the chosen one has ended, and this one follows it */
        if (goes_on && now - streams->voiced_ns < SILENT_NS) {
            packet->is_beside = 1; /* both speak: who listens gets both, the recording has the chosen one */
            return 0;
        }
    }
    choose(streams, packet);
    return 0;
}
