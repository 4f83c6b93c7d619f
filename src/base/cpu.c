/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_X86_SIMD
#include <cpuid.h>
#endif

#define MAX_PROCESSORS (1 << 16)

static const char *const isa_names[] = {
	[CPU_SCALAR] = "scalar",
	[CPU_AVX2] = "avx2",
	[CPU_AVX512] = "avx512",
};

const char *cpu_isa_name(enum cpu_isa isa)
{
	return isa_names[isa];
}

#ifdef HAVE_X86_SIMD
/* clang's __builtin_cpu_supports does not know this one. */
static int has_f16c(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}
#endif

static enum cpu_isa best_isa(void)
{
#ifdef HAVE_X86_SIMD
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
	    !has_f16c())
		return CPU_SCALAR;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512vnni"))
		return CPU_AVX512;
	return CPU_AVX2;
#else
	return CPU_SCALAR;
#endif
}

enum sc_status cpu_isa_select(enum cpu_isa *isa_out, struct error *err)
{
	const char *forced = getenv("STAGECOACH_CPU");
	enum cpu_isa best = best_isa();

	if (!forced || !*forced) {
		*isa_out = best;
		return SC_OK;
	}
	for (int isa = CPU_SCALAR; isa <= CPU_AVX512; isa++) {
		if (strcmp(forced, isa_names[isa]))
			continue;
		if (isa > (int)best)
			return error_set(err, SC_E_CONFIG,
					 "STAGECOACH_CPU=%s: this processor has only %s", forced,
					 isa_names[best]);
		*isa_out = (enum cpu_isa)isa;
		return SC_OK;
	}
	return error_set(err, SC_E_CONFIG, "STAGECOACH_CPU=%s: expected scalar, avx2 or avx512",
			 forced);
}

/* 0: the mask does not fit a set of n_max processors. */
static unsigned count_up_to(size_t n_max)
{
	cpu_set_t *set = CPU_ALLOC(n_max);
	unsigned n = 0;

	if (set && !sched_getaffinity(0, CPU_ALLOC_SIZE(n_max), set))
		n = (unsigned)CPU_COUNT_S(CPU_ALLOC_SIZE(n_max), set);
	CPU_FREE(set);
	return n;
}

unsigned cpu_count(void)
{
	/* The kernel's mask may be wider than the C library's fixed one. */
	for (size_t n_max = CPU_SETSIZE; n_max <= MAX_PROCESSORS; n_max *= 2) {
		unsigned n = count_up_to(n_max);

		if (n)
			return n;
	}
	return 1;
}
