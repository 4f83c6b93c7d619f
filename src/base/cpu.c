/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#ifdef HAVE_X86_SIMD
#include <cpuid.h>
#endif

#define BF16_DOT_BIT (1u << 5)	/* CPUID 7.1: EAX, AVX512_BF16 */
#define MAX_PROCESSORS (1 << 16)
#define MAX_CACHE_LEVELS 8

static const char *const names[CPU_N_ISAS] = {
	[CPU_AUTO] = "auto",
	[CPU_SCALAR] = "scalar",
	[CPU_AVX2] = "avx2",
	[CPU_AVX512] = "avx512",
	[CPU_AVX512_BF16] = "avx512-bf16",
};

const char *cpu_isa_name(enum cpu_isa isa)
{
	return names[isa];
}

bool cpu_isa_find(const char *name, enum cpu_isa *isa_out)
{
	for (unsigned i = 0; i < CPU_N_ISAS; i++)
		if (!strcmp(name, names[i])) {
			*isa_out = (enum cpu_isa)i;
			return true;
		}
	return false;
}

#ifdef HAVE_X86_SIMD
/* clang's __builtin_cpu_supports does not know F16C. */
static bool has_f16c(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

static bool has_bf16_dot(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & BF16_DOT_BIT);
}
#endif

enum cpu_isa cpu_isa_best(void)
{
#ifdef HAVE_X86_SIMD
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c())
		return CPU_SCALAR;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512vnni"))
		return has_bf16_dot() ? CPU_AVX512_BF16 : CPU_AVX512;
	return CPU_AVX2;
#else
	return CPU_SCALAR;
#endif
}

enum sc_status cpu_isa_select(enum cpu_isa wanted, enum cpu_isa *isa_out, struct error *err)
{
	enum cpu_isa best = cpu_isa_best();

	if (wanted > best)
		return error_set(err, SC_E_CONFIG, "cpu: this processor supports up to %s, not %s: "
				 "use --cpu auto or --cpu %s", names[best], names[wanted],
				 names[best]);
	*isa_out = wanted == CPU_AUTO ? best : wanted;
	return SC_OK;
}

/* Returns the calling thread's affinity mask, of n_bytes, or NULL if it is unknown. The mask is
 * sized at run time, because the kernel's may be wider than cpu_set_t. The caller releases it with
 * CPU_FREE. */
static cpu_set_t *own_set(size_t *n_bytes_out)
{
	for (size_t n_max = CPU_SETSIZE; n_max <= MAX_PROCESSORS; n_max *= 2) {
		cpu_set_t *set = CPU_ALLOC(n_max);

		*n_bytes_out = CPU_ALLOC_SIZE(n_max);
		if (set)
			CPU_ZERO_S(*n_bytes_out, set);
		if (set && !sched_getaffinity(0, *n_bytes_out, set))
			return set;
		CPU_FREE(set);
	}
	return NULL;
}

unsigned cpu_count(void)
{
	size_t n_bytes;
	cpu_set_t *set = own_set(&n_bytes);
	unsigned n = set ? (unsigned)CPU_COUNT_S(n_bytes, set) : 1;

	CPU_FREE(set);
	return n ? n : 1;
}

uint64_t cpu_set_id(void)
{
	size_t n_bytes;
	cpu_set_t *set = own_set(&n_bytes);
	uint64_t id = set ? XXH3_64bits(set, n_bytes) : 0;

	CPU_FREE(set);
	return id;
}

/* --- caches --- */

/* The first line of a file of a cache in /sys, without its end. False: there is none. */
static bool read_cache(unsigned processor, unsigned index, const char *what, char *text, int size)
{
	char path[96];
	FILE *file;
	bool is_read;

	snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/cache/index%u/%s", processor,
		 index, what);
	file = fopen(path, "re");
	is_read = file && fgets(text, size, file);
	if (file)
		fclose(file);
	return is_read;
}

/* A cache that several processors share is counted with the first of them that is in the set. */
static bool is_counted(const char *sharers, unsigned processor, const cpu_set_t *set,
		       size_t n_bytes)
{
	while (*sharers >= '0' && *sharers <= '9') {
		char *end;
		unsigned long first = strtoul(sharers, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && first < MAX_PROCESSORS; first++)
			if (CPU_ISSET_S(first, n_bytes, set))
				return first != processor;
		sharers = end + (*end == ',');
	}
	return false;
}

/* Adds a processor's caches of data to those of their levels. */
static void add_caches(unsigned processor, const cpu_set_t *set, size_t n_bytes,
		       uint64_t by_level[MAX_CACHE_LEVELS])
{
	char level[16], type[32], size[32], sharers[4096];

	for (unsigned i = 0; read_cache(processor, i, "level", level, sizeof level); i++) {
		unsigned long n = strtoul(level, NULL, 10);

		if (n >= MAX_CACHE_LEVELS ||
		    !read_cache(processor, i, "type", type, sizeof type) ||
		    !strncmp(type, "Instruction", 11) ||
		    !read_cache(processor, i, "size", size, sizeof size) ||
		    !read_cache(processor, i, "shared_cpu_list", sharers, sizeof sharers) ||
		    is_counted(sharers, processor, set, n_bytes))
			continue;
		by_level[n] += strtoull(size, NULL, 10) << 10;	/* "32768K" */
	}
}

uint64_t cpu_cache_bytes(void)
{
	uint64_t by_level[MAX_CACHE_LEVELS] = { 0 };
	unsigned last = MAX_CACHE_LEVELS - 1;
	size_t n_bytes;
	cpu_set_t *set = own_set(&n_bytes);

	for (unsigned i = 0; set && i < n_bytes * 8; i++)
		if (CPU_ISSET_S(i, n_bytes, set))
			add_caches(i, set, n_bytes, by_level);
	CPU_FREE(set);
	while (last && !by_level[last])
		last--;
	return by_level[last];
}
