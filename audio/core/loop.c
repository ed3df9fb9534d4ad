/* Media threads: what each does in turn, timers (ADR 3). */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "codecs.h"
#include "kernel.h"
#include "leg.h"
#include "media_uring.h"
#include "tap.h"
#include "thread.h"

#define MAX_BATCH 128
#define MEDIA_NICE (-10) /* a busy writer, disk or neighbour must not hold up a conversation */
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
        if (thread->legs[slot]->id) {
            leg_house(thread->legs[slot], now);
            leg_arrive(thread->legs[slot], now); /* whose receive ended with an error, or a while ago: it may stand now */
        }
    kernel_house(thread);
    thread->house_ns = now + (thread->counters.legs ? HOUSE_NS : EMPTY_HOUSE_NS);
}

static int wait_ms(int64_t until_ns)
{
    int64_t left = until_ns - clock_ns();
    return left <= 0 ? 0 : (int)((left + NS_PER_MS - 1) / NS_PER_MS);
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

/* Takes what has come, some of it at these sockets; returns how much it was. */
static int take(struct thread *thread, struct epoll_event *events, int count, int64_t now)
{
    int taken = 0;
    kernel_take(thread);
    if (thread->uring) {
        taken = media_uring_take(thread, now);
        count = media_uring_events(thread, events, MAX_BATCH);
    }
    for (int i = 0; i < count; i++) {
        fetch_ahead(leg_at(events, i + 1, count), leg_at(events, i + 2, count), leg_at(events, i + 3, count), now);
        uintptr_t source = (uintptr_t)events[i].data.ptr; /* a leg, lowest bit set for its RTCP; 0: woken */
        eventfd_t signals;
        if (source)
            socket_readable((struct leg *)(source & ~(uintptr_t)1), source & 1, now);
        else
            (void)!eventfd_read(thread->wake_fd, &signals);
    }
    return taken + count;
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

/* Waits until something has come or is due; returns how many events epoll tells of, if it was asked. */
static int wait_for(struct thread *thread, struct epoll_event *events, int64_t until_ns, int is_busy)
{
    if (thread->relayed)
        until_ns = earlier(until_ns, clock_ns() + RELAYED_MS * NS_PER_MS);
    if (thread->uring) {
        media_uring_wait(thread, until_ns, is_busy);
        return 0;
    }
    if (is_busy)
        gather(thread, until_ns);
    return epoll_wait(thread->epoll, events, MAX_BATCH, wait_ms(until_ns));
}

/* A media thread, from the start of its core to its end. */
void *thread_run(void *argument)
{
    struct thread *thread = argument;
    struct epoll_event events[MAX_BATCH];
    int64_t until_ns = 0, batch_ns = INT64_MIN / 2;
    int is_busy = 0;
    setpriority(PRIO_PROCESS, 0, MEDIA_NICE); /* of this thread only; refused without the right to it, which is no harm */
    prctl(PR_SET_NAME, "media");
    prctl(PR_SET_TIMERSLACK, 1); /* else every wait is 50 us longer */
    thread_lock(thread);
    if (thread->prepared)
        media_uring_begin(thread);
    thread_unlock(thread);
    while (!thread->core->is_stopping) {
        int count = wait_for(thread, events, until_ns, is_busy);
        thread_lock(thread);
        thread->asleep_until_ns = 0;
        int64_t now = clock_ns();
        int taken = take(thread, events, count, now);
        /*
         * With little to do nothing waits; nor does who is behind, else no more than a batch a wait were ever taken. io_uring
         * knows that by itself: it waits for a batch.
         */
        is_busy = (taken < MAX_BATCH || thread->uring) && (taken > 1 || now - batch_ns < thread->core->gather_ns / 2);
        batch_ns = now;
        until_ns = do_due(thread, now);
        if (thread->uring)
            media_uring_settle(thread);
        thread->asleep_until_ns = until_ns;
        thread_unlock(thread);
    }
    thread_lock(thread);
    if (thread->uring)
        media_uring_end(thread);
    thread_unlock(thread);
    return NULL;
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
