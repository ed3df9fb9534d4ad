/* The floor: receive, copy the payload to memory, send on; nothing else. One thread, epoll.
 *
 * bare_loop GATHER_US PAIRS: waits GATHER_US after each batch so that packets gather, 0 for none, as the media core does
 * under load: without it the price of waking up, not that of the work, is what is measured. Reads PAIRS lines "a_port b_port" (where the two parties of a pair listen on 127.0.0.1), answers each
 * with a line "a_port b_port" (where they are to send to), then relays until standard input ends.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#define RTP_HEADER 12
#define MEMORY 65536
#define BATCH 64
#define INPUT_ENDED UINT32_MAX

struct leg {
    int fd;
    size_t at;
    uint8_t memory[MEMORY];
};

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int open_leg(struct leg *leg, int remote_port)
{
    struct sockaddr_in local = loopback(0), remote = loopback(remote_port);
    socklen_t length = sizeof local;
    leg->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (leg->fd < 0 || bind(leg->fd, (struct sockaddr *)&local, sizeof local) < 0)
        fail("socket");
    if (connect(leg->fd, (struct sockaddr *)&remote, sizeof remote) < 0)
        fail("connect");
    if (getsockname(leg->fd, (struct sockaddr *)&local, &length) < 0)
        fail("getsockname");
    return ntohs(local.sin_port);
}

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
    if (length <= RTP_HEADER)
        return;
    size_t bytes = (size_t)length - RTP_HEADER;
    if (from->at + bytes > MEMORY)
        from->at = 0;
    memcpy(from->memory + from->at, packet + RTP_HEADER, bytes);
    from->at += bytes;
    /* A packet that the kernel does not take is lost, and is counted at the far end. */
    (void)!send(to->fd, packet, (size_t)length, 0);
}

int main(int count, char **values)
{
    int gather_us = count == 3 ? atoi(values[1]) : -1, pairs = count == 3 ? atoi(values[2]) : 0;
    if (pairs < 1 || gather_us < 0 || gather_us > 999999) {
        fprintf(stderr, "usage: bare_loop GATHER_US PAIRS\n");
        return 2;
    }
    struct timespec gather = {.tv_nsec = gather_us * 1000L};
    prctl(PR_SET_TIMERSLACK, 1);
    struct leg *legs = calloc((size_t)pairs * 2, sizeof *legs);
    int epoll = epoll_create1(0);
    if (legs == NULL || epoll < 0)
        fail("bare_loop");
    for (int pair = 0; pair < pairs; pair++) {
        int a, b;
        if (scanf("%d %d", &a, &b) != 2)
            return 2;
        int at_a = open_leg(&legs[2 * pair], a);
        int at_b = open_leg(&legs[2 * pair + 1], b);
        printf("%d %d\n", at_a, at_b);
        watch(epoll, legs[2 * pair].fd, (uint32_t)(2 * pair));
        watch(epoll, legs[2 * pair + 1].fd, (uint32_t)(2 * pair + 1));
    }
    fflush(stdout);
    watch(epoll, 0, INPUT_ENDED);
    for (;;) {
        struct epoll_event ready[BATCH];
        int events = epoll_wait(epoll, ready, BATCH, -1);
        for (int at = 0; at < events; at++) {
            uint32_t leg = ready[at].data.u32;
            if (leg == INPUT_ENDED)
                return 0;
            relay(&legs[leg], &legs[leg ^ 1]);
        }
        if (gather_us > 0 && events < BATCH)
            nanosleep(&gather, NULL);
    }
}
