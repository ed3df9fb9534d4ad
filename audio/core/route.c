/* By which interface a packet leaves, as rtnetlink(7) tells it. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <unistd.h>

#include "state.h"

struct question {
    struct nlmsghdr header;
    struct rtmsg route;
    struct rtattr to;
    uint32_t to_ip;
    struct rtattr from;
    uint32_t from_ip;
};

union answer {
    struct nlmsghdr header;
    char bytes[1024];
};

/* The kernel answers before send returns; bytes of it, or less than none. */
static ssize_t ask(const struct question *question, union answer *answer)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return -1;
    ssize_t length = send(fd, question, sizeof *question, 0);
    if (length > 0)
        length = recv(fd, answer, sizeof *answer, MSG_DONTWAIT);
    close(fd);
    return length;
}

/* The interface's index; 0: there is no way, or the way is to this machine. Addresses as on the wire. */
int route_interface(uint32_t to_ip, uint32_t from_ip)
{
    struct question question = {
        .header = {.nlmsg_len = sizeof question, .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
        .route = {.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_src_len = 32},
        .to = {.rta_len = RTA_LENGTH(sizeof to_ip), .rta_type = RTA_DST},
        .to_ip = to_ip,
        .from = {.rta_len = RTA_LENGTH(sizeof from_ip), .rta_type = RTA_SRC},
        .from_ip = from_ip,
    };
    union answer answer;
    ssize_t length = ask(&question, &answer);
    if (length < (ssize_t)sizeof answer.header || !NLMSG_OK(&answer.header, (size_t)length) ||
        answer.header.nlmsg_type != RTM_NEWROUTE)
        return 0;
    struct rtmsg *route = NLMSG_DATA(&answer.header);
    if (route->rtm_type != RTN_UNICAST)
        return 0;
    int left = (int)RTM_PAYLOAD(&answer.header);
    for (struct rtattr *at = RTM_RTA(route); RTA_OK(at, left); at = RTA_NEXT(at, left))
        if (at->rta_type == RTA_OIF)
            return *(int *)RTA_DATA(at);
    return 0;
}
