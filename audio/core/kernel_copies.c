/* Copies of what the kernel has relayed: taken as if they had come at their sockets, but for being sent (ADR 29). */
#include <sched.h>
#include <string.h>

#include "flows.h"
#include "leg.h"

#define PATIENCE_NS (2 * NS_PER_MS) /* with a processor that was taken away in the middle of a copy */

/* NULL: it has not come. */
static struct copy *copy_at(struct copy *ring, __u64 number)
{
    struct copy *copy = &ring[number & (COPY_SLOTS - 1)];
    return __atomic_load_n(&copy->turn, __ATOMIC_ACQUIRE) == number + 1 ? copy : NULL;
}

static struct leg *leg_of(struct thread *thread, struct copy *ring, __u64 number)
{
    const struct copy *copy = copy_at(ring, number);
    return copy ? leg_find(thread, (int64_t)copy->leg) : NULL;
}

static void take(struct leg *leg, struct copy *copy)
{
    int length = (int)copy->length;
    if (leg && length > 0 && length <= COPY_BYTES) {
        leg->has_relayed = 1;
        receive_rtp(leg, copy->rtp, length, (int64_t)copy->arrival_ns, ORIGIN_SIGNALLED, 1);
        if (!kernel_is_settled(leg, (int64_t)copy->arrival_ns))
            kernel_withdraw(leg);
    }
    explicit_bzero(copy->rtp, sizeof copy->rtp);
}

/* Takes the copies that are numbered below the end; those that are not there yet only with patience. */
static void take_copies(struct thread *thread, __u64 end, int is_patient)
{
    struct kernel *kernel = thread->core->kernel;
    struct copy *ring = &kernel->copies[(size_t)thread->index * COPY_SLOTS], *copy;
    struct copy_ends *ends = &kernel->ends[thread->index];
    int64_t now = clock_ns();
    for (__u64 number = ends->taken; number < end; number++) {
        while (!(copy = copy_at(ring, number)) && is_patient && clock_ns() - now < PATIENCE_NS)
            sched_yield();
        if (!copy)
            return;
        fetch_ahead(leg_of(thread, ring, number + 1), leg_of(thread, ring, number + 2), leg_of(thread, ring, number + 3), now);
        take(leg_of(thread, ring, number), copy);
        __atomic_store_n(&ends->taken, number + 1, __ATOMIC_RELEASE);
    }
}

static void take_until_now(struct thread *thread, int is_patient)
{
    struct copy_ends *ends = &thread->core->kernel->ends[thread->index];
    __atomic_store_n(&ends->looked_ns, (__u64)clock_ns(), __ATOMIC_RELAXED);
    take_copies(thread, __atomic_load_n(&ends->claimed, __ATOMIC_SEQ_CST), is_patient);
}

void kernel_take(struct thread *thread)
{
    if (thread->core->kernel)
        take_until_now(thread, 0);
}

void kernel_catch_up(struct leg *leg, int is_expected)
{
    if (!leg->is_relayed)
        return;
    kernel_withdraw(leg);
    take_until_now(leg->thread, 1);
    if ((is_expected && !leg->has_relayed) || leg->flow->is_too_fast)
        leg->settle_ns = clock_ns() + TRY_AGAIN_NS;
}

void kernel_release(struct leg *leg)
{
    if (!leg->thread->core->kernel)
        return;
    kernel_withdraw(leg);
    if (leg->peer)
        kernel_withdraw(leg->peer);
    leg->settle_ns = 0;
    take_until_now(leg->thread, 1);
}

void kernel_end(struct thread *thread)
{
    if (!thread->core->kernel)
        return;
    kernel_withdraw_all(thread);
    take_until_now(thread, 1);
}
