/* Datagrams that have come at the sockets of a leg. */
#include <string.h>

#include "kernel.h"
#include "leg.h"
#include "thread.h"
#include "wire.h"

#define MAX_STRANGERS 64 /* packets of nobody's that a socket may take of one wake-up: 32,000 a second */

/* As the kernel relays them: nothing has to be taken off it. */
static int is_plain_rtp(const uint8_t *data, int length)
{
    return length > RTP_HEADER && length <= MAX_RELAYED && data[0] == 0x80;
}

static int is_of_stream(const struct leg *leg, const uint8_t *data)
{
    return get_u32(data + 8) == leg->in.ssrc && (data[1] & 0x7F) == leg->heard_pt;
}

/* Deals with a datagram that came at a leg; tells whether it counts for nothing. */
int datagram_came(struct leg *leg, int is_rtcp, uint8_t *data, int length, const struct address *source, int64_t now)
{
    struct thread *thread = leg->thread;
    int is_stranger = 0;
    enum origin origin = length > MAX_PACKET ? ORIGIN_STRANGER
                         : !is_rtcp ? source_judge(leg, data, length, source, now)
                         : is_rtcp_of_peer(leg, source) ? ORIGIN_SIGNALLED : ORIGIN_STRANGER;
    if (origin == ORIGIN_STRANGER) {
        is_stranger = 1;
        leg->dropped++;
        thread->counters.dropped++;
    } else if (is_rtcp) {
        receive_rtcp(leg, data, length, now);
    } else {
        int is_plain = is_plain_rtp(data, length) && is_signalled(leg, source);
        uint16_t seq = (uint16_t)get_u32(data);
        if (origin == ORIGIN_MOVED)
            kernel_release(leg); /* where it is, and where its peer's packets go, may be about to change */
        kernel_catch_up(leg, is_plain && is_of_stream(leg, data));
        if (receive_rtp(leg, data, length, now, origin, 0) && is_plain)
            kernel_settle(leg, seq, now);
    }
    return is_stranger;
}

/* Takes one datagram, and tells whether there was one that counts for nothing. */
static int took_stranger(struct leg *leg, int is_rtcp, int64_t now)
{
    struct thread *thread = leg->thread;
    struct address source;
    source.length = sizeof source.at;
    ssize_t length = recvfrom(is_rtcp ? leg->rtcp_fd : leg->rtp_fd, thread->buffer, sizeof thread->buffer,
                              MSG_DONTWAIT, &source.at.any, &source.length);
    if (length < 0)
        return 0;
    int is_stranger = datagram_came(leg, is_rtcp, thread->buffer, (int)length, &source, now);
    explicit_bzero(thread->buffer, (size_t)length);
    return is_stranger;
}

/* Takes one datagram of the peer's; epoll is level-triggered and comes back for more. What strangers sent is cleared
   away at once: one packet a wake-up would leave a flood in the socket's buffer, and none of the room to the peer. */
void socket_readable(struct leg *leg, int is_rtcp, int64_t now)
{
    int strangers = 0;
    while (leg->id && strangers < MAX_STRANGERS && took_stranger(leg, is_rtcp, now)) /* no id: closed meanwhile */
        strangers++;
}
