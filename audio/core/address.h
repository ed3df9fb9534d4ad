/* Addresses and networks (address.c). */
#ifndef AUDIO_CORE_ADDRESS_H
#define AUDIO_CORE_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
    socklen_t length; /* 0: none */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
};

/* The addresses whose first bits are these. */
struct network {
    int family, bits;
    uint8_t first[16];
};

int address_equal(const struct address *a, const struct address *b);
int is_same_host(const struct address *a, const struct address *b); /* whatever the ports */
int address_parse(struct address *out, const char *ip, int port); /* ip NULL: none */
int address_bytes(const struct address *address, const uint8_t **bytes); /* how many there are */
int port_of(const struct address *address);
int is_in_network(const struct network *network, const struct address *source);

#endif
