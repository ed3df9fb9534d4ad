/* The life of a core: its threads are made, start and end with it (ADR 3). */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kernel.h"
#include "leg.h"
#include "media_uring.h"
#include "tap.h"
#include "thread.h"

#define MAX_THREADS 64
#define MAX_GATHER_NS (10 * NS_PER_MS)

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
    slabs_new(&core->slabs);
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

static void forget_io_uring(struct core *core)
{
    for (int i = 0; i < core->thread_count; i++) {
        if (core->threads[i].prepared)
            media_uring_free(core->threads[i].prepared);
        core->threads[i].prepared = NULL;
    }
}

int core_use_io_uring(struct core *core, int buffers, int packets_per_s)
{
    pthread_mutex_lock(&core->life);
    int may_be = buffers >= 0 && packets_per_s > 0 && !core->is_closed && !core->is_started && !core->threads[0].prepared;
    int error = may_be ? 0 : -EINVAL, most = (int)(packets_per_s * HOUSE_NS / (1000 * NS_PER_MS)) + 1;
    for (int i = 0; i < core->thread_count && may_be && !error; i++)
        core->threads[i].prepared = media_uring_new(core->lock_memory, buffers, most, &error);
    if (may_be && error)
        forget_io_uring(core);
    pthread_mutex_unlock(&core->life);
    return error;
}

int core_uses_io_uring(struct core *core)
{
    int count = 0;
    for (int i = 0; i < core->thread_count; i++) {
        thread_lock(&core->threads[i]);
        count += core->threads[i].uring || core->threads[i].prepared;
        thread_unlock(&core->threads[i]);
    }
    return count;
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
        error = -pthread_create(&core->threads[i].handle, NULL, thread_run, &core->threads[i]);
    if (!error)
        slabs_start(&core->slabs);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_mutex_unlock(&core->life);
    return error;
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
        slabs_stop(&core->slabs);
        core->is_closed = 1;
        forget_io_uring(core); /* of threads that have not begun */
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
