/*
 * What everything stands on: the clock, the fair lock of a thread, wake-ups, and legs and taps by their ids (ADR 3).
 *
 * An id is generation << 24 | thread << 16 | slot: never used twice, and found without a search.
 */
#include <sys/eventfd.h>
#include <time.h>

#include "leg.h"
#include "tap.h"
#include "thread.h"

int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* The time by which legs and taps are judged: the system's clock, or that of whoever turns a core by hand. */
int64_t core_now(const struct core *core)
{
    return core->turned_ns ? core->turned_ns : clock_ns();
}

void thread_lock(struct thread *thread)
{
    pthread_mutex_lock(&thread->next);
    pthread_mutex_lock(&thread->data);
    pthread_mutex_unlock(&thread->next);
}

void thread_unlock(struct thread *thread)
{
    pthread_mutex_unlock(&thread->data);
}

int64_t new_id(struct thread *thread, int slot)
{
    return ++thread->generation << 24 | (int64_t)thread->index << 16 | slot;
}

struct thread *thread_of(struct core *core, int64_t id)
{
    int index = (int)(id >> 16 & 0xFF);
    return id > 0 && index < core->thread_count ? &core->threads[index] : NULL;
}

struct leg *leg_find(struct thread *thread, int64_t id)
{
    int slot = (int)(id & 0xFFFF);
    return slot < thread->leg_slots && thread->legs[slot]->id == id ? thread->legs[slot] : NULL;
}

struct tap *tap_find(struct thread *thread, int64_t id)
{
    int slot = (int)(id & 0xFFFF);
    return slot < thread->tap_slots && thread->taps[slot]->id == id ? thread->taps[slot] : NULL;
}

/* Wakes a thread that would sleep beyond a time. */
static void wake_by(struct thread *thread, int64_t at_ns)
{
    if (at_ns < thread->asleep_until_ns) {
        thread->asleep_until_ns = at_ns;
        eventfd_write(thread->wake_fd, 1);
    }
}

/* Has the thread look at its legs soon: it may have had none. */
void thread_has_leg(struct thread *thread)
{
    int64_t at_ns = core_now(thread->core) + HOUSE_NS;
    if (at_ns < thread->house_ns)
        thread->house_ns = at_ns;
    wake_by(thread, thread->house_ns);
}

/* Has the leg's tick called at at_ns or before. */
void leg_wake_at(struct leg *leg, int64_t at_ns)
{
    struct thread *thread = leg->thread;
    if (!leg->is_active) {
        leg->is_active = 1;
        leg->next_active = thread->active;
        thread->active = leg;
    }
    if (at_ns < thread->due_ns)
        thread->due_ns = at_ns;
    wake_by(thread, thread->due_ns);
}
