/* The same floor by io_uring: does it cost less where no packet needs a system call of its own?
 *
 * bare_ring GATHER_US PAIRS: told and answering as bare_loop is. Each leg has one receive that stands for all packets
 * (multishot) and takes its memory from a ring of buffers; what goes on is queued, and all of it is handed over by the
 * one system call that also waits for what is next: until a batch is there, GATHER_US at most. Sockets are registered,
 * work is done when this thread asks for it (DEFER_TASKRUN, Linux 6.1), a send that succeeded is not told.
 */
#include "bare.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>

#define QUEUE 4096
#define BATCH 64
#define BUFFERS 4096
#define BUFFER_BYTES 512
#define GROUP 0
#define INPUT_ENDED UINT64_MAX
#define SENT (UINT64_MAX - 1)

struct ground {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    uint8_t (*memory)[BUFFER_BYTES];
    int waiting; /* to be given back: their sends are queued */
    uint16_t ids[QUEUE];
};

static void check(int error, const char *what)
{
    if (error < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(-error));
        exit(1);
    }
}

static void give_back(struct ground *ground)
{
    for (int at = 0; at < ground->waiting; at++)
        io_uring_buf_ring_add(ground->buffers, ground->memory[ground->ids[at]], BUFFER_BYTES, ground->ids[at],
                              BUFFERS - 1, at);
    io_uring_buf_ring_advance(ground->buffers, ground->waiting);
    ground->waiting = 0;
}

/* A send that does not wait is over when its submission is: its buffer is free again. */
static void submit(struct ground *ground)
{
    check(io_uring_submit(&ground->ring), "io_uring_submit");
    give_back(ground);
}

static struct io_uring_sqe *next(struct ground *ground)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ground->ring);
    if (sqe == NULL) {
        submit(ground);
        sqe = io_uring_get_sqe(&ground->ring);
    }
    return sqe;
}

static void receive(struct ground *ground, int leg)
{
    struct io_uring_sqe *sqe = next(ground);
    io_uring_prep_recv_multishot(sqe, leg, NULL, 0, 0);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    io_uring_sqe_set_data64(sqe, (uint64_t)leg);
}

static void pass(struct ground *ground, struct bare *bare, const struct io_uring_cqe *cqe)
{
    int leg = (int)cqe->user_data;
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        if (ground->waiting == QUEUE)
            submit(ground);
        if (keep(&bare->legs[leg], ground->memory[id], cqe->res)) {
            struct io_uring_sqe *sqe = next(ground);
            io_uring_prep_send(sqe, leg ^ 1, ground->memory[id], (size_t)cqe->res, MSG_DONTWAIT);
            sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
            io_uring_sqe_set_data64(sqe, SENT);
        }
        ground->ids[ground->waiting++] = id;
    }
    if (!(cqe->flags & IORING_CQE_F_MORE))
        receive(ground, leg);
}

static void open_ground(struct ground *ground, struct bare *bare)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = 4 * QUEUE,
    };
    check(io_uring_queue_init_params(QUEUE, &ground->ring, &params), "io_uring_setup");
    int error = 0;
    ground->buffers = io_uring_setup_buf_ring(&ground->ring, BUFFERS, GROUP, 0, &error);
    check(error, "io_uring_setup_buf_ring");
    ground->memory = malloc(BUFFERS * sizeof *ground->memory);
    int *fds = calloc((size_t)bare->pairs * 2, sizeof *fds);
    if (ground->memory == NULL || fds == NULL)
        fail("malloc");
    for (int id = 0; id < BUFFERS; id++)
        ground->ids[ground->waiting++] = (uint16_t)id;
    give_back(ground);
    for (int leg = 0; leg < 2 * bare->pairs; leg++)
        fds[leg] = bare->legs[leg].fd;
    check(io_uring_register_files(&ground->ring, fds, (unsigned)bare->pairs * 2), "io_uring_register_files");
    free(fds);
    for (int leg = 0; leg < 2 * bare->pairs; leg++)
        receive(ground, leg);
    struct io_uring_sqe *sqe = next(ground);
    io_uring_prep_poll_add(sqe, 0, POLLIN);
    io_uring_sqe_set_data64(sqe, INPUT_ENDED);
}

/* Hands over what is queued and waits; gathering takes place in the kernel, which otherwise does little of the work at a time. */
static void submit_and_wait(struct ground *ground, int64_t gather_ns)
{
    struct io_uring_cqe *first;
    struct __kernel_timespec at_most = {.tv_nsec = gather_ns};
    int error = gather_ns ? io_uring_submit_and_wait_timeout(&ground->ring, &first, BATCH, &at_most, NULL)
                          : io_uring_submit_and_wait(&ground->ring, 1);
    if (error != -ETIME)
        check(error, "io_uring_enter");
    give_back(ground);
}

int main(int count, char **values)
{
    static struct ground ground;
    struct bare bare = open_bare(count, values);
    open_ground(&ground, &bare);
    for (;;) {
        submit_and_wait(&ground, bare.gather.tv_nsec);
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&ground.ring, head, cqe)
        {
            seen++;
            if (cqe->user_data == INPUT_ENDED)
                return 0;
            if (cqe->user_data != SENT)
                pass(&ground, &bare, cqe);
        }
        io_uring_cq_advance(&ground.ring, seen);
    }
}
