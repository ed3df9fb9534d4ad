/* What all of the core calls by one name: units, sizes, codecs, sides, and a packet that was taken. */
#ifndef AUDIO_CORE_PACKET_H
#define AUDIO_CORE_PACKET_H

#include <stdint.h>

#define CACHE_LINE 64
#define NS_PER_MS 1000000LL
#define TICKS_PER_MS 8
#define NEVER INT64_MAX
#define FRAME_TICKS 160            /* a packet of ours: 20 ms */
#define FRAME_NS (20 * NS_PER_MS)
#define MAX_PACKET 2048            /* more than any RTP packet that fits an Ethernet frame; longer ones are dropped */
#define MAX_MISORDER 100            /* packets; one numbered further back begins anew (RFC 3550 appendix A.1) */
#define RTP_HEADER 12
#define SRTP_EXTRA 16              /* what SRTP and SRTCP add to a packet of ours, at most */

enum codec { CODEC_PCMU = 0, CODEC_PCMA = 8, CODEC_G722 = 9 };
enum channel_side { LEFT = 0, RIGHT = 1 };

/* An RTP packet that was taken; payload points into the thread's buffer, RTP_HEADER bytes before it are ours too. */
struct packet {
    uint8_t *payload;
    int length;
    int payload_type, codec; /* codec: of audio */
    int has_marker;
    int is_relayed; /* by the kernel: it has gone on already */
    int is_unproven; /* its source may be somebody else's: it is not relayed */
    int has_returned; /* its stream takes the place of another */
    int is_beside;    /* it speaks while the chosen stream does: not recorded */
    uint16_t seq;
    uint32_t ts;
    uint32_t ssrc;
    int64_t arrival_ns;
};

#endif
