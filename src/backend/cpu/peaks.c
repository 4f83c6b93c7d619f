/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/peaks.h"

#include "backend/cpu/cpu.h"
#include "backend/cpu/team.h"
#include "base/clock.h"
#include "base/cpu.h"

#include <stdlib.h>

enum {
	TRIES = 30,
	ROUNDS = 12500 * CPU_PEAK_ROUNDS,	/* of one item: a millisecond or less */
	ITEMS_PER_THREAD = 2,
	READ_ITEM = 1 << 20,
	READ_ITEMS = 384,	/* more than most caches hold */
};

/* One thing that all threads do, cut into items. */
struct trial {
	const struct cpu_peaks *peaks;
	cpu_peak_fn *fn;	/* NULL: read */
	const void *operands;
	const uint8_t *memory;
};

/* Of each kind; anything else might be slow, as numbers close to zero are. */
static const float f32_ones[32] = { [0 ... 31] = 1.0f };
static const uint16_t bf16_ones[64] = { [0 ... 63] = 0x3f80 };
static const int8_t int8_ones[128] = { [0 ... 127] = 1 };

static const struct cpu_peaks *choose_peaks(enum cpu_isa isa)
{
#ifdef HAVE_X86_SIMD
	if (isa == CPU_AVX512)
		return &cpu_peaks_avx512;
	if (isa == CPU_AVX2)
		return &cpu_peaks_avx2;
#endif
	(void)isa;
	return &cpu_peaks_scalar;
}

static bool has_bf16(const struct cpu_peaks *peaks)
{
	return peaks->bf16 && cpu_has_bf16_dot();
}

static void run_item(void *arg, size_t item, size_t end, unsigned thread)
{
	const struct trial *trial = arg;
	uint8_t sink[64];

	(void)end;
	(void)thread;
	if (trial->fn)
		trial->fn(ROUNDS, trial->operands, sink);
	else
		trial->peaks->read(trial->memory + item * READ_ITEM, READ_ITEM, sink);
}

/* Items per second, in the best try. */
static double best_rate(struct team *team, struct trial *trial, size_t n_items)
{
	uint64_t best_ns = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t started_ns = clock_ns(), took_ns;

		team_run(team, n_items, 1, run_item, trial);
		took_ns = clock_ns() - started_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
	}
	return (double)n_items / clock_seconds(best_ns ? best_ns : 1);
}

static double macs_rate(struct team *team, cpu_peak_fn *fn, const void *operands, unsigned macs)
{
	struct trial trial = { .fn = fn, .operands = operands };

	return best_rate(team, &trial, (size_t)team_size(team) * ITEMS_PER_THREAD) * ROUNDS * macs;
}

static double read_rate(struct team *team, const struct cpu_peaks *peaks, const void *memory)
{
	struct trial trial = { .peaks = peaks, .memory = memory };

	return best_rate(team, &trial, READ_ITEMS) * READ_ITEM;
}

enum sc_status cpu_speed_measure(unsigned n_threads, struct cpu_speed *speed_out,
				 struct error *err)
{
	const struct cpu_peaks *peaks;
	struct team *team = NULL;
	enum sc_status status;
	enum cpu_isa isa;
	void *memory;

	status = cpu_isa_select(&isa, err);
	if (status)
		return status;
	peaks = choose_peaks(isa);
	memory = cpu_memory((size_t)READ_ITEMS * READ_ITEM);
	if (!memory)
		return error_set(err, SC_E_NOMEM, "no memory of %d MiB to read", READ_ITEMS);
	status = team_create(n_threads, &team, err);
	if (!status)
		*speed_out = (struct cpu_speed){
			.f32_macs = macs_rate(team, peaks->f32, f32_ones, peaks->f32_macs),
			.bf16_macs = has_bf16(peaks) ? macs_rate(team, peaks->bf16, bf16_ones,
								 peaks->bf16_macs) : 0,
			.int8_macs = macs_rate(team, peaks->int8, int8_ones, peaks->int8_macs),
			.read_bytes = read_rate(team, peaks, memory),
		};
	team_destroy(team);
	free(memory);
	return status;
}
