/* Which way packets go, and what would have to be done to them on it, as netlink(7) tells it. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flows.h"

union answer {
    struct nlmsghdr header;
    char bytes[1024];
};

/* Asks, and tells whether the answer is of that type, or a negated errno; the kernel answers before send returns. */
static int ask(int protocol, const struct nlmsghdr *question, int type, union answer *answer)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        return -errno;
    ssize_t length = send(fd, question, question->nlmsg_len, 0);
    if (length > 0)
        length = recv(fd, answer, sizeof *answer, MSG_DONTWAIT);
    close(fd);
    return length >= (ssize_t)sizeof answer->header && NLMSG_OK(&answer->header, (size_t)length) &&
           answer->header.nlmsg_type == type;
}

/* The interface's index; 0: there is no way, or the way is to this machine. Addresses as on the wire. */
int route_interface(uint32_t to_ip, uint32_t from_ip)
{
    struct {
        struct nlmsghdr header;
        struct rtmsg route;
        struct rtattr to;
        uint32_t to_ip;
        struct rtattr from;
        uint32_t from_ip;
    } question = {
        .header = {.nlmsg_len = sizeof question, .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
        .route = {.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_src_len = 32},
        .to = {.rta_len = RTA_LENGTH(sizeof to_ip), .rta_type = RTA_DST},
        .to_ip = to_ip,
        .from = {.rta_len = RTA_LENGTH(sizeof from_ip), .rta_type = RTA_SRC},
        .from_ip = from_ip,
    };
    union answer answer;
    if (ask(NETLINK_ROUTE, &question.header, RTM_NEWROUTE, &answer) != 1)
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

/* Some policy may want packets encrypted on their way, which what is relayed at the ingress never meets. */
int has_ipsec(void)
{
    struct {
        struct nlmsghdr header;
        uint32_t flags;
    } question = {.header = {.nlmsg_len = sizeof question, .nlmsg_type = XFRM_MSG_GETSPDINFO, .nlmsg_flags = NLM_F_REQUEST}};
    union answer answer;
    int result = ask(NETLINK_XFRM, &question.header, XFRM_MSG_NEWSPDINFO, &answer);
    if (result != 1)
        return result != -EPROTONOSUPPORT; /* that is a kernel without; whatever else it is, nobody knows */
    int left = (int)answer.header.nlmsg_len - NLMSG_LENGTH(sizeof question.flags);
    struct rtattr *at = (struct rtattr *)((char *)NLMSG_DATA(&answer.header) + NLMSG_ALIGN(sizeof question.flags));
    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
        const struct xfrmu_spdinfo *counts = RTA_DATA(at);
        if (at->rta_type == XFRMA_SPD_INFO)
            return counts->incnt || counts->outcnt;
    }
    return 1;
}

static int watch(int protocol, uint32_t groups)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    struct sockaddr_nl about = {.nl_family = AF_NETLINK, .nl_groups = groups};
    if (fd < 0)
        return -errno;
    if (!bind(fd, (struct sockaddr *)&about, sizeof about))
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

int routes_watch(void)
{
    return watch(NETLINK_ROUTE, RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE | RTMGRP_IPV4_IFADDR);
}

int policies_watch(void)
{
    return watch(NETLINK_XFRM, XFRMGRP_POLICY);
}

int has_news(int fd)
{
    char news[4096];
    int is_new = 0;
    while (fd >= 0 && (recv(fd, news, sizeof news, 0) > 0 || errno == ENOBUFS)) /* some were too many for it */
        is_new = 1;
    return is_new;
}
