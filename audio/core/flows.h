/* What the kernel's program shares with a core (kernel_open.c), for those who deal with flows. */
#ifndef AUDIO_CORE_FLOWS_H
#define AUDIO_CORE_FLOWS_H

#include <stdint.h>

#include "bpf/flow.h"
#include "kernel.h"
#include "thread.h"

#define MAX_INTERFACES 16

struct bpf_object;

struct kernel {
    struct bpf_object *object;
    int links[MAX_INTERFACES], link_count; /* descriptors: closed with the process, and nothing more is relayed then */
    int places, most_packets; /* the latter in WINDOW_NS */
    __u32 loopback; /* its interface, if it is one of those */
    struct flow *flows;
    struct copy *copies;
    struct copy_ends *ends;
    size_t flows_size, copies_size, ends_size;
    pthread_mutex_t lock; /* of what follows */
    int free_count;
    uint16_t free[FLOW_MAX]; /* flows that are nobody's */
};

/* A flow of the leg with this address, shut; NULL: there is none free. */
struct flow *kernel_place(struct kernel *kernel, uint32_t ip, uint16_t port);

#define TRY_AGAIN_NS (5000 * NS_PER_MS) /* after a stream turned out not to be for the kernel */

/* kernel_flow.c */
int kernel_is_settled(const struct leg *from, int64_t now);
void kernel_withdraw_all(struct thread *thread);

/* route.c */
int route_interface(uint32_t to_ip, uint32_t from_ip);
int has_ipsec(void);
int routes_watch(void);   /* a descriptor, or less than none */
int policies_watch(void); /* the same, of IPsec's; -EPROTONOSUPPORT where there is no IPsec */
int has_news(int fd);     /* since it was asked last */

#endif
