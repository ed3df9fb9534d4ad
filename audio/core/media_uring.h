/* A media thread's io_uring: buffers that packets come in, receives that stand, and what is queued to be sent (ADR 70). */
#ifndef AUDIO_CORE_MEDIA_URING_H
#define AUDIO_CORE_MEDIA_URING_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "packet.h"
#include "uring.h"

#define URING_BATCH 128 /* packets that a thread takes before it lets others have its lock */

/* What the kernel writes before a packet: what there is of it, and who sent it. */
struct uring_head {
    struct io_uring_recvmsg_out is;
    uint8_t source[sizeof(struct sockaddr_in6)];
};

/* What a completion is of: the highest bits of its number. The others are a leg's id, which is never used twice. */
enum uring_kind { URING_NOTHING = 0, URING_RECEIVED = 1, URING_SENT = 2, URING_POLLED = 3 };
#define URING_KIND_BIT 60

/* A buffer whose packet is being dealt with, and how much of it was filled. */
struct used_buffer {
    uint16_t number;
    uint32_t bytes;
};

struct media_uring {
    struct uring queue;
    struct io_uring_buf_ring *free; /* buffers to be filled next */
    uint8_t *memory;                /* of the buffers: locked, in no core dump */
    int most_packets; /* of one leg between two looks at the house: who sends more is read by epoll */
    int buffers, used_count, queued, standing; /* standing: receives that the kernel has; queued: packets to be sent */
    int64_t round;                  /* of handing over what is queued */
    struct leg *arriving;           /* legs whose receive is to begin */
    int64_t *leaving;               /* ids of legs that are closed, whose receive still stands; room for all that stand */
    int leaving_count, leaving_room;
    uint8_t is_polling, has_events, is_broken; /* has_events: at the thread's epoll */
    struct msghdr shape;            /* of what is received */
    struct used_buffer used[URING_BATCH];
    uint8_t sealed[URING_BATCH][RTP_HEADER + MAX_PACKET + SRTP_EXTRA]; /* what goes out encrypted; never plain */
};

struct epoll_event;
struct leg;
struct thread;

/* uring_buffers.c */
struct media_uring *media_uring_new(int lock, int buffers, int most_packets, int *error);
uint8_t *uring_buffer(const struct media_uring *ring, int number);
int uring_holds(const struct media_uring *ring, const uint8_t *data);
void uring_use(struct media_uring *ring, int number, int bytes);
void uring_give_back(struct media_uring *ring);
void media_uring_free(struct media_uring *ring);

/* uring_send.c */
int uring_may_send(const struct leg *leg, const uint8_t *data);
void uring_send(struct leg *leg, const uint8_t *data, int length);
void uring_catch_up(const struct leg *leg);
void uring_hand_over(struct thread *thread);

/* uring_ask.c */
uint64_t uring_number(enum uring_kind kind, int64_t id);
int64_t uring_id(const struct io_uring_cqe *completion);
enum uring_kind uring_kind_of(const struct io_uring_cqe *completion);
void uring_receive(struct media_uring *ring, struct leg *leg);
void uring_cancel(struct media_uring *ring, uint64_t number, uint32_t flags);
void uring_poll(struct thread *thread);

/* uring_receive.c */
int media_uring_take(struct thread *thread, int64_t now);
int media_uring_has(const struct leg *leg);

/* uring_turn.c */
void media_uring_begin(struct thread *thread);
void media_uring_wait(struct thread *thread, int64_t until_ns, int is_busy);
int media_uring_events(struct thread *thread, struct epoll_event *events, int most);
void media_uring_settle(struct thread *thread);
void media_uring_end(struct thread *thread);

#endif
