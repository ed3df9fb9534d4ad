/* Media threads and the core that they belong to. All that is theirs is guarded by their fair locks.
   Every file sees into both: what it does is counted, reported and woken there, and nothing of a leg or tap lies in them. */
#ifndef AUDIO_CORE_THREAD_H
#define AUDIO_CORE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "core.h"
#include "memory.h"
#include "packet.h"

struct flow;
struct kernel;
struct leg;
struct media_uring;
struct tap;

struct thread {
    struct core *core;
    int index;
    pthread_t handle;
    pthread_mutex_t next, data; /* taken in this order; whoever waits holds next, so nobody overtakes */
    int epoll, wake_fd;
    struct media_uring *uring, *prepared; /* uring NULL: epoll alone; prepared: until the thread begins */
    struct leg **legs; /* slots are never freed before the core: a stale epoll event meets a slot, never free memory */
    struct tap **taps;
    int leg_slots, tap_slots;
    int64_t generation;
    struct leg *active; /* legs with something due: prompts, digits, a held star */
    int64_t due_ns, house_ns, asleep_until_ns;
    int relayed;   /* legs whose packets the kernel relays */
    int routes_fd, policies_fd; /* tell that ways, or what IPsec wants, have changed; with a kernel only */
    struct core_counters counters;
    _Alignas(16) uint8_t buffer[MAX_PACKET + 1];
    uint8_t sealed[RTP_HEADER + MAX_PACKET + SRTP_EXTRA]; /* a packet that goes out encrypted; never plain */
    int16_t samples[MAX_PACKET];
};

struct core {
    struct kernel *kernel; /* NULL: it relays nothing */
    struct slabs slabs;
    int thread_count, lock_memory;
    int64_t dead_rtp_ns, gather_ns;
    int64_t turned_ns; /* the time that core_turn was given last; 0: the system's clock counts */
    atomic_int is_stopping, is_closed;
    int is_started;
    pthread_mutex_t life; /* start and close */
    struct thread *threads;
    pthread_mutex_t events_lock;
    int event_fd, events_max, events_head, events_count;
    int64_t events_dropped;
    struct event *events;
};

#define HOUSE_NS (250 * NS_PER_MS) /* between two looks at all legs of a thread */
#define EMPTY_HOUSE_NS (10000 * NS_PER_MS) /* the same without legs: nothing wakes the machine for nothing */

/* loop.c */
void *thread_run(void *thread);

/* thread.c */
int64_t clock_ns(void);
int64_t core_now(const struct core *core);
void thread_lock(struct thread *thread);
void thread_unlock(struct thread *thread);
int64_t new_id(struct thread *thread, int slot);
struct thread *thread_of(struct core *core, int64_t id);
struct leg *leg_find(struct thread *thread, int64_t id);
struct tap *tap_find(struct thread *thread, int64_t id);
void leg_wake_at(struct leg *leg, int64_t at_ns);
void thread_has_leg(struct thread *thread);

/* lock.c */
struct leg *leg_lock(struct core *core, int64_t id, int *error);
struct leg *leg_look(struct core *core, int64_t id, int *error); /* to change nothing of it */
struct tap *tap_lock(struct core *core, int64_t id, int *error);

/* events.c */
void report(struct core *core, struct event event);

#endif
