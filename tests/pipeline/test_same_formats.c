/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first promise again, for every type of weights on every instruction set: with one to four
 * threads, one to three stages, whole prompts and pieces of them, each job gives the tokens and the
 * bits of the logits that it gives alone.
 */
#include "tests/pipeline/wanted.h"

#include "base/cpu.h"

#include "tests/quant/encode_blocks.h"
#include "tests/sanitizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { N_JOBS = 6, N_THREADS = 4 };


static const enum tensor_type types[] = {
	TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1, TENSOR_Q5_0,
	TENSOR_Q5_1, TENSOR_IQ4_NL, TENSOR_MXFP4, TENSOR_Q2_K, TENSOR_Q3_K, TENSOR_Q4_K,
	TENSOR_Q5_K, TENSOR_Q6_K, TENSOR_IQ4_XS,
};

static struct wanted wanted[N_JOBS];
static enum cpu_isa isa;

static void use_type(enum tensor_type type)
{
	struct tiny_model tiny = tiny_llama;

	tiny.type = type;
	tiny.encode = encode_blocks;
	tiny.n_layers = 3;
	tiny.dim = 256;
	tiny.head_dim = 64;
	tiny.ffn_dim = 512;
	rig_use_model(&tiny);
}

static void check_type(enum tensor_type type)
{
	struct rig_options options = rig_defaults;

	options.isa = isa;
	use_type(type);
	wanted_run_alone(wanted, N_JOBS, &options);
	for (unsigned n = 1; n <= N_THREADS; n++) {
		options.n_threads = n;
		options.n_stages = 1 + n % 3;
		options.window = n;
		options.prompt_chunk = n % 2 ? options.max_rows : 1 + wanted_draw(20);
		wanted_run_together(wanted, N_JOBS, &options);
	}
	print_message("%s %s: the same bits with 1 to %d threads\n", cpu_isa_name(isa),
		      tensor_type_info(type)->name, N_THREADS);
}

static void use_isa(enum cpu_isa set)
{
	struct error err;

	if (cpu_isa_select(set, &isa, &err)) {
		print_message("%s\n", err.text);
		skip();
	}
}

/* Every so many-th type. */
static void check_isa(enum cpu_isa set, unsigned every)
{
	use_isa(set);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i += every)
		check_type(types[i]);
}

static void the_same_bits_for_every_type_in_plain_code(void **state)
{
	(void)state;
	/* Plain code under TSan is slowest of all; threads meet in the same places. */
	check_isa(CPU_SCALAR, HAS_TSAN ? 16 : SANITIZED_EVERY(4));
}

static void the_same_bits_for_every_type_on_avx2(void **state)
{
	(void)state;
	check_isa(CPU_AVX2, SANITIZED_EVERY(4));
}

static void the_same_bits_for_every_type_on_avx512(void **state)
{
	(void)state;
	check_isa(CPU_AVX512, SANITIZED_EVERY(4));
}

/* Other types have the same kernels with and without. */
static void the_same_bits_for_bf16_with_its_instruction(void **state)
{
	(void)state;
	use_isa(CPU_AVX512_BF16);
	check_type(TENSOR_BF16);
}

static int make_requests(void **state)
{
	(void)state;
	wanted_make(wanted, N_JOBS);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_bits_for_every_type_in_plain_code),
		cmocka_unit_test(the_same_bits_for_every_type_on_avx2),
		cmocka_unit_test(the_same_bits_for_every_type_on_avx512),
		cmocka_unit_test(the_same_bits_for_bf16_with_its_instruction),
	};

	return cmocka_run_group_tests(tests, make_requests, rig_model_teardown);
}
