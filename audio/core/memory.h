/* Memory that is in no core dump: mappings of its own (memory.c), and blocks of huge pages (slab.c). */
#ifndef AUDIO_CORE_MEMORY_H
#define AUDIO_CORE_MEMORY_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define HUGE_PAGE ((size_t)2 << 20)

void *memory_locked(size_t size, int lock);
void *memory_huge(int lock);
void memory_free(void *memory, size_t size);

/* The huge pages of a core (slab.c). */
struct slabs {
    pthread_mutex_t lock;
    struct slab *first;
    pthread_t maker; /* thread that makes slabs in advance; valid if is_making */
    pthread_cond_t is_asked;
    size_t asked_each; /* block size of the slab to make; 0: none */
    int asked_locked, is_making, is_ending;
    uint8_t is_refused[2]; /* no more slabs, unlocked and locked, are made in advance */
};

void slabs_new(struct slabs *slabs);
void slabs_start(struct slabs *slabs); /* call it with signals blocked */
void slabs_stop(struct slabs *slabs);

void *slab_take(struct slabs *slabs, size_t size, int is_locked);
void slab_prepare(struct slabs *slabs, size_t size, int is_locked);
void slab_give(struct slabs *slabs, void *block, size_t size);
void slabs_free(struct slabs *slabs);

#endif
