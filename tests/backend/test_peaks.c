/* SPDX-License-Identifier: Apache-2.0 */
/* The loops do all that is counted for them; how fast is nobody's business here. */
#include "backend/cpu/peaks.h"

#include "base/cpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROUNDS (100 * CPU_PEAK_ROUNDS)

static const struct cpu_peaks *const tables[] = {
	[CPU_SCALAR] = &cpu_peaks_scalar,
#ifdef HAVE_X86_SIMD
	[CPU_AVX2] = &cpu_peaks_avx2,
	[CPU_AVX512] = &cpu_peaks_avx512,
#endif
};
#define N_TABLES (sizeof tables / sizeof tables[0])

/* Elements of a vector of sums. */
static const unsigned n_elements[] = { [CPU_SCALAR] = 4, [CPU_AVX2] = 8, [CPU_AVX512] = 16 };

static bool has(enum cpu_isa isa)
{
	return isa <= cpu_isa_best();
}

static void every_multiply_add_is_done(void **state)
{
	float f32_ones[32], f32[16];
	int8_t int8_ones[128];
	int32_t int8[16];

	(void)state;
	for (int i = 0; i < 32; i++)
		f32_ones[i] = 1.0f;
	memset(int8_ones, 1, sizeof int8_ones);
	for (unsigned isa = CPU_SCALAR; isa < N_TABLES; isa++) {
		const struct cpu_peaks *peaks = tables[isa];

		if (!has((enum cpu_isa)isa))
			continue;
		peaks->f32(ROUNDS, f32_ones, f32);
		peaks->int8(ROUNDS, int8_ones, int8);
		for (unsigned i = 0; i < n_elements[isa]; i++) {
			assert_int_equal((unsigned)f32[i] * n_elements[isa],
					 ROUNDS * peaks->f32_macs);
			assert_int_equal((unsigned)int8[i] * n_elements[isa],
					 ROUNDS * peaks->int8_macs);
		}
	}
}

static void every_byte_is_read(void **state)
{
	static _Alignas(64) uint32_t memory[1024];
	uint32_t sums[16], sum;

	(void)state;
	for (unsigned isa = CPU_SCALAR; isa < N_TABLES; isa++) {
		if (!has((enum cpu_isa)isa))
			continue;
		for (uint32_t i = 0; i < 1024; i++)
			memory[i] = 1 + i % 7 * (isa > 0);
		memset(sums, 0, sizeof sums);
		tables[isa]->read(memory, sizeof memory, sums);
		sum = 0;
		/* The scalar table adds pairs of words: two of 512 ones. */
		for (unsigned i = 0; i < (isa ? n_elements[isa] : 2); i++)
			sum += sums[i];
		for (uint32_t i = 0; i < 1024; i++)
			sum -= memory[i];
		assert_int_equal(sum, 0);
	}
}

static void rates_come_out_for_what_there_is(void **state)
{
	struct cpu_meter *meter;
	struct cpu_speed speed;
	struct error err;

	(void)state;
	assert_int_equal(cpu_meter_create(CPU_SCALAR, 2, &meter, &err), SC_OK);
	speed = cpu_meter_best(meter);
	assert_true(speed.f32_macs > 0 && speed.int8_macs > 0 && speed.read_bytes > 0);
	assert_true(speed.bf16_macs == 0);
	assert_true(cpu_meter_read(meter) > 0);
	cpu_meter_destroy(meter);
	if (cpu_isa_best() < CPU_AVX512_BF16)
		assert_int_equal(cpu_meter_create(CPU_AVX512_BF16, 1, &meter, &err), SC_E_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_multiply_add_is_done),
		cmocka_unit_test(every_byte_is_read),
		cmocka_unit_test(rates_come_out_for_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
