/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/philox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* The vectors that Random123 publishes for "philox4x32 10" (its tests/kat_vectors). */
static void known_answers_come_out(void **state)
{
	static const struct {
		uint32_t counter[4];
		uint32_t key[2];
		uint32_t out[4];
	} vectors[] = {
		{ { 0, 0, 0, 0 }, { 0, 0 },
		  { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
		{ { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff }, { 0xffffffff, 0xffffffff },
		  { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
		{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 },
		  { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
	};
	uint32_t out[4];

	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		philox4x32_10(vectors[i].counter, vectors[i].key, out);
		assert_memory_equal(out, vectors[i].out, sizeof out);
	}
}

static void uniform_uses_all_of_seed_stream_and_position(void **state)
{
	static const struct {
		uint64_t seed;
		uint32_t stream;
		uint32_t position;
	} inputs[] = {
		{ 0, 0, 0 }, { 0, 0, 1 }, { 0, 1, 0 }, { 1, 0, 0 }, { UINT64_C(1) << 32, 0, 0 },
		{ 0, 0, 0x80000000 }, { 0, 0x80000000, 0 }, { UINT64_C(1) << 63, 0, 0 },
	};
	const size_t n = sizeof inputs / sizeof inputs[0];
	double values[sizeof inputs / sizeof inputs[0]];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		values[i] = philox_uniform(inputs[i].seed, inputs[i].stream, inputs[i].position);
		assert_true(values[i] >= 0 && values[i] < 1);
		assert_true(values[i] == philox_uniform(inputs[i].seed, inputs[i].stream,
							inputs[i].position));
		for (size_t j = 0; j < i; j++)
			assert_true(values[i] != values[j]);
	}
}

static void uniform_fills_its_range_evenly(void **state)
{
	enum { N_BINS = 64, N_DRAWS = 64000 };
	unsigned counts[N_BINS] = { 0 };
	double chi_square = 0;
	const double expected = (double)N_DRAWS / N_BINS;

	(void)state;
	for (uint32_t i = 0; i < N_DRAWS; i++)
		counts[(unsigned)(philox_uniform(42, 0, i) * N_BINS)]++;
	for (unsigned i = 0; i < N_BINS; i++)
		chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
	/* 63 degrees of freedom: 95 % of all seeds lie between these. */
	assert_true(chi_square > 42.95 && chi_square < 86.83);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers_come_out),
		cmocka_unit_test(uniform_uses_all_of_seed_stream_and_position),
		cmocka_unit_test(uniform_fills_its_range_evenly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
