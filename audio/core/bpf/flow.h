/* What the kernel's program and the media core share (docs/media-core.md, In the kernel). Addresses and ports as on the wire. */
#ifndef AUDIO_CORE_BPF_FLOW_H
#define AUDIO_CORE_BPF_FLOW_H

#include <linux/types.h>

#define FLOW_MAX 8192          /* directions that may be relayed at once */
#define COPY_SLOTS 8192        /* of each media thread, a power of two: 80 ms of a thousand calls */
#define COPY_SPARE 64          /* left free for processors that claim at the same moment */
#define COPY_BYTES 264         /* of RTP: 30 ms of G.711 with its header */
#define RTP_HEADER_BYTES 12

/* Where packets of a flow arrive: one of our sockets. */
struct flow_key {
    __u32 ip;
    __u16 port, unused;
};

/* Which of those are relayed, and as what; anything else there goes up to its socket. */
struct flow {
    __u64 leg;
    __u32 peer_ip, ssrc; /* whence, and the stream */
    __u16 peer_port;
    __u8 payload_type, thread;
    __u32 from_ip, to_ip;
    __u16 from_port, to_port;
    __u32 out_ssrc, ts_offset;
    __u32 interface; /* through which they leave; 0: to this machine, by the one that they came by */
    __u16 seq_offset; /* this and ts_offset in the machine's order */
    __u8 out_payload_type, tos, ttl, unused[3];
};

/* A packet that was relayed, for the media core; turn is one more than its number once all of it is there. */
struct copy {
    __u64 turn, leg, arrival_ns;
    __u32 length, unused;
    __u8 rtp[COPY_BYTES];
};

/* The two ends of a thread's ring, on lines of their own: numbers of the next copy to claim and to take. */
struct copy_ends {
    __u64 claimed, unused[7], taken, unused_too[7];
};

#endif
