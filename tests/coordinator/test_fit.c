/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a model that is not loaded is what a coordinator comes to. */
#include "coordinator/fit.h"

#include "tests/coordinator/paper_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define N_LAYERS 8
#define CONTEXT 4096
/* Of one position in one layer, as PAPER_SIZES says. */
#define POSITION_BYTES 128

static const uint64_t rows[N_LAYERS] = { 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000 };
static struct error err;

static struct coordinator_config config_of(unsigned n_stages)
{
	return (struct coordinator_config){
		.model = paper_model(N_LAYERS, rows, 300), .n_stages = n_stages, .max_rows = 8,
		.max_sequences = 1, .max_context = CONTEXT, .block_length = 16,
		.kv_type = TENSOR_F16,
	};
}

static struct fit fit_of(struct coordinator_config config, uint64_t memory_bytes)
{
	const struct fit_workers workers = {
		.memory_bytes = memory_bytes, .n_threads = 2, .sizes = PAPER_SIZES,
		.has_links = true,
	};
	struct fit fit;

	if (fit_plan(&config, &workers, &fit, &err) != SC_OK)
		fail_msg("%s", err.text);
	return fit;
}

static bool fits_whole(unsigned n_stages, uint64_t memory_bytes)
{
	struct coordinator_config config = config_of(n_stages);
	struct fit fit;
	bool is_there;

	config.is_context_fixed = true;
	fit = fit_of(config, memory_bytes);
	is_there = fit.plan != NULL;
	fit_deinit(&fit);
	return is_there;
}

static void unknown_memory_has_room_for_the_whole_context(void **state)
{
	struct fit fit = fit_of(config_of(1), 0);

	(void)state;
	assert_non_null(fit.plan);
	assert_int_equal(fit.context, CONTEXT);
	assert_int_equal(fit.n_positions, CONTEXT);
	assert_int_equal(fit.plan->n_stages, 1);
	fit_deinit(&fit);
}

static void a_short_memory_shortens_the_context_before_nothing_fits(void **state)
{
	uint32_t before = CONTEXT;
	unsigned n_shorter = 0;
	uint64_t memory;

	(void)state;
	for (memory = 64 * MIB; memory; memory -= MIB) {
		struct fit fit = fit_of(config_of(1), memory);

		if (!fit.plan) {
			assert_int_equal(fit.why_not.status, SC_E_CAPACITY);
			break;
		}
		assert_true(fit.context <= before && fit.context >= 512);
		n_shorter += fit.context < CONTEXT;
		before = fit.context;
		fit_deinit(&fit);
	}
	assert_true(memory > 0 && n_shorter > 0);
}

static void the_least_number_of_stages_fits_and_one_less_does_not(void **state)
{
	const struct coordinator_config config = config_of(1);
	bool was_more_than_one = false;

	(void)state;
	for (uint64_t memory = 64 * MIB; memory; memory -= MIB) {
		const struct fit_workers workers = {
			.memory_bytes = memory, .n_threads = 2, .sizes = PAPER_SIZES,
			.has_links = true,
		};
		unsigned n, expected = 0;

		assert_int_equal(fit_least_stages(&config, &workers, CONTEXT, &n, &err), SC_OK);
		for (unsigned i = N_LAYERS; i > 0; i--)
			if (fits_whole(i, memory))
				expected = i;
		assert_int_equal(n, expected);
		was_more_than_one |= n > 1;
	}
	assert_true(was_more_than_one);
}

static void the_bytes_of_a_position_are_those_of_all_layers(void **state)
{
	const struct coordinator_config config = config_of(1);
	const struct fit_workers workers = { .sizes = PAPER_SIZES };

	(void)state;
	assert_int_equal(fit_position_bytes(&config, &workers, true), N_LAYERS * POSITION_BYTES);
	assert_int_equal(fit_position_bytes(&config, &workers, false), N_LAYERS * POSITION_BYTES);
	assert_int_equal(fit_context_bytes(&config, &workers, 1000),
			 63 * 16 * N_LAYERS * POSITION_BYTES);
}

/* Six of eight layers have half as many bytes, and a ring of 6 blocks. */
static void windows_take_less_of_a_long_context(void **state)
{
	const struct coordinator_config config = config_of(1);
	const struct fit_workers workers = { .sizes = PAPER_SIZES };

	(void)state;
	paper_model_add_window(64);
	assert_int_equal(fit_position_bytes(&config, &workers, true), 2 * 128 + 6 * 64);
	assert_int_equal(fit_position_bytes(&config, &workers, false), 2 * 128);
	assert_int_equal(fit_context_bytes(&config, &workers, 4096),
			 16 * (256 * 2 * 128 + 6 * 6 * 64));
	/* A short context is as long in all layers. */
	assert_int_equal(fit_context_bytes(&config, &workers, 80), 16 * (5 * 2 * 128 + 5 * 6 * 64));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_memory_has_room_for_the_whole_context),
		cmocka_unit_test(a_short_memory_shortens_the_context_before_nothing_fits),
		cmocka_unit_test(the_least_number_of_stages_fits_and_one_less_does_not),
		cmocka_unit_test(the_bytes_of_a_position_are_those_of_all_layers),
		cmocka_unit_test(windows_take_less_of_a_long_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
