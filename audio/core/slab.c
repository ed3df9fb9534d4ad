/*
 * Memory for what packets touch, cut from huge pages (ADR 27): with 500 calls legs, taps and rings lie on some ten thousand
 * pages of 4 kB, several times what the processor remembers the places of, and each packet touches ten of them.
 *
 * A slab is one huge page of blocks of one size; its first line is its own description. Where the kernel has no huge page to
 * give the slab is made of small ones; where it has no slab, or none that may be locked, a block is a mapping of its own.
 *
 * A thread makes the next slab when the free blocks of a size are fewer than a quarter of one slab. Clearing a huge page takes
 * up to 6 ms on a virtual machine whose host has taken the page back, and the call thread, which opens legs and taps, must not
 * wait for that.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "memory.h"
#include "packet.h"

#ifdef __SANITIZE_ADDRESS__ /* it knows nothing of blocks; between two of them lies a line that nobody may touch */
#include <sanitizer/asan_interface.h>
#define APART CACHE_LINE
#else
#define APART 0
#define ASAN_POISON_MEMORY_REGION(memory, size) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(memory, size) ((void)0)
#endif

#define SLAB HUGE_PAGE
#define SPARE_PART 4 /* make the next slab when fewer than 1/4 of a slab's blocks are free */
#define LARGEST (SLAB / 8) /* of a block; with longer ones too much of a slab would be of no use */

struct slab {
    struct slab *next;
    void *free; /* blocks that were given back; each but for its first word, which is the next one, is zero */
    size_t each;
    int cut, used, room; /* blocks ever taken, blocks that are out, blocks there is room for */
    uint8_t is_locked;
};

static size_t lines(size_t size)
{
    return (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

/* What a block of so many bytes takes. */
static size_t place(size_t size)
{
    return lines(size) + APART;
}

static struct slab *new_slab(size_t each, int is_locked)
{
    struct slab *slab = memory_huge(is_locked);
    if (!slab)
        return NULL;
    slab->each = each;
    slab->is_locked = (uint8_t)is_locked;
    slab->room = (int)((SLAB - lines(sizeof *slab)) / each);
    ASAN_POISON_MEMORY_REGION((char *)slab + lines(sizeof *slab), SLAB - lines(sizeof *slab));
    return slab;
}

static void unmap(struct slab *slab)
{
    ASAN_UNPOISON_MEMORY_REGION(slab, SLAB);
    munmap(slab, SLAB);
}

static struct slab *add(struct slabs *slabs, struct slab *slab)
{
    if (!slab)
        return NULL;
    slab->next = slabs->first;
    slabs->first = slab;
    return slab;
}

/* The fullest one with room, so that the others become empty and go back to the kernel. */
static struct slab *with_room(const struct slabs *slabs, size_t each, int is_locked)
{
    struct slab *found = NULL;
    for (struct slab *slab = slabs->first; slab; slab = slab->next)
        if (slab->each == each && slab->is_locked == is_locked && slab->used < slab->room &&
            (!found || slab->used > found->used))
            found = slab;
    return found;
}

static void *cut(struct slab *slab)
{
    void **block = slab->free;
    slab->used++;
    if (!block)
        block = (void **)((char *)slab + lines(sizeof *slab) + slab->each * (size_t)slab->cut++);
    ASAN_UNPOISON_MEMORY_REGION(block, slab->each - APART);
    if (block == slab->free)
        slab->free = *block;
    *block = NULL;
    return block;
}

/* Whether few blocks of a size are free, those of one slab left out (NULL: of none). */
static int has_few(const struct slabs *slabs, size_t each, int is_locked, const struct slab *without)
{
    int left = 0, room = 0;
    for (struct slab *slab = slabs->first; slab; slab = slab->next)
        if (slab != without && slab->each == each && slab->is_locked == is_locked) {
            left += slab->room - slab->used;
            room = slab->room;
        }
    return !room || left < room / SPARE_PART;
}

/* Asks for the next slab if few blocks of this size are free. */
static void ask_ahead(struct slabs *slabs, size_t each, int is_locked)
{
    if (!slabs->is_making || slabs->is_refused[is_locked] || slabs->asked_each ||
        !has_few(slabs, each, is_locked, NULL))
        return;
    slabs->asked_each = each;
    slabs->asked_locked = is_locked;
    pthread_cond_signal(&slabs->is_asked);
}

static void *make_ahead(void *given)
{
    struct slabs *slabs = given;
    prctl(PR_SET_NAME, "media-memory");
    pthread_mutex_lock(&slabs->lock);
    while (!slabs->is_ending) {
        if (!slabs->asked_each) {
            pthread_cond_wait(&slabs->is_asked, &slabs->lock);
            continue;
        }
        size_t each = slabs->asked_each;
        int is_locked = slabs->asked_locked;
        pthread_mutex_unlock(&slabs->lock);
        struct slab *slab = new_slab(each, is_locked);
        pthread_mutex_lock(&slabs->lock);
        slabs->asked_each = 0;
        if (!slab)
            slabs->is_refused[is_locked] = 1; /* no more memory, or no more may be locked */
        else if (has_few(slabs, each, is_locked, NULL))
            add(slabs, slab);
        else /* somebody has made one since */
            unmap(slab);
    }
    pthread_mutex_unlock(&slabs->lock);
    return NULL;
}

void slabs_new(struct slabs *slabs)
{
    pthread_mutex_init(&slabs->lock, NULL);
    pthread_cond_init(&slabs->is_asked, NULL);
}

void slabs_start(struct slabs *slabs)
{
    pthread_mutex_lock(&slabs->lock);
    slabs->is_making = pthread_create(&slabs->maker, NULL, make_ahead, slabs) == 0;
    pthread_mutex_unlock(&slabs->lock);
}

void slabs_stop(struct slabs *slabs)
{
    pthread_mutex_lock(&slabs->lock);
    int was_making = slabs->is_making;
    slabs->is_making = 0;
    slabs->is_ending = 1;
    pthread_cond_signal(&slabs->is_asked);
    pthread_mutex_unlock(&slabs->lock);
    if (was_making)
        pthread_join(slabs->maker, NULL);
}

/* Zeroed memory that begins with a cache line; NULL if there is none, or none that may be locked. */
void *slab_take(struct slabs *slabs, size_t size, int is_locked)
{
    size_t each = place(size);
    void *block = NULL;
    if (each <= LARGEST) {
        pthread_mutex_lock(&slabs->lock);
        struct slab *slab = with_room(slabs, each, is_locked);
        if (!slab)
            slab = add(slabs, new_slab(each, is_locked));
        block = slab ? cut(slab) : NULL;
        if (block)
            ask_ahead(slabs, each, is_locked);
        pthread_mutex_unlock(&slabs->lock);
    }
    return block ? block : memory_locked(size, is_locked);
}

/*
 * Has memory ready for one such block, so that to take it makes nobody wait who holds a lock. Nor does it hold one while it
 * waits for the kernel: a media thread that gives memory back in the meantime must not wait for it too.
 */
void slab_prepare(struct slabs *slabs, size_t size, int is_locked)
{
    size_t each = place(size);
    pthread_mutex_lock(&slabs->lock);
    int is_ready = each > LARGEST || with_room(slabs, each, is_locked);
    pthread_mutex_unlock(&slabs->lock);
    if (is_ready)
        return;
    struct slab *slab = new_slab(each, is_locked);
    pthread_mutex_lock(&slabs->lock);
    if (slab && with_room(slabs, each, is_locked))
        unmap(slab); /* the thread has made one since */
    else
        add(slabs, slab);
    pthread_mutex_unlock(&slabs->lock);
}

static void drop(struct slabs *slabs, struct slab *empty)
{
    struct slab **link = &slabs->first;
    while (*link != empty)
        link = &(*link)->next;
    *link = empty->next;
    unmap(empty);
}

/* Whether an empty slab would be made in advance again if it went; the last one of its size would be, for the next call. */
static int is_next(const struct slabs *slabs, const struct slab *empty)
{
    return slabs->is_making && has_few(slabs, empty->each, empty->is_locked, empty);
}

/* Wipes and gives back what slab_take gave. */
void slab_give(struct slabs *slabs, void *block, size_t size)
{
    pthread_mutex_lock(&slabs->lock);
    struct slab *slab = slabs->first;
    while (slab && ((char *)block < (char *)slab || (char *)block >= (char *)slab + SLAB))
        slab = slab->next;
    if (slab) {
        explicit_bzero(block, size);
        *(void **)block = slab->free;
        slab->free = block;
        ASAN_POISON_MEMORY_REGION(block, slab->each - APART);
        slab->used--;
        if (slab->used == 0 && !is_next(slabs, slab))
            drop(slabs, slab);
    }
    pthread_mutex_unlock(&slabs->lock);
    if (!slab)
        memory_free(block, size);
}

void slabs_free(struct slabs *slabs)
{
    for (struct slab *slab = slabs->first, *next; slab; slab = next) {
        next = slab->next;
        ASAN_UNPOISON_MEMORY_REGION(slab, SLAB);
        explicit_bzero(slab, SLAB);
        munmap(slab, SLAB);
    }
    slabs->first = NULL;
    pthread_cond_destroy(&slabs->is_asked);
    pthread_mutex_destroy(&slabs->lock);
}
