/* What the kernel's program and the media core share (docs/media-core.md, In the kernel). Addresses and ports as on the wire. */
#ifndef AUDIO_CORE_BPF_FLOW_H
#define AUDIO_CORE_BPF_FLOW_H

#include <linux/types.h>

#define FLOW_MAX 8192          /* legs that may have flows at once */
#define COPY_SLOTS 8192        /* of each media thread, a power of two: 80 ms of a thousand calls */
#define COPY_SPARE 64          /* left free for processors that claim at the same moment, of which there are no more */
#define COPY_BYTES 264         /* of RTP, a multiple of 4: 30 ms of G.711 with its header; MAX_RELAYED of the core */
#define ASLEEP_NS 50000000LL   /* without a look at its ring a thread is taken for stopped, and nothing is relayed */
#define WINDOW_NS 100000000LL  /* in which at most so many packets of a stream are relayed as its flow says */

/* Where packets of a flow arrive: one of our sockets. */
struct own_address {
    __u32 ip;
    __u16 port, unused;
};

/*
 * The state of a flow: below FLOW_SEEN one of these, else the highest number that the stream's packets have had on their way
 * up to the socket, with FLOW_NEWEST if the newest of the peer's packets that went up has that number, and none before had.
 */
#define FLOW_UNUSED 0u    /* whose it is and what comes by it may change: the program leaves it alone */
#define FLOW_OPEN 1u      /* packets are relayed */
#define FLOW_SHUT 2u      /* nothing has gone up since it was open */
#define FLOW_BEGUN 3u     /* nothing has gone up since the program looks at what does; something may have before */
#define FLOW_SEEN 0x10000u
#define FLOW_NEWEST 0x20000u

/*
 * Which packets that arrive at a leg are relayed, and as what; anything else there goes up to its socket. The core writes
 * whose packets they are while it is unused, and the rest while it is not open and nobody relays by it: the program counts
 * itself in. The program shuts it at the first odd packet.
 */
struct flow {
    __u32 state, busy;
    struct own_address own;
    __u64 leg;
    __u32 peer_ip, ssrc; /* whence, and the stream */
    __u16 peer_port;
    __u8 payload_type, thread;
    __u32 came_by;   /* the interface that the peer's packets come by */
    __u32 leaves_by; /* the one that they leave by; 0: to this machine */
    __u32 from_ip, to_ip;
    __u16 from_port, to_port;
    __u32 out_ssrc, ts_offset;
    __u16 seq_offset; /* this and ts_offset in the machine's order */
    __u8 out_payload_type, tos, ttl, unused[3];
    __u32 most_packets, window_packets, is_too_fast, unused_too;
    __u64 window_ns;
    __u64 pad[2];
} __attribute__((aligned(64)));

/* A packet that was relayed, for the media core; turn is one more than its number once all of it is there. */
struct copy {
    __u64 turn, leg, arrival_ns;
    __u32 length /* 0: it was not relayed after all */, unused;
    __u8 rtp[COPY_BYTES];
};

/* The two ends of a thread's ring, on lines of their own: numbers of the next copy to claim and to take. */
struct copy_ends {
    __u64 claimed, unused[7], taken, looked_ns, unused_too[6];
};

#endif
