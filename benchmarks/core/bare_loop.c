/* The floor: receive, copy the payload to memory, send on; nothing else. One thread, epoll.
 *
 * bare_loop GATHER_US PAIRS: waits GATHER_US after each batch so that packets gather, 0 for none, as the media core does
 * under load: without it the price of waking up, not that of the work, is what is measured. Reads PAIRS lines
 * "a_port b_port" (where the two parties of a pair listen on 127.0.0.1), answers each with a line "a_port b_port" (where
 * they are to send to), then relays until standard input ends.
 */
#include "bare.h"

#include <sys/epoll.h>

#define BATCH 64
#define INPUT_ENDED UINT32_MAX

static void watch(int epoll, int fd, uint32_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
}

static void relay(struct leg *from, const struct leg *to)
{
    uint8_t packet[2048];
    ssize_t length = recv(from->fd, packet, sizeof packet, 0);
    /* A packet that the kernel does not take is lost, and is counted at the far end. */
    if (keep(from, packet, length))
        (void)!send(to->fd, packet, (size_t)length, 0);
}

int main(int count, char **values)
{
    struct bare bare = open_bare(count, values);
    int epoll = epoll_create1(0);
    if (epoll < 0)
        fail("epoll_create1");
    for (int leg = 0; leg < 2 * bare.pairs; leg++)
        watch(epoll, bare.legs[leg].fd, (uint32_t)leg);
    watch(epoll, 0, INPUT_ENDED);
    for (;;) {
        struct epoll_event ready[BATCH];
        int events = epoll_wait(epoll, ready, BATCH, -1);
        for (int at = 0; at < events; at++) {
            uint32_t leg = ready[at].data.u32;
            if (leg == INPUT_ENDED)
                return 0;
            relay(&bare.legs[leg], &bare.legs[leg ^ 1]);
        }
        if (bare.gather.tv_nsec > 0 && events < BATCH)
            nanosleep(&bare.gather, NULL);
    }
}
