/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_limits.h"

#include "backend/cpu/peaks.h"
#include "measure/statistics.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct known_speed {
	unsigned n_threads;
	struct machine_speed speed;
};

enum sc_status bench_limits_init(struct bench_limits *limits, const char *backend,
				 enum cpu_isa isa, uint32_t n_repetitions, struct error *err)
{
	*limits = (struct bench_limits){ .isa = isa, .is_known = !strcmp(backend, "cpu") };
	limits->cache_bytes = (double)cpu_cache_bytes();
	limits->max_readings = n_repetitions + 1;
	limits->readings = calloc(limits->max_readings, sizeof limits->readings[0]);
	return limits->readings ? SC_OK : error_set(err, SC_E_NOMEM, "out of memory");
}

void bench_limits_deinit(struct bench_limits *limits)
{
	cpu_meter_destroy(limits->meter);
	free(limits->readings);
	free(limits->speeds);
}

const struct machine_speed *bench_limits_speed(const struct bench_limits *limits,
					       unsigned n_threads)
{
	for (uint32_t i = 0; i < limits->n_speeds; i++)
		if (limits->speeds[i].n_threads == n_threads)
			return &limits->speeds[i].speed;
	return NULL;
}

/* What fewer threads can do, more can: a busy machine may have said otherwise. */
static void take_larger(const struct bench_limits *limits, unsigned n_threads,
			struct machine_speed *speed)
{
	for (uint32_t i = 0; i < limits->n_speeds; i++) {
		const struct machine_speed *known = &limits->speeds[i].speed;

		if (limits->speeds[i].n_threads > n_threads)
			continue;
		speed->int8_macs = fmax(speed->int8_macs, known->int8_macs);
		speed->bf16_macs = fmax(speed->bf16_macs, known->bf16_macs);
		speed->f32_macs = fmax(speed->f32_macs, known->f32_macs);
		speed->read_bytes = fmax(speed->read_bytes, known->read_bytes);
	}
}

enum sc_status bench_limits_measure(struct bench_limits *limits, unsigned n_threads,
				    const struct machine_speed **speed_out, struct error *err)
{
	struct known_speed *speeds = reallocarray(limits->speeds, limits->n_speeds + 1,
						  sizeof *speeds);
	struct cpu_meter *meter;
	enum sc_status status;
	struct cpu_speed best;

	if (!speeds)
		return error_set(err, SC_E_NOMEM, "out of memory");
	limits->speeds = speeds;
	status = cpu_meter_create(limits->isa, n_threads, &meter, err);
	if (status != SC_OK)
		return status;
	best = cpu_meter_best(meter);
	cpu_meter_destroy(meter);
	speeds += limits->n_speeds;
	*speeds = (struct known_speed){
		.n_threads = n_threads,
		.speed = {
			.int8_macs = best.int8_macs,
			.bf16_macs = best.bf16_macs,
			.f32_macs = best.f32_macs,
			.read_bytes = best.read_bytes,
		},
	};
	take_larger(limits, n_threads, &speeds->speed);
	limits->n_speeds++;
	*speed_out = &speeds->speed;
	return SC_OK;
}

static bool is_decode(const struct bench_test *test)
{
	return test->kind == BENCH_DECODE || test->kind == BENCH_DEEP_DECODE;
}

uint32_t bench_busy_stages(const struct bench_test *test, uint32_t n_stages)
{
	if (is_decode(test) && test->n_sequences < n_stages)
		return test->n_sequences;
	return n_stages;
}

enum sc_status bench_limits_start(struct bench_limits *limits, const struct bench_test *test,
				  uint32_t n_stages, uint32_t n_threads, struct error *err)
{
	unsigned n_busy = bench_busy_stages(test, n_stages) * n_threads;
	const struct machine_speed *speed = bench_limits_speed(limits, n_busy);
	enum sc_status status = SC_OK;

	limits->n_readings = 0;
	limits->speed = speed ? *speed : (struct machine_speed){ 0 };
	if (speed && test->n_gen)
		status = cpu_meter_create(limits->isa, n_busy, &limits->meter, err);
	/* Beside a model that fills the memory the best reading, from before it came, has to do. */
	return status == SC_E_NOMEM ? SC_OK : status;
}

void bench_limits_read(struct bench_limits *limits)
{
	assert(!limits->meter || limits->n_readings < limits->max_readings);
	if (limits->meter)
		limits->readings[limits->n_readings++] = cpu_meter_read(limits->meter);
}

struct machine_speed bench_limits_stop(struct bench_limits *limits)
{
	if (limits->n_readings)
		limits->speed.read_bytes = spread_of(limits->readings, limits->n_readings).median;
	cpu_meter_destroy(limits->meter);
	limits->meter = NULL;
	return limits->speed;
}

double bench_limit_of(const struct bench_test *test, const struct cost *cost,
		      const struct machine_speed *speed, uint32_t n_chunk)
{
	double n_prompt = (double)test->n_prompt, n_gen = (double)test->n_gen;
	double prompt, decode;

	if (speed->read_bytes <= 0)
		return 0;
	if (is_decode(test))
		return cost_decode_limit(cost, speed, test->n_sequences, test->depth + n_gen / 2);
	prompt = cost_prompt_limit(cost, speed, n_prompt, test->depth, n_chunk);
	if (test->kind != BENCH_MIXED)
		return prompt;
	decode = cost_decode_limit(cost, speed, 1, n_prompt + n_gen / 2);
	return (n_prompt + n_gen) / (n_prompt / prompt + n_gen / decode);
}

bool bench_is_in_cache(const struct bench_limits *limits, const struct bench_test *test,
		       const struct cost *cost, const struct machine_speed *speed,
		       uint32_t n_chunk, double rate)
{
	double limit = bench_limit_of(test, cost, speed, n_chunk);
	double n_positions = (double)test->depth + test->n_prompt + test->n_gen;
	struct machine_speed arithmetic = *speed;

	arithmetic.read_bytes = INFINITY;
	if (limit <= 0 || bench_limit_of(test, cost, &arithmetic, n_chunk) <= limit)
		return false;
	return cost_is_in_cache(rate, limit,
				cost_step_bytes(cost, test->n_sequences, n_positions),
				limits->cache_bytes);
}
