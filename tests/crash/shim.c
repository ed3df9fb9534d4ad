/* Preloaded into a process that is to die in the middle of its work: counts what changes files or makes changes
 * durable, and at a given step ends the process, or first the file system under it (a power cut).
 *
 * Steps are counted from `shim_arm`, or from the start where SHIM_DIE_AT is set. Pipes and sockets do not count. With
 * `shim_log` every step that was done is appended to that descriptor (layout: tests/crash/forgetful.py). While the first
 * byte of the file SHIM_FAULT is not 0, it is the error of every step below the folder whose path follows it. The file
 * is FAULT_BYTES long.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHUTDOWN _IOR('X', 125, uint32_t) /* EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN: the same number */
#define NO_LOG_FLUSH 2u
#define FAULT_BYTES (1 + PATH_MAX)

static atomic_long steps, die_at = LONG_MAX;
static int is_torn, power_fd = -1, log_fd = -1;
static __thread int is_inside;
static volatile unsigned char *fault;

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

void shim_arm(long at, int torn, int power) { steps = 0; is_torn = torn; power_fd = power; die_at = at; }
long shim_steps(void) { return steps; }
void shim_log(int fd) { log_fd = fd; }

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("SHIM_DIE_AT");
    if (at)
        shim_arm(atol(at), getenv("SHIM_TORN") != NULL, -1);
    const char *path = getenv("SHIM_FAULT");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *memory = mmap(NULL, FAULT_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED)
        fault = memory;
}

/* True if a step has to fail, with errno set. */
static int fails(const char *path)
{
    const char *below = fault ? (const char *)fault + 1 : NULL;
    if (!fault || !*fault || strncmp(path, below, strlen(below)))
        return 0;
    errno = *fault;
    return 1;
}

static int fails_on(int fd)
{
    char link[64], path[PATH_MAX];
    if (!fault || !*fault)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return fails(path);
}

static void die(void)
{
    if (power_fd >= 0) {
        uint32_t how = NO_LOG_FLUSH;
        ioctl(power_fd, SHUTDOWN, &how);
    }
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Counts a step; true if the process has to die in it. */
static int is_last(void) { return atomic_fetch_add(&steps, 1) + 1 == die_at; }

static void step(void)
{
    if (is_last())
        die();
}

static int is_file(int fd)
{
    struct stat found;
    return fstat(fd, &found) == 0 && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode));
}

/* One record: what, lengths of two paths and of the data, offset; then these. */
static void note(char what, const char *first, const char *second, uint64_t offset, const struct iovec *data, int count)
{
    char one[PATH_MAX], two[PATH_MAX];
    int saved = errno;
    if (log_fd < 0 || is_inside)
        return;
    is_inside = 1;
    struct { uint32_t what, first, second, zero; uint64_t size, offset; } head = {.what = (uint32_t)what, .offset = offset};
    if (first && first[0] != '/' && getcwd(one, sizeof one))
        strncat(strcat(one, "/"), first, sizeof one - strlen(one) - 2), first = one;
    if (second && second[0] != '/' && getcwd(two, sizeof two))
        strncat(strcat(two, "/"), second, sizeof two - strlen(two) - 2), second = two;
    head.first = first ? strlen(first) : 0;
    head.second = second ? strlen(second) : 0;
    struct iovec parts[20] = {{&head, sizeof head}, {(void *)first, head.first}, {(void *)second, head.second}};
    for (int i = 0; i < count && i < 16; i++) {
        parts[3 + i] = data[i];
        head.size += data[i].iov_len;
    }
    static ssize_t (*real)(int, const struct iovec *, int);
    if (!real)
        real = (ssize_t (*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
    if (real(log_fd, parts, 3 + count) < 0)
        abort();
    is_inside = 0;
    errno = saved;
}

static void note_fd(char what, int fd, int64_t offset, const struct iovec *data, int count)
{
    char link[64], path[PATH_MAX];
    if (log_fd < 0)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return;
    path[length] = 0;
    note(what, path, NULL, (uint64_t)offset, data, count);
}

/* Where the next write goes, before it: for a file that is appended to, its end. */
static int64_t place(int fd)
{
    struct stat found;
    if (fcntl(fd, F_GETFL) & O_APPEND)
        return fstat(fd, &found) ? 0 : found.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(write);
    if (!is_file(fd))
        return real(fd, data, size);
    if (fails_on(fd))
        return -1;
    if (is_last()) {
        if (is_torn && size > 1)
            real(fd, data, size / 2);
        die();
    }
    int64_t at = place(fd);
    ssize_t done = real(fd, data, size);
    struct iovec part = {(void *)data, done > 0 ? done : 0};
    if (done > 0)
        note_fd('w', fd, at, &part, 1);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    if (!is_file(fd))
        return real(fd, parts, count);
    if (fails_on(fd))
        return -1;
    if (is_last()) {
        if (is_torn && count > 1)
            real(fd, parts, count / 2);
        die();
    }
    int64_t at = place(fd);
    ssize_t done = real(fd, parts, count);
    for (int i = 0; i < count && done > 0; i++) {
        note_fd('w', fd, at, parts + i, 1);
        at += parts[i].iov_len;
    }
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    REAL(pwrite64);
    if (fails_on(fd))
        return -1;
    if (is_last()) {
        if (is_torn && size > 1)
            real(fd, data, size / 2, at);
        die();
    }
    ssize_t done = real(fd, data, size, at);
    struct iovec part = {(void *)data, done > 0 ? done : 0};
    if (done > 0)
        note_fd('w', fd, at, &part, 1);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

#define ON_DESCRIPTOR(name, what)                                                                                      \
    int name(int fd)                                                                                                   \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        if (fails_on(fd))                                                                                              \
            return -1;                                                                                                 \
        step();                                                                                                        \
        int done = real(fd);                                                                                           \
        if (done == 0)                                                                                                 \
            note_fd(what, fd, 0, NULL, 0);                                                                             \
        return done;                                                                                                   \
    }
ON_DESCRIPTOR(fsync, 's')
ON_DESCRIPTOR(fdatasync, 's')

int ftruncate64(int fd, off64_t size)
{
    REAL(ftruncate64);
    step();
    int done = real(fd, size);
    if (done == 0)
        note_fd('t', fd, size, NULL, 0);
    return done;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

#define ON_PATHS(name, what)                                                                                           \
    int name(const char *from, const char *to)                                                                         \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        if (fails(from))                                                                                               \
            return -1;                                                                                                 \
        step();                                                                                                        \
        int done = real(from, to);                                                                                     \
        if (done == 0)                                                                                                 \
            note(what, from, to, 0, NULL, 0);                                                                          \
        return done;                                                                                                   \
    }
ON_PATHS(rename, 'r')
ON_PATHS(link, 'l')

#define ON_PATH(name, what)                                                                                            \
    int name(const char *path)                                                                                         \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        if (fails(path))                                                                                               \
            return -1;                                                                                                 \
        step();                                                                                                        \
        int done = real(path);                                                                                         \
        if (done == 0)                                                                                                 \
            note(what, path, NULL, 0, NULL, 0);                                                                        \
        return done;                                                                                                   \
    }
ON_PATH(unlink, 'u')
ON_PATH(rmdir, 'u')

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    if (fails(path))
        return -1;
    step();
    int done = real(path, mode);
    if (done == 0)
        note('d', path, NULL, 0, NULL, 0);
    return done;
}

static void note_created(const char *path, int flags, int is_new, int fd)
{
    if (fd < 0 || !is_file(fd))
        return;
    if (is_new)
        note('c', path, NULL, 0, NULL, 0);
    else if (flags & O_TRUNC)
        note('t', path, NULL, 0, NULL, 0);
}

#define OPENING(name)                                                                                                  \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                                                      \
        va_end(more);                                                                                                  \
        if (!(flags & (O_CREAT | O_TRUNC)))                                                                            \
            return real(path, flags);                                                                                  \
        int is_new = access(path, F_OK) != 0;                                                                          \
        if (is_new && fails(path))                                                                                     \
            return -1;                                                                                                 \
        if (is_new || flags & O_TRUNC)                                                                                 \
            step();                                                                                                    \
        int fd = real(path, flags, mode);                                                                              \
        note_created(path, flags, is_new, fd);                                                                         \
        return fd;                                                                                                     \
    }
OPENING(open)
OPENING(open64)
