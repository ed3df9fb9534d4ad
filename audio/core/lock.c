/* Legs and taps, found by their ids and locked, as whoever is no media thread needs them. */
#include <errno.h>

#include "kernel.h"
#include "thread.h"

/* Finds the thread of an id and locks it; NULL and *error for an id that cannot be. */
static struct thread *lock_of(struct core *core, int64_t id, int *error)
{
    struct thread *thread = thread_of(core, id);
    *error = -ENOENT;
    if (!thread)
        return NULL;
    thread_lock(thread);
    if (!core->is_closed) {
        kernel_take(thread); /* what came before counts as come before */
        return thread;
    }
    thread_unlock(thread);
    *error = -ESHUTDOWN;
    return NULL;
}

struct leg *leg_look(struct core *core, int64_t id, int *error)
{
    struct thread *thread = lock_of(core, id, error);
    struct leg *leg = thread ? leg_find(thread, id) : NULL;
    if (thread && !leg)
        thread_unlock(thread);
    return leg;
}

struct leg *leg_lock(struct core *core, int64_t id, int *error)
{
    struct leg *leg = leg_look(core, id, error);
    if (leg)
        kernel_release(leg);
    return leg;
}

struct tap *tap_lock(struct core *core, int64_t id, int *error)
{
    struct thread *thread = lock_of(core, id, error);
    struct tap *tap = thread ? tap_find(thread, id) : NULL;
    if (thread && !tap)
        thread_unlock(thread);
    return tap;
}
