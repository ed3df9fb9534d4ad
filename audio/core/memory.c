/* Memory from the kernel that is in no core dump and no child, and that may be locked. */
#include <string.h>
#include <sys/mman.h>

#include "memory.h"

void *memory_locked(size_t size, int lock)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_DONTDUMP);
    madvise(memory, size, MADV_DONTFORK);
    if (lock && mlock(memory, size) < 0) {
        munmap(memory, size);
        return NULL;
    }
    return memory;
}

void memory_free(void *memory, size_t size)
{
    explicit_bzero(memory, size);
    munmap(memory, size);
}
