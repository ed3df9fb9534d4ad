/*
 * The kernel's helper functions and atomic instructions that the program uses, in a form that gcc-bpf 12 (Debian 12) compiles
 * as well as later ones: calls by libbpf's bpf_helpers.h, which has pointers for them, it takes for indirect calls.
 */
#ifndef AUDIO_CORE_BPF_HELPERS_H
#define AUDIO_CORE_BPF_HELPERS_H

#include <linux/bpf.h>
#include <linux/types.h>

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name
#define HELPER(type, name, ...) extern type bpf_##name(__VA_ARGS__) __attribute__((kernel_helper(BPF_FUNC_##name)))

HELPER(void *, map_lookup_elem, void *map, const void *key);
HELPER(__u64, ktime_get_ns, void);
HELPER(long, skb_load_bytes, const void *skb, __u32 offset, void *to, __u32 length);
HELPER(long, skb_pull_data, struct __sk_buff *skb, __u32 length);
HELPER(__s64, csum_diff, __be32 *from, __u32 from_size, __be32 *to, __u32 to_size, __wsum seed);
HELPER(long, csum_level, struct __sk_buff *skb, __u64 level);
HELPER(long, l4_csum_replace, struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 flags);
HELPER(long, redirect_neigh, __u32 interface, struct bpf_redir_neigh *to, int size, __u64 flags);

/*
 * One instruction, *(size *)address op= value; value = what was there: Linux 5.12, -mcpu=v3. Written as numbers, since
 * gcc-bpf 12 (Debian 12) has no builtin for it, and its assembler no name. Registers 1 and 2 are address and value.
 */
#define ATOMIC_FETCH(size, operation, type, address, value)                                                             \
    ({                                                                                                                   \
        register type *at_ asm("r1") = (address);                                                                        \
        register type value_ asm("r2") = (value);                                                                        \
        asm volatile(".byte %2, 0x21, 0, 0\n\t.long %3"                                                                  \
                     : "+r"(value_)                                                                                      \
                     : "r"(at_), "i"(BPF_STX | BPF_ATOMIC | (size)), "i"((operation) | BPF_FETCH)                        \
                     : "memory");                                                                                        \
        value_;                                                                                                          \
    })

static inline __u32 fetch_add_32(__u32 *at, __u32 more)
{
    return ATOMIC_FETCH(BPF_W, BPF_ADD, __u32, at, more);
}

static inline __u64 fetch_add_64(__u64 *at, __u64 more)
{
    return ATOMIC_FETCH(BPF_DW, BPF_ADD, __u64, at, more);
}

static inline __u64 exchange_64(__u64 *at, __u64 value)
{
    return ATOMIC_FETCH(BPF_DW, BPF_XCHG, __u64, at, value);
}

/* The same for one that replaces what is expected only; returns what was there, in register 0. */
static inline __u32 compare_exchange_32(__u32 *at, __u32 expected, __u32 value)
{
    register __u32 was_ asm("r0") = expected;
    register __u32 *at_ asm("r1") = at;
    register __u32 value_ asm("r2") = value;
    asm volatile(".byte %3, 0x21, 0, 0\n\t.long %4"
                 : "+r"(was_)
                 : "r"(at_), "r"(value_), "i"(BPF_STX | BPF_ATOMIC | BPF_W), "i"(BPF_CMPXCHG)
                 : "memory");
    return was_;
}

/* Network order to the machine's, and back. __builtin_bswap32 would be a call to a library (gcc-bpf 12). */
static inline __u32 network_32(__u32 value)
{
    register __u32 value_ asm("r1") = value;
    asm(".byte %1, 1, 0, 0\n\t.long 32" : "+r"(value_) : "i"(BPF_ALU | BPF_END | BPF_TO_BE));
    return value_;
}

#endif
