/* The kernel's program: loaded, at its interfaces, and the memory that it shares (ADR 29). */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "flows.h"

/* BPF_TCX_INGRESS of linux/bpf.h, which Debian 12's headers are too old for; nor has its libbpf 1.1 bpf_program__attach_tcx. */
#define TCX_INGRESS 46

static void *map_shared(const struct bpf_map *map, size_t *size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    *size = ((size_t)bpf_map__value_size(map) * bpf_map__max_entries(map) + page - 1) / page * page;
    void *at = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    if (at == MAP_FAILED)
        return NULL;
    madvise(at, *size, MADV_DONTDUMP); /* what is secret passes through it */
    madvise(at, *size, MADV_DONTFORK);
    return at;
}

static void unmap_shared(void *at, size_t size)
{
    if (!at)
        return;
    explicit_bzero(at, size);
    munmap(at, size);
}

static int load(struct kernel *kernel, const char *path, int threads)
{
    kernel->object = bpf_object__open_file(path, NULL);
    if (!kernel->object)
        return -errno;
    struct bpf_map *flows = bpf_object__find_map_by_name(kernel->object, "flows");
    struct bpf_map *copies = bpf_object__find_map_by_name(kernel->object, "copies");
    struct bpf_map *ends = bpf_object__find_map_by_name(kernel->object, "ends");
    if (!flows || !copies || !ends)
        return -ENOEXEC;
    int error = bpf_map__set_max_entries(copies, (__u32)threads * COPY_SLOTS);
    if (!error)
        error = bpf_map__set_max_entries(ends, (__u32)threads);
    if (!error)
        error = bpf_object__load(kernel->object);
    if (error)
        return error;
    kernel->places = bpf_object__find_map_fd_by_name(kernel->object, "places");
    kernel->flows = map_shared(flows, &kernel->flows_size);
    kernel->copies = map_shared(copies, &kernel->copies_size);
    kernel->ends = map_shared(ends, &kernel->ends_size);
    return kernel->flows && kernel->copies && kernel->ends && kernel->places >= 0 ? 0 : -ENOMEM;
}

/* The program looks for an IP packet behind an Ethernet header, which tunnels have none of. */
static int check_kind(const char *interface)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    strncpy(request.ifr_name, interface, sizeof request.ifr_name - 1);
    int error = ioctl(fd, SIOCGIFHWADDR, &request) ? -errno : 0;
    close(fd);
    int kind = request.ifr_hwaddr.sa_family;
    return error ? error : kind == ARPHRD_ETHER || kind == ARPHRD_LOOPBACK ? 0 : -EOPNOTSUPP;
}

static int attach(struct kernel *kernel, const char *const *interfaces, int count)
{
    struct bpf_program *program = bpf_object__find_program_by_name(kernel->object, "relay");
    if (!program)
        return -ENOEXEC;
    for (int i = 0; i < count; i++) {
        unsigned index = if_nametoindex(interfaces[i]);
        int error = index ? check_kind(interfaces[i]) : -ENODEV;
        if (error)
            return error;
        int link = bpf_link_create(bpf_program__fd(program), (int)index, TCX_INGRESS, NULL);
        if (link < 0)
            return link;
        kernel->links[kernel->link_count++] = link;
        if (!strcmp(interfaces[i], "lo"))
            kernel->loopback = index;
    }
    return 0;
}

static int watch(struct core *core)
{
    for (int i = 0; i < core->thread_count; i++) {
        struct thread *thread = &core->threads[i];
        if ((thread->routes_fd = routes_watch()) < 0)
            return thread->routes_fd;
        thread->policies_fd = policies_watch();
        if (thread->policies_fd < 0 && thread->policies_fd != -EPROTONOSUPPORT)
            return thread->policies_fd;
    }
    return 0;
}

static void close_watch(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int core_relay_in_kernel(struct core *core, const char *program, const char *const *interfaces, int count,
                         int packets_per_s)
{
    if (packets_per_s < 1 || count < 1 || count > MAX_INTERFACES || core->is_started || core->kernel)
        return -EINVAL;
    if (libbpf_num_possible_cpus() > COPY_SPARE)
        return -EOPNOTSUPP; /* more could claim at once than are left free for them */
    libbpf_set_print(NULL); /* the caller is told by the error */
    struct kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel)
        return -ENOMEM;
    pthread_mutex_init(&kernel->lock, NULL);
    for (int place = 0; place < FLOW_MAX; place++)
        kernel->free[kernel->free_count++] = (uint16_t)place;
    kernel->most_packets = (int)(packets_per_s * WINDOW_NS / 1000000000LL) + 1;
    core->kernel = kernel;
    int error = load(kernel, program, core->thread_count);
    if (!error)
        error = watch(core);
    if (!error)
        error = attach(kernel, interfaces, count);
    if (error)
        kernel_close(core);
    return error;
}

void kernel_close(struct core *core)
{
    struct kernel *kernel = core->kernel;
    if (!kernel)
        return;
    for (int i = 0; i < kernel->link_count; i++)
        close(kernel->links[i]);
    for (int i = 0; i < core->thread_count; i++) {
        close_watch(&core->threads[i].routes_fd);
        close_watch(&core->threads[i].policies_fd);
    }
    unmap_shared(kernel->flows, kernel->flows_size);
    unmap_shared(kernel->copies, kernel->copies_size);
    unmap_shared(kernel->ends, kernel->ends_size);
    if (kernel->object)
        bpf_object__close(kernel->object);
    pthread_mutex_destroy(&kernel->lock);
    free(kernel);
    core->kernel = NULL;
}

struct flow *kernel_place(struct kernel *kernel, uint32_t ip, uint16_t port)
{
    struct own_address own = {.ip = ip, .port = port};
    struct flow *flow = NULL;
    pthread_mutex_lock(&kernel->lock);
    if (kernel->free_count) {
        __u32 place = kernel->free[kernel->free_count - 1];
        flow = &kernel->flows[place];
        flow->own = own;
        if (bpf_map_update_elem(kernel->places, &own, &place, BPF_ANY))
            flow = NULL;
        else
            kernel->free_count--;
    }
    pthread_mutex_unlock(&kernel->lock);
    return flow;
}

void kernel_leave(struct core *core, struct flow *flow)
{
    struct kernel *kernel = core->kernel;
    if (!flow)
        return;
    __atomic_store_n(&flow->state, FLOW_UNUSED, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&kernel->lock);
    bpf_map_delete_elem(kernel->places, &flow->own);
    kernel->free[kernel->free_count++] = (uint16_t)(flow - kernel->flows);
    pthread_mutex_unlock(&kernel->lock);
}
