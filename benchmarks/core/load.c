#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RTP_HEADER 12
#define NOISE_AT 16
#define NOISE_BYTES (LOAD_PAYLOAD - NOISE_AT)
#define NOISE_TABLE 65536
#define TAG_MARK 0x5A17C0DEu
#define LATE_NS 5000000
#define BATCH 64
/*
 * A thread wakes up so often, sends what is due and takes what has come. To wake up for each packet of 1,000 streams cost
 * more than to send it, and took the cores from what is measured.
 */
#define TICK_NS 500000
#define NEVER UINT64_MAX

/* One writer each; readers want whole values, no order. */
#define PUT(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)
#define GET(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define BUMP(field) PUT(field, (field) + 1)

struct stream {
    int fd;
    int peer;
    struct sockaddr_in to;
    uint8_t payload_type;
    bool is_used;
    bool is_sending;
    uint64_t period_ns;
    uint64_t resume_ns; /* when its next packet would have been due; 0 before the first */
    uint32_t missed;    /* packets that were not sent because it had ceased: their time goes by all the same */
    uint32_t next_number;
    uint32_t highest;
    uint64_t seen; /* bit n: packet highest - n has arrived */
    uint32_t last_number; /* the packet that arrived last, and how long it had taken */
    int64_t last_transit_ns;
    struct load_counts counts;
};

struct worker {
    struct load *load;
    int index;
    int epoll;
    pthread_t thread;
    uint64_t histogram[LOAD_BUCKETS];
    uint64_t variations[LOAD_BUCKETS];
};

struct load {
    int capacity;
    int threads;
    bool is_running;
    bool must_end;
    uint64_t base_ns;
    uint64_t *due_ns; /* of each stream's next packet, apart from the rest: all are looked at in each tick */
    struct stream *streams;
    struct worker *workers;
};

static uint8_t noise[NOISE_TABLE];
static pthread_once_t noise_made = PTHREAD_ONCE_INIT;

/* White A-law noise about as loud as speech (segments 0, 1, 4 and 5), so that a tone detector has its full work and finds nothing. */
static void make_noise(void)
{
    uint32_t state = 2463534242u;
    for (int at = 0; at < NOISE_TABLE; at++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        noise[at] = (uint8_t)(((state >> 11) & 0xDF) ^ 0x55);
    }
}

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

/* The clock of the kernel's receive stamps, for send times only. */
static uint64_t stamp_ns(void)
{
    return read_ns(CLOCK_REALTIME);
}

static const uint8_t *noise_of(uint32_t stream, uint32_t number)
{
    uint32_t mixed = (stream * 2654435761u) ^ (number * 2246822519u);
    mixed ^= mixed >> 15;
    return noise + mixed % (NOISE_TABLE - NOISE_BYTES);
}

void load_payload(int stream, uint32_t number, uint64_t sent_ns, uint8_t *payload)
{
    pthread_once(&noise_made, make_noise);
    uint32_t tag = (uint32_t)stream ^ TAG_MARK;
    memcpy(payload, &tag, 4);
    memcpy(payload + 4, &number, 4);
    memcpy(payload + 8, &sent_ns, 8);
    memcpy(payload + NOISE_AT, noise_of((uint32_t)stream, number), NOISE_BYTES);
}

int load_intact(int stream, uint32_t first_number, const uint8_t *payloads, int count)
{
    pthread_once(&noise_made, make_noise);
    for (int at = 0; at < count; at++, payloads += LOAD_PAYLOAD) {
        uint32_t tag, number, expected = first_number + (uint32_t)at;
        memcpy(&tag, payloads, 4);
        memcpy(&number, payloads + 4, 4);
        if (tag != ((uint32_t)stream ^ TAG_MARK) || number != expected)
            return at;
        if (memcmp(payloads + NOISE_AT, noise_of((uint32_t)stream, expected), NOISE_BYTES) != 0)
            return at;
    }
    return count;
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, (uint16_t)(value >> 16));
    put16(at + 2, (uint16_t)value);
}

static void send_one(struct stream *stream, int index, uint64_t due_ns)
{
    uint8_t packet[RTP_HEADER + LOAD_PAYLOAD];
    uint32_t number = stream->next_number++;
    uint64_t late_ns = now_ns() - due_ns, sent_ns = stamp_ns();
    packet[0] = 0x80;
    packet[1] = (uint8_t)(stream->payload_type | (number == 0 ? 0x80 : 0));
    put16(packet + 2, (uint16_t)(number + (uint32_t)index * 7919u));
    put32(packet + 4, (number + stream->missed) * LOAD_PAYLOAD + (uint32_t)index * 1000003u);
    put32(packet + 8, 0x10000000u + (uint32_t)index);
    load_payload(index, number, sent_ns, packet + RTP_HEADER);
    if (late_ns > LATE_NS)
        BUMP(stream->counts.late_sends);
    ssize_t sent = sendto(stream->fd, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&stream->to, sizeof stream->to);
    if (sent == (ssize_t)sizeof packet)
        BUMP(stream->counts.sent);
    else
        BUMP(stream->counts.unsent);
}

static int bucket_of(int64_t stepped_ns)
{
    uint64_t delay_ns = stepped_ns > 0 ? (uint64_t)stepped_ns : 0; /* the wall clock was set back */
    uint64_t fine = delay_ns / 10000;
    if (fine < LOAD_FINE_BUCKETS)
        return (int)fine;
    uint64_t coarse = delay_ns / 1000000 - 100;
    return LOAD_FINE_BUCKETS + (int)(coarse < LOAD_COARSE_BUCKETS ? coarse : LOAD_COARSE_BUCKETS);
}

/* Tell whether the packet is new, and keep what has been seen. */
static bool is_new(struct stream *stream, uint32_t number)
{
    bool is_first = stream->counts.received == 0;
    if (is_first || number > stream->highest) {
        uint32_t ahead = is_first ? 64 : number - stream->highest;
        stream->seen = (ahead >= 64 ? 0 : stream->seen << ahead) | 1;
        stream->highest = number;
        return true;
    }
    uint32_t behind = stream->highest - number;
    if (behind < 64) {
        if (stream->seen >> behind & 1)
            return false;
        stream->seen |= (uint64_t)1 << behind;
    }
    BUMP(stream->counts.reordered);
    return true;
}

/* By how much a packet took longer or shorter than the one before it: what RFC 3550 section 6.4.1 calls D. */
static void compare(struct worker *worker, struct stream *stream, uint32_t number, int64_t transit_ns)
{
    int64_t apart = transit_ns - stream->last_transit_ns;
    if (stream->counts.received > 1 && number == stream->last_number + 1)
        BUMP(worker->variations[bucket_of(apart < 0 ? -apart : apart)]);
    stream->last_number = number;
    stream->last_transit_ns = transit_ns;
}

static void take(struct worker *worker, struct stream *stream, const uint8_t *packet, ssize_t length, uint64_t arrived_ns)
{
    uint32_t tag, number;
    uint64_t sent_ns;
    const uint8_t *payload = packet + RTP_HEADER;
    if (length != RTP_HEADER + LOAD_PAYLOAD) {
        BUMP(stream->counts.other);
        return;
    }
    memcpy(&tag, payload, 4);
    memcpy(&number, payload + 4, 4);
    memcpy(&sent_ns, payload + 8, 8);
    tag ^= TAG_MARK;
    bool is_intact = memcmp(payload + NOISE_AT, noise_of(tag, number), NOISE_BYTES) == 0;
    if (tag == (uint32_t)stream->peer) {
        if (!is_intact || (packet[1] & 0x7F) != stream->payload_type)
            BUMP(stream->counts.damaged);
        else if (!is_new(stream, number))
            BUMP(stream->counts.duplicates);
        else {
            BUMP(stream->counts.received);
            BUMP(worker->histogram[bucket_of((int64_t)(arrived_ns - sent_ns))]);
            compare(worker, stream, number, (int64_t)(arrived_ns - sent_ns));
        }
    } else if (is_intact && tag < (uint32_t)worker->load->capacity)
        BUMP(stream->counts.strayed);
    else
        BUMP(stream->counts.other);
}

/* Takes one datagram and when the kernel had it: the load's own waiting is no delay of the path's. */
static ssize_t take_stamped(int fd, uint8_t *packet, size_t size, uint64_t *arrived_ns)
{
    union {
        char room[CMSG_SPACE(sizeof(struct timespec))];
        struct cmsghdr align;
    } control;
    struct iovec into = {packet, size};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);
    struct cmsghdr *header = length >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
    *arrived_ns = 0;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
        struct timespec stamp;
        memcpy(&stamp, CMSG_DATA(header), sizeof stamp);
        *arrived_ns = (uint64_t)stamp.tv_sec * 1000000000u + (uint64_t)stamp.tv_nsec;
    }
    return length;
}

static void receive(struct worker *worker)
{
    struct epoll_event ready[BATCH];
    uint8_t packet[2048];
    int count;
    do {
        count = epoll_wait(worker->epoll, ready, BATCH, 0);
        for (int at = 0; at < count; at++) {
            struct stream *stream = &worker->load->streams[ready[at].data.u32];
            uint64_t arrived_ns;
            ssize_t length = take_stamped(stream->fd, packet, sizeof packet, &arrived_ns);
            if (length >= 0)
                take(worker, stream, packet, length, arrived_ns ? arrived_ns : stamp_ns());
        }
    } while (count == BATCH);
}

/* Sends whatever is due by now; a stream that is behind sends one packet in each round, so that none waits for another. */
static void send_due(const struct worker *worker)
{
    struct load *load = worker->load;
    uint64_t now = now_ns();
    bool is_behind = true;
    while (is_behind) {
        is_behind = false;
        for (int index = worker->index; index < load->capacity; index += load->threads) {
            uint64_t due = __atomic_load_n(&load->due_ns[index], __ATOMIC_ACQUIRE);
            if (due > now)
                continue;
            struct stream *stream = &load->streams[index];
            uint64_t next = due + stream->period_ns;
            /* Not exchanged: it ceased in this moment. */
            if (!__atomic_compare_exchange_n(&load->due_ns[index], &due, next, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                continue;
            send_one(stream, index, due);
            is_behind = is_behind || next <= now;
        }
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct load *load = worker->load;
    prctl(PR_SET_TIMERSLACK, 1); /* else every wait is 50 us longer */
    while (!__atomic_load_n(&load->must_end, __ATOMIC_ACQUIRE)) {
        send_due(worker);
        receive(worker);
        uint64_t tick_ns = load->base_ns + ((now_ns() - load->base_ns) / TICK_NS + 1) * TICK_NS;
        struct timespec until = {(time_t)(tick_ns / 1000000000u), (long)(tick_ns % 1000000000u)};
        /*
         * Asleep, and not waiting for packets: a packet that wakes a thread on another core is paid for by the path that
         * sends it (10 us and more on a virtual machine), whose far end is another machine in life.
         */
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    return NULL;
}

struct load *load_open(int capacity, int threads)
{
    pthread_once(&noise_made, make_noise);
    struct load *load = calloc(1, sizeof *load);
    if (load == NULL)
        return NULL;
    load->capacity = capacity;
    load->threads = threads;
    load->due_ns = calloc((size_t)capacity, sizeof *load->due_ns);
    load->streams = calloc((size_t)capacity, sizeof *load->streams);
    load->workers = calloc((size_t)threads, sizeof *load->workers);
    bool is_whole = load->due_ns != NULL && load->streams != NULL && load->workers != NULL;
    for (int at = 0; load->due_ns != NULL && at < capacity; at++)
        load->due_ns[at] = NEVER;
    for (int at = 0; load->workers != NULL && at < threads; at++) {
        load->workers[at].load = load;
        load->workers[at].index = at;
        load->workers[at].epoll = epoll_create1(EPOLL_CLOEXEC);
        is_whole = is_whole && load->workers[at].epoll >= 0;
    }
    if (is_whole)
        return load;
    load_close(load);
    return NULL;
}

int load_add(struct load *load, int index, int fd, const struct sockaddr_in *to, int payload_type, int peer, int skew_ppm)
{
    if (index < 0 || index >= load->capacity || peer < 0 || peer >= load->capacity || load->streams[index].is_used)
        return -EINVAL;
    if (skew_ppm < -LOAD_MOST_SKEW_PPM || skew_ppm > LOAD_MOST_SKEW_PPM)
        return -EINVAL;
    struct stream *stream = &load->streams[index];
    int is_on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &is_on, sizeof is_on) < 0)
        return -errno;
    stream->fd = fd;
    stream->peer = peer;
    stream->to = *to;
    stream->payload_type = (uint8_t)payload_type;
    stream->period_ns = (uint64_t)LOAD_PERIOD_NS * 1000000u / (uint64_t)(1000000 + skew_ppm);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    if (epoll_ctl(load->workers[index % load->threads].epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    stream->is_used = true;
    return 0;
}

static bool is_known(const struct load *load, int index)
{
    return index >= 0 && index < load->capacity && load->streams[index].is_used;
}

/* The first packet has its place in the period, so that the streams lie evenly over it; after a rest the same clock goes on. */
static void set_due(struct load *load, int index)
{
    struct stream *stream = &load->streams[index];
    bool is_first = stream->resume_ns == 0;
    uint64_t now = now_ns();
    uint64_t due = is_first ? load->base_ns + (uint64_t)index * LOAD_PERIOD_NS / (uint64_t)load->capacity : stream->resume_ns;
    uint64_t missed = due < now ? (now - due) / stream->period_ns + 1 : 0;
    if (!is_first)
        stream->missed += (uint32_t)missed;
    __atomic_store_n(&load->due_ns[index], due + missed * stream->period_ns, __ATOMIC_RELEASE);
}

int load_begin(struct load *load, int index)
{
    if (!is_known(load, index))
        return -EINVAL;
    if (load->is_running && !load->streams[index].is_sending)
        set_due(load, index);
    load->streams[index].is_sending = true;
    return 0;
}

int load_cease(struct load *load, int index)
{
    if (!is_known(load, index))
        return -EINVAL;
    uint64_t due = __atomic_exchange_n(&load->due_ns[index], NEVER, __ATOMIC_ACQ_REL);
    if (due != NEVER)
        load->streams[index].resume_ns = due;
    load->streams[index].is_sending = false;
    return 0;
}

int load_start(struct load *load)
{
    if (load->is_running)
        return -EALREADY;
    load->base_ns = now_ns();
    load->is_running = true;
    load->must_end = false;
    for (int index = 0; index < load->capacity; index++)
        if (load->streams[index].is_sending)
            set_due(load, index);
    for (int at = 0; at < load->threads; at++) {
        int error = pthread_create(&load->workers[at].thread, NULL, work, &load->workers[at]);
        if (error != 0) {
            __atomic_store_n(&load->must_end, true, __ATOMIC_RELEASE);
            while (at-- > 0)
                pthread_join(load->workers[at].thread, NULL);
            load->is_running = false;
            return -error;
        }
    }
    return 0;
}

void load_stop(struct load *load)
{
    if (!load->is_running)
        return;
    __atomic_store_n(&load->must_end, true, __ATOMIC_RELEASE);
    for (int at = 0; at < load->threads; at++)
        pthread_join(load->workers[at].thread, NULL);
    load->is_running = false;
}

int load_stream_counts(const struct load *load, int index, struct load_counts *counts)
{
    if (index < 0 || index >= load->capacity)
        return -EINVAL;
    const struct load_counts *from = &load->streams[index].counts;
    counts->sent = GET(from->sent);
    counts->unsent = GET(from->unsent);
    counts->received = GET(from->received);
    counts->duplicates = GET(from->duplicates);
    counts->reordered = GET(from->reordered);
    counts->damaged = GET(from->damaged);
    counts->strayed = GET(from->strayed);
    counts->other = GET(from->other);
    counts->late_sends = GET(from->late_sends);
    return 0;
}

static void add_up(const uint64_t *of_worker, uint64_t *buckets)
{
    for (int bucket = 0; bucket < LOAD_BUCKETS; bucket++)
        buckets[bucket] += GET(of_worker[bucket]);
}

void load_histogram(const struct load *load, uint64_t *buckets)
{
    memset(buckets, 0, LOAD_BUCKETS * sizeof *buckets);
    for (int at = 0; at < load->threads; at++)
        add_up(load->workers[at].histogram, buckets);
}

void load_variations(const struct load *load, uint64_t *buckets)
{
    memset(buckets, 0, LOAD_BUCKETS * sizeof *buckets);
    for (int at = 0; at < load->threads; at++)
        add_up(load->workers[at].variations, buckets);
}

void load_close(struct load *load)
{
    if (load->workers != NULL) {
        load_stop(load);
        for (int at = 0; at < load->threads; at++)
            if (load->workers[at].epoll > 0)
                close(load->workers[at].epoll);
    }
    free(load->due_ns);
    free(load->streams);
    free(load->workers);
    free(load);
}
