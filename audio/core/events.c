/* The bounded ring of events and its eventfd; what does not fit is counted, never waited for. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "thread.h"

void report(struct core *core, struct event event)
{
    pthread_mutex_lock(&core->events_lock);
    if (core->events_count == core->events_max) {
        core->events_dropped++;
    } else {
        int at = (core->events_head + core->events_count++) % core->events_max;
        core->events[at] = event;
        if (core->events_count == 1) /* one signal wakes the reader for all that follow until it drains */
            eventfd_write(core->event_fd, 1);
    }
    pthread_mutex_unlock(&core->events_lock);
}

int core_event_fd(const struct core *core)
{
    return core->event_fd;
}

int core_drain_events(struct core *core, struct event *out, int max)
{
    int count = 0;
    pthread_mutex_lock(&core->events_lock);
    for (; count < max && core->events_count > 0; count++, core->events_count--) {
        out[count] = core->events[core->events_head];
        core->events[core->events_head] = (struct event){0}; /* digits do not stay in memory */
        core->events_head = (core->events_head + 1) % core->events_max;
    }
    eventfd_t signals;
    if (core->events_count == 0 && core->event_fd >= 0)
        (void)!eventfd_read(core->event_fd, &signals);
    pthread_mutex_unlock(&core->events_lock);
    return count;
}

int64_t core_dropped_events(struct core *core)
{
    pthread_mutex_lock(&core->events_lock);
    int64_t dropped = core->events_dropped;
    pthread_mutex_unlock(&core->events_lock);
    return dropped;
}
