/* Addresses and networks: parsed and compared. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "address.h"

int address_equal(const struct address *a, const struct address *b)
{
    if (a->length != b->length || a->at.any.sa_family != b->at.any.sa_family)
        return 0;
    if (a->at.any.sa_family == AF_INET)
        return a->at.v4.sin_port == b->at.v4.sin_port && a->at.v4.sin_addr.s_addr == b->at.v4.sin_addr.s_addr;
    return a->at.v6.sin6_port == b->at.v6.sin6_port &&
           memcmp(&a->at.v6.sin6_addr, &b->at.v6.sin6_addr, sizeof a->at.v6.sin6_addr) == 0;
}

int is_same_host(const struct address *a, const struct address *b)
{
    const uint8_t *bytes, *others;
    int length = address_bytes(a, &bytes);
    return a->length && b->length && a->at.any.sa_family == b->at.any.sa_family &&
           address_bytes(b, &others) == length && !memcmp(bytes, others, (size_t)length);
}

int address_parse(struct address *out, const char *ip, int port)
{
    memset(out, 0, sizeof *out);
    if (!ip)
        return 0;
    if (port < 1 || port > 65535)
        return -EINVAL;
    if (inet_pton(AF_INET, ip, &out->at.v4.sin_addr) == 1) {
        out->at.v4.sin_family = AF_INET;
        out->at.v4.sin_port = htons((uint16_t)port);
        out->length = sizeof out->at.v4;
        return 0;
    }
    if (inet_pton(AF_INET6, ip, &out->at.v6.sin6_addr) == 1) {
        out->at.v6.sin6_family = AF_INET6;
        out->at.v6.sin6_port = htons((uint16_t)port);
        out->length = sizeof out->at.v6;
        return 0;
    }
    return -EINVAL;
}

int port_of(const struct address *address)
{
    return ntohs(address->at.any.sa_family == AF_INET6 ? address->at.v6.sin6_port : address->at.v4.sin_port);
}

/* The bytes of an address and how many there are. */
int address_bytes(const struct address *address, const uint8_t **bytes)
{
    int is_v6 = address->at.any.sa_family == AF_INET6;
    *bytes = is_v6 ? address->at.v6.sin6_addr.s6_addr : (const uint8_t *)&address->at.v4.sin_addr;
    return is_v6 ? 16 : 4;
}

int is_in_network(const struct network *network, const struct address *source)
{
    const uint8_t *bytes;
    address_bytes(source, &bytes);
    if (network->family != source->at.any.sa_family)
        return 0;
    int whole = network->bits / 8, rest = network->bits % 8;
    return !memcmp(network->first, bytes, (size_t)whole) &&
           (!rest || !((network->first[whole] ^ bytes[whole]) >> (8 - rest)));
}
