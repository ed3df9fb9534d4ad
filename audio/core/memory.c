/* Memory from the kernel that is in no core dump and no child, and that may be locked. */
#include <stdint.h>
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

/*
 * HUGE_PAGE bytes of it, in one page where the kernel has one; NULL if there is none, or none that may be locked. Nobody may touch
 * it before the kernel knows what it is for: where all of the process is locked it would be filled with small pages at once.
 */
void *memory_huge(int lock)
{
    char *whole = mmap(NULL, 2 * HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (whole == MAP_FAILED)
        return NULL;
    char *memory = (char *)(((uintptr_t)whole + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
    if (memory > whole)
        munmap(whole, (size_t)(memory - whole));
    if (memory < whole + HUGE_PAGE)
        munmap(memory + HUGE_PAGE, (size_t)(whole + HUGE_PAGE - memory));
    madvise(memory, HUGE_PAGE, MADV_HUGEPAGE);
    madvise(memory, HUGE_PAGE, MADV_DONTDUMP);
    madvise(memory, HUGE_PAGE, MADV_DONTFORK);
    if (mprotect(memory, HUGE_PAGE, PROT_READ | PROT_WRITE) == 0 && (!lock || mlock(memory, HUGE_PAGE) == 0))
        return memory;
    munmap(memory, HUGE_PAGE);
    return NULL;
}

void memory_free(void *memory, size_t size)
{
    explicit_bzero(memory, size);
    munmap(memory, size);
}
