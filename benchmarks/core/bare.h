/* What the two floors share: legs, how they are opened, and how a program of the benchmarks is told of its pairs. */
#ifndef BARE_H
#define BARE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#define RTP_HEADER 12
#define MEMORY 65536

struct leg {
    int fd;
    size_t at;
    uint8_t memory[MEMORY];
};

struct bare {
    struct timespec gather;
    int pairs;
    struct leg *legs;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
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

/* Opens what the arguments and standard input name; ends the program where they name nothing. */
static struct bare open_bare(int count, char **values)
{
    int gather_us = count == 3 ? atoi(values[1]) : -1, pairs = count == 3 ? atoi(values[2]) : 0;
    if (pairs < 1 || gather_us < 0 || gather_us > 999999) {
        fprintf(stderr, "usage: %s GATHER_US PAIRS\n", values[0]);
        exit(2);
    }
    prctl(PR_SET_TIMERSLACK, 1);
    struct bare bare = {.gather.tv_nsec = gather_us * 1000L, .pairs = pairs};
    bare.legs = calloc((size_t)pairs * 2, sizeof *bare.legs);
    if (bare.legs == NULL)
        fail("calloc");
    for (int pair = 0; pair < pairs; pair++) {
        int a, b;
        if (scanf("%d %d", &a, &b) != 2)
            exit(2);
        int at_a = open_leg(&bare.legs[2 * pair], a);
        int at_b = open_leg(&bare.legs[2 * pair + 1], b);
        printf("%d %d\n", at_a, at_b);
    }
    fflush(stdout);
    return bare;
}

/* Keeps the audio of a packet; false where it has none. */
static int keep(struct leg *from, const uint8_t *packet, ssize_t length)
{
    if (length <= RTP_HEADER)
        return 0;
    size_t bytes = (size_t)length - RTP_HEADER;
    if (from->at + bytes > MEMORY)
        from->at = 0;
    memcpy(from->memory + from->at, packet + RTP_HEADER, bytes);
    from->at += bytes;
    return 1;
}

#endif
