/* io_uring(7), as much of it as a media thread needs (uring.c; ADR 70). */
#ifndef AUDIO_CORE_URING_H
#define AUDIO_CORE_URING_H

#include <linux/io_uring.h>
#include <stddef.h>
#include <stdint.h>

#ifndef IORING_FEAT_MIN_TIMEOUT
#define IORING_FEAT_MIN_TIMEOUT (1U << 15) /* Linux 6.12; Debian 12 builds without it */
#endif

struct uring {
    int fd;
    unsigned features;
    unsigned mask, size, completions_mask;
    unsigned next;       /* what is filled in: the kernel is told of it by uring_submit */
    unsigned *head, *tail, *completions_head, *completions_tail;
    struct io_uring_sqe *entries;
    struct io_uring_cqe *completions;
    char *queues;
    size_t queues_size, entries_size;
};

int uring_open(struct uring *ring, unsigned entries, unsigned completions);
int uring_register(struct uring *ring, unsigned what, void *argument, unsigned count);
struct io_uring_sqe *uring_entry(struct uring *ring);
int uring_submit(struct uring *ring);
void uring_forget(struct uring *ring);
int uring_wait(struct uring *ring, unsigned count, int64_t at_most_ns);
unsigned uring_ready(const struct uring *ring);
const struct io_uring_cqe *uring_completion(const struct uring *ring, unsigned number);
void uring_seen(struct uring *ring, unsigned count);
void uring_close(struct uring *ring);

#endif
