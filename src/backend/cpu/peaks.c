/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/peaks.h"

#include "backend/cpu/cpu.h"
#include "backend/cpu/team.h"
#include "base/clock.h"
#include "base/cpu.h"

#include <math.h>
#include <stdlib.h>

enum {
	TRIES = 30,
	READ_PASSES = 3,	/* passes of a single measurement (not the best of several) */
	ROUNDS = 12500 * CPU_PEAK_ROUNDS,	/* of one item: a millisecond or less */
	ITEMS_PER_THREAD = 2,
	READ_ITEM = 1 << 20,
	READ_ITEMS = 384,	/* more than most caches hold */
};
#define READ_BYTES ((double)READ_ITEMS * READ_ITEM)

struct cpu_meter {
	enum cpu_isa isa;
	const struct cpu_peaks *peaks;
	struct team *team;
	uint8_t *memory;	/* [READ_ITEMS][READ_ITEM] */
};

/* One thing that all threads do, cut into items. */
struct trial {
	const struct cpu_meter *meter;
	cpu_peak_fn *fn;	/* NULL: read */
	const void *operands;
};

/* Operands of each kind. Ones, because numbers close to zero can be slow. */
static const float f32_ones[32] = { [0 ... 31] = 1.0f };
static const uint16_t bf16_ones[64] = { [0 ... 63] = 0x3f80 };
static const int8_t int8_ones[128] = { [0 ... 127] = 1 };

static const struct cpu_peaks *choose_peaks(enum cpu_isa isa)
{
#ifdef HAVE_X86_SIMD
	if (isa >= CPU_AVX512)
		return &cpu_peaks_avx512;
	if (isa == CPU_AVX2)
		return &cpu_peaks_avx2;
#endif
	(void)isa;
	return &cpu_peaks_scalar;
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
		trial->meter->peaks->read(trial->meter->memory + item * READ_ITEM, READ_ITEM, sink);
}

static double seconds_of(const struct trial *trial, size_t n_items)
{
	uint64_t started_ns = clock_ns();

	team_run(trial->meter->team, n_items, 1, run_item, (void *)trial);
	return clock_seconds(clock_ns() - started_ns + 1);
}

static double best_seconds_of(const struct trial *trial, size_t n_items)
{
	double best = seconds_of(trial, n_items);

	for (int i = 1; i < TRIES; i++)
		best = fmin(best, seconds_of(trial, n_items));
	return best;
}

static double macs_rate(const struct cpu_meter *meter, cpu_peak_fn *fn, const void *operands,
			unsigned macs)
{
	const struct trial trial = { meter, fn, operands };
	size_t n_items = (size_t)team_size(meter->team) * ITEMS_PER_THREAD;

	return (double)n_items * ROUNDS * macs / best_seconds_of(&trial, n_items);
}

struct cpu_speed cpu_meter_best(const struct cpu_meter *meter)
{
	const struct cpu_peaks *peaks = meter->peaks;
	const struct trial reading = { .meter = meter };

	return (struct cpu_speed){
		.f32_macs = macs_rate(meter, peaks->f32, f32_ones, peaks->f32_macs),
		.bf16_macs = meter->isa == CPU_AVX512_BF16 && peaks->bf16 ?
			     macs_rate(meter, peaks->bf16, bf16_ones, peaks->bf16_macs) : 0,
		.int8_macs = macs_rate(meter, peaks->int8, int8_ones, peaks->int8_macs),
		.read_bytes = READ_BYTES / best_seconds_of(&reading, READ_ITEMS),
	};
}

double cpu_meter_read(const struct cpu_meter *meter)
{
	const struct trial reading = { .meter = meter };
	double seconds = 0;

	for (int i = 0; i < READ_PASSES; i++)
		seconds += seconds_of(&reading, READ_ITEMS);
	return READ_PASSES * READ_BYTES / seconds;
}

enum sc_status cpu_meter_create(enum cpu_isa wanted, unsigned n_threads,
				struct cpu_meter **meter_out, struct error *err)
{
	struct cpu_meter *meter;
	enum sc_status status;
	enum cpu_isa isa;

	status = cpu_isa_select(wanted, &isa, err);
	if (status)
		return status;
	meter = calloc(1, sizeof *meter);
	if (!meter)
		return error_set(err, SC_E_NOMEM, "measuring: out of memory");
	meter->isa = isa;
	meter->peaks = choose_peaks(isa);
	meter->memory = cpu_memory(NULL, READ_BYTES);
	if (meter->memory)
		status = team_create(n_threads, &meter->team, err);
	else
		status = error_set(err, SC_E_NOMEM, "cannot allocate %d MiB for measuring the "
				   "memory's speed", READ_ITEMS);
	if (status) {
		cpu_meter_destroy(meter);
		return status;
	}
	*meter_out = meter;
	return SC_OK;
}

void cpu_meter_destroy(struct cpu_meter *meter)
{
	if (!meter)
		return;
	team_destroy(meter->team);
	cpu_memory_free(meter->memory);
	free(meter);
}
