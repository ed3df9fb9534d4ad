/* RTP load: paced streams that can be recognised packet by packet, and their check at the far end. IPv4.
 *
 * A payload is 160 bytes: tag (4), packet number (4), send time in ns of CLOCK_REALTIME (8), then 144 bytes of noise
 * that tag and number determine. Each stream is sent and received by one thread, so its counters have one writer.
 */
#ifndef BENCHMARKS_LOAD_H
#define BENCHMARKS_LOAD_H

#include <netinet/in.h>
#include <stdint.h>

#define LOAD_PAYLOAD 160
#define LOAD_PERIOD_NS 20000000
#define LOAD_MOST_SKEW_PPM 100000
/* Delays: 10 us a bucket below 100 ms, 1 ms a bucket below 10 s, one more for what is above. */
#define LOAD_FINE_BUCKETS 10000
#define LOAD_COARSE_BUCKETS 9900
#define LOAD_BUCKETS (LOAD_FINE_BUCKETS + LOAD_COARSE_BUCKETS + 1)

struct load;

struct load_counts {
    uint64_t sent;
    uint64_t unsent;     /* the kernel refused the packet */
    uint64_t received;   /* distinct packets of the expected stream, intact */
    uint64_t duplicates;
    uint64_t reordered;  /* of those received: after a later one */
    uint64_t damaged;    /* of the expected stream, but not the bytes that were sent */
    uint64_t strayed;    /* of another stream of this load: crossed calls */
    uint64_t other;      /* prompts, ringback, anything not ours */
    uint64_t late_sends; /* more than 5 ms after their deadline: the load itself was starved */
};

struct load *load_open(int capacity, int threads);
/*
 * Put a stream into a free slot; it receives at once and sends from load_begin on. Its clock runs so many millionths fast,
 * negative: slow; packet and timestamp follow that clock. 0 or -errno. No two threads command one stream at a time.
 */
int load_add(struct load *load, int stream, int fd, const struct sockaddr_in *to, int payload_type, int peer, int skew_ppm);
/* After a rest timestamps have gone on, numbers have not: it was silent. */
int load_begin(struct load *load, int stream);
int load_cease(struct load *load, int stream);
int load_start(struct load *load);
/* Ends the threads; counters stay. Idempotent. */
void load_stop(struct load *load);
int load_stream_counts(const struct load *load, int stream, struct load_counts *counts);
void load_histogram(const struct load *load, uint64_t *buckets);
/* Differences of delay between packets that follow one another, in the same buckets. */
void load_variations(const struct load *load, uint64_t *buckets);
void load_close(struct load *load);
/* The payload of a packet, for whoever compares what was stored. */
void load_payload(int stream, uint32_t number, uint64_t sent_ns, uint8_t *payload);
/* How many of these payloads, from the first, are whole, of this stream, and numbered one after another from a number on. */
int load_intact(int stream, uint32_t first_number, const uint8_t *payloads, int count);

#endif
