/* The streams that come at a leg (streams.c). */
#ifndef AUDIO_CORE_STREAMS_H
#define AUDIO_CORE_STREAMS_H

#include "packet.h"

#define MAX_STREAMS 4

/* The streams that come at a leg. */
struct streams {
    uint32_t ssrc; /* of the chosen one */
    uint8_t is_shared; /* another came while it went on: it is listened to from then on */
    int64_t newest_ns, voiced_ns; /* its newest packet, 0: none; the newest that is no silence, if is_shared */
    unsigned next;
    struct other_stream {
        uint32_t ssrc;
        int64_t seen_ns; /* first; 0: none */
    } others[MAX_STREAMS];
};

int stream_is_left_out(struct streams *streams, struct packet *packet); /* it is silent beside another that goes on */

#endif
