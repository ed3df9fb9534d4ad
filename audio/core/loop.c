/* Media threads: epoll, timers, and the life of a core (ADR 3). */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "codecs.h"
#include "kernel.h"
#include "leg.h"
#include "tap.h"
#include "thread.h"

#define MAX_THREADS 64
#define MAX_BATCH 128
#define HOUSE_NS (250 * NS_PER_MS)
#define MEDIA_NICE (-10) /* a busy writer, disk or neighbour must not hold up a conversation */
#define MAX_GATHER_NS (10 * NS_PER_MS)
#define RELAYED_MS 4 /* between looks at what the kernel has relayed: it wakes nobody for it */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Runs what is due on the active legs; those with nothing left drop off. A tick may wake other legs, hence the new list. */
static void tick(struct thread *thread, int64_t now)
{
    struct leg *leg = thread->active, *following;
    thread->active = NULL;
    thread->due_ns = NEVER;
    for (; leg; leg = following) {
        following = leg->next_active;
        int64_t next = prompt_tick(leg, now);
        next = earlier(next, press_tick(leg, now));
        next = earlier(next, dtmf_tick(leg, now));
        next = earlier(next, delay_tick(leg, now));
        leg->is_active = 0;
        if (next != NEVER)
            leg_wake_at(leg, next);
    }
}

static void keep_house(struct thread *thread, int64_t now)
{
    for (int slot = 0; slot < thread->leg_slots; slot++)
        if (thread->legs[slot]->id)
            leg_house(thread->legs[slot], now);
    kernel_house(thread);
    thread->house_ns = now + HOUSE_NS;
}

static int wait_ms(const struct thread *thread, int64_t until_ns)
{
    int64_t left = until_ns - clock_ns();
    int wait = left <= 0 ? 0 : (int)((left + NS_PER_MS - 1) / NS_PER_MS);
    return thread->relayed && wait > RELAYED_MS ? RELAYED_MS : wait;
}

/* Lets packets gather for gather_ns, or until something is due: a wake-up costs as much as several packets. */
static void gather(const struct thread *thread, int64_t due_ns)
{
    int64_t now = clock_ns(), until = now + thread->core->gather_ns;
    struct timespec pause = {.tv_nsec = (long)((until < due_ns ? until : due_ns) - now)};
    if (pause.tv_nsec > 0)
        nanosleep(&pause, NULL);
}

static struct leg *leg_of(const struct epoll_event *event)
{
    return (struct leg *)((uintptr_t)event->data.ptr & ~(uintptr_t)1);
}

static struct leg *leg_at(const struct epoll_event *events, int at, int count)
{
    return at < count ? leg_of(&events[at]) : NULL;
}

/* Takes what has come, some of it at these sockets. */
static void take(struct thread *thread, const struct epoll_event *events, int count, int64_t now)
{
    kernel_take(thread);
    for (int i = 0; i < count; i++) {
        fetch_ahead(leg_at(events, i + 1, count), leg_at(events, i + 2, count), leg_at(events, i + 3, count), now);
        uintptr_t source = (uintptr_t)events[i].data.ptr; /* a leg, lowest bit set for its RTCP; 0: woken */
        eventfd_t signals;
        if (source)
            socket_readable((struct leg *)(source & ~(uintptr_t)1), source & 1, now);
        else
            (void)!eventfd_read(thread->wake_fd, &signals);
    }
}

/* Does what is due; returns when something is due again. */
static int64_t do_due(struct thread *thread, int64_t now)
{
    if (now >= thread->due_ns)
        tick(thread, now);
    if (now >= thread->house_ns)
        keep_house(thread, now);
    return earlier(thread->due_ns, thread->house_ns);
}

/* Waits until something has come or is due; returns how many of the events there are. */
static int wait_for(struct thread *thread, struct epoll_event *events, int64_t until_ns, int is_busy)
{
    if (is_busy)
        gather(thread, until_ns);
    return epoll_wait(thread->epoll, events, MAX_BATCH, wait_ms(thread, until_ns));
}

static void *run(void *argument)
{
    struct thread *thread = argument;
    struct epoll_event events[MAX_BATCH];
    int64_t until_ns = 0, batch_ns = INT64_MIN / 2;
    int is_busy = 0;
    setpriority(PRIO_PROCESS, 0, MEDIA_NICE); /* of this thread only; refused without the right to it, which is no harm */
    prctl(PR_SET_TIMERSLACK, 1); /* else every wait is 50 us longer */
    while (!thread->core->is_stopping) {
        int count = wait_for(thread, events, until_ns, is_busy);
        thread_lock(thread);
        thread->asleep_until_ns = 0;
        int64_t now = clock_ns();
        take(thread, events, count, now);
        /* With little to do nothing waits; nor does who is behind, else no more than a batch a wait were ever taken. */
        is_busy = count < MAX_BATCH && (count > 1 || now - batch_ns < thread->core->gather_ns / 2);
        batch_ns = now;
        until_ns = do_due(thread, now);
        thread->asleep_until_ns = until_ns;
        thread_unlock(thread);
    }
    return NULL;
}

static int thread_init(struct core *core, int index)
{
    struct thread *thread = &core->threads[index];
    thread->core = core;
    thread->index = index;
    thread->due_ns = NEVER;
    thread->routes_fd = thread->policies_fd = -1;
    pthread_mutex_init(&thread->next, NULL);
    pthread_mutex_init(&thread->data, NULL);
    thread->epoll = epoll_create1(EPOLL_CLOEXEC);
    thread->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = NULL};
    if (thread->epoll < 0 || thread->wake_fd < 0)
        return -1;
    return epoll_ctl(thread->epoll, EPOLL_CTL_ADD, thread->wake_fd, &wake);
}

struct core *core_new(int threads, int max_events, int lock_memory, int64_t dead_rtp_ns, int64_t gather_ns)
{
    if (threads < 1 || threads > MAX_THREADS || max_events < 1 || dead_rtp_ns < 1 || gather_ns < 0 ||
        gather_ns > MAX_GATHER_NS) {
        errno = EINVAL;
        return NULL;
    }
    struct core *core = calloc(1, sizeof *core);
    if (!core)
        return NULL;
    g711_init();
    pthread_mutex_init(&core->events_lock, NULL);
    pthread_mutex_init(&core->life, NULL);
    pthread_mutex_init(&core->slabs.lock, NULL);
    core->lock_memory = lock_memory;
    core->dead_rtp_ns = dead_rtp_ns;
    core->gather_ns = gather_ns;
    core->events_max = max_events;
    core->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    core->events = calloc((size_t)max_events, sizeof *core->events);
    core->threads = calloc((size_t)threads, sizeof *core->threads);
    int is_good = core->event_fd >= 0 && core->events && core->threads;
    for (int i = 0; is_good && i < threads; i++) {
        core->thread_count = i + 1;
        is_good = thread_init(core, i) == 0;
    }
    if (is_good)
        return core;
    int error = errno;
    core_close(core);
    core_free(core);
    errno = error;
    return NULL;
}

int core_start(struct core *core)
{
    int error = 0;
    pthread_mutex_lock(&core->life);
    if (core->is_closed || core->is_started) {
        error = core->is_closed ? -ESHUTDOWN : 0;
        pthread_mutex_unlock(&core->life);
        return error;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    for (int i = 0; i < core->thread_count && !error; i++, core->is_started += !error)
        error = -pthread_create(&core->threads[i].handle, NULL, run, &core->threads[i]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_mutex_unlock(&core->life);
    return error;
}

int64_t core_turn(struct core *core, int64_t now_ns)
{
    struct epoll_event events[MAX_BATCH];
    int64_t error = 0, next = NEVER;
    pthread_mutex_lock(&core->life);
    if (core->is_closed || core->is_started || now_ns < 1 || now_ns < core->turned_ns)
        error = core->is_closed ? -ESHUTDOWN : -EINVAL;
    else
        core->turned_ns = now_ns;
    for (int i = 0; i < core->thread_count && !error; i++) {
        struct thread *thread = &core->threads[i];
        int count;
        int64_t due;
        do {
            count = epoll_wait(thread->epoll, events, MAX_BATCH, 0);
            thread_lock(thread);
            take(thread, events, count, now_ns);
            due = do_due(thread, now_ns);
            thread_unlock(thread);
        } while (count > 0);
        next = due < next ? due : next;
    }
    pthread_mutex_unlock(&core->life);
    return error ? error : next;
}

static void close_thread(struct thread *thread)
{
    thread_lock(thread);
    kernel_end(thread);
    for (int slot = 0; slot < thread->tap_slots; slot++)
        if (thread->taps[slot]->id)
            tap_free(thread->taps[slot]);
    for (int slot = 0; slot < thread->leg_slots; slot++)
        if (thread->legs[slot]->id)
            leg_detach(thread->legs[slot]);
    explicit_bzero(thread->buffer, sizeof thread->buffer);
    explicit_bzero(thread->samples, sizeof thread->samples);
    if (thread->epoll >= 0)
        close(thread->epoll);
    if (thread->wake_fd >= 0)
        close(thread->wake_fd);
    thread->epoll = thread->wake_fd = -1;
    thread_unlock(thread);
}

void core_close(struct core *core)
{
    pthread_mutex_lock(&core->life);
    if (!core->is_closed) {
        core->is_stopping = 1;
        for (int i = 0; i < core->is_started; i++)
            eventfd_write(core->threads[i].wake_fd, 1);
        for (int i = 0; i < core->is_started; i++)
            pthread_join(core->threads[i].handle, NULL);
        core->is_closed = 1;
        for (int i = 0; i < core->thread_count; i++)
            close_thread(&core->threads[i]);
        kernel_close(core);
        pthread_mutex_lock(&core->events_lock);
        if (core->event_fd >= 0)
            close(core->event_fd);
        core->event_fd = -1;
        pthread_mutex_unlock(&core->events_lock);
    }
    pthread_mutex_unlock(&core->life);
}

void core_free(struct core *core)
{
    for (int i = 0; i < core->thread_count; i++) {
        struct thread *thread = &core->threads[i];
        free(thread->legs);
        free(thread->taps);
        pthread_mutex_destroy(&thread->next);
        pthread_mutex_destroy(&thread->data);
    }
    if (core->events)
        explicit_bzero(core->events, sizeof *core->events * (size_t)core->events_max);
    free(core->events);
    free(core->threads);
    slabs_free(&core->slabs); /* legs and taps lie there */
    pthread_mutex_destroy(&core->slabs.lock);
    pthread_mutex_destroy(&core->events_lock);
    pthread_mutex_destroy(&core->life);
    free(core);
}

void core_count(struct core *core, struct core_counters *out)
{
    memset(out, 0, sizeof *out);
    int64_t *total = (int64_t *)out;
    for (int i = 0; i < core->thread_count; i++) {
        thread_lock(&core->threads[i]);
        const int64_t *part = (const int64_t *)&core->threads[i].counters;
        for (size_t at = 0; at < sizeof *out / sizeof *total; at++)
            total[at] += part[at];
        thread_unlock(&core->threads[i]);
    }
}
