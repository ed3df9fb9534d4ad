/* Settled streams that the kernel relays (docs/media-core.md, In the kernel). */
#ifndef AUDIO_CORE_KERNEL_H
#define AUDIO_CORE_KERNEL_H

#include <stdint.h>

#define MAX_RELAYED 264 /* bytes of RTP that the kernel relays: 30 ms of G.711 */

struct core;
struct flow;
struct leg;
struct thread;

/* kernel_flow.c */
/* Lets the kernel relay what comes at a leg, if it may; seq: of the packet that has just been read from its socket. */
void kernel_settle(struct leg *leg, uint16_t seq, int64_t now);
void kernel_withdraw(struct leg *leg);      /* nothing of it is relayed from here on */
void kernel_leave_alone(struct leg *leg, int64_t now); /* for some time: two streams come, and each shuts the other's flow */
void kernel_house(struct thread *thread);

/* kernel_copies.c */
void kernel_take(struct thread *thread);    /* what has been relayed so far */
void kernel_release(struct leg *leg);       /* before anything is done to a leg: nothing comes or goes by it but by us */
/* Its peer's packet came by the socket: what came before goes before. is_expected: it could have been relayed. */
void kernel_catch_up(struct leg *leg, int is_expected);
void kernel_end(struct thread *thread); /* takes the last of it */

/* kernel_open.c */
void kernel_leave(struct core *core, struct flow *flow); /* its socket may be another's soon; NULL: it has none */
void kernel_close(struct core *core);

#endif
