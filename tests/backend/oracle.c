/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const enum tensor_type oracle_types[] = {
	TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0, TENSOR_Q4_0,
};
const unsigned oracle_n_types = sizeof oracle_types / sizeof *oracle_types;
const char *const oracle_isas[] = { "scalar", "avx2", "avx512", NULL };

uint32_t random_bits(struct random *random)
{
	random->state = random->state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random->state >> 32);
}

float random_float(struct random *random)
{
	return (float)(random_bits(random) >> 8) / 8388608.0f - 1.0f;
}

void random_fill(struct random *random, float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] = random_float(random);
}

float *floats_alloc(size_t n)
{
	float *p = aligned_alloc(64, (n * sizeof *p + 64) / 64 * 64);

	if (!p)
		abort();
	/* What an operation does not write shows. */
	for (size_t i = 0; i < n; i++)
		p[i] = NAN;
	return p;
}

unsigned type_block_length(enum tensor_type type)
{
	return type == TENSOR_Q8_0 || type == TENSOR_Q4_0 ? 32 : 1;
}

const char *type_name(enum tensor_type type)
{
	switch (type) {
	case TENSOR_F32:
		return "F32";
	case TENSOR_F16:
		return "F16";
	case TENSOR_BF16:
		return "BF16";
	case TENSOR_Q8_0:
		return "Q8_0";
	default:
		return "Q4_0";
	}
}

static size_t row_bytes(enum tensor_type type, size_t n_in)
{
	switch (type) {
	case TENSOR_F32:
		return n_in * 4;
	case TENSOR_Q8_0:
		return n_in / 32 * 34;
	case TENSOR_Q4_0:
		return n_in / 32 * 18;
	default:
		return n_in * 2;
	}
}

/* A binary16 of magnitude up to about 2, subnormals and zeros among them, by its definition. */
static uint16_t random_half(struct random *random)
{
	return (uint16_t)((random_bits(random) & 0x83ff) | random_bits(random) % 16 << 10);
}

double half_value(uint16_t h)
{
	int exponent = h >> 10 & 31, fraction = h & 1023;
	double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);

	if (exponent == 31)
		value = fraction ? (double)NAN : INFINITY;
	return h & 0x8000 ? -value : value;
}

static void store_element(struct matrix *m, struct random *random, size_t i)
{
	float f = random_float(random);
	uint32_t bits;
	uint16_t half;

	switch (m->tensor.type) {
	case TENSOR_F32:
		memcpy(m->stored + i * 4, &f, 4);
		break;
	case TENSOR_BF16:
		memcpy(&bits, &f, 4);
		half = (uint16_t)(bits >> 16);
		memcpy(m->stored + i * 2, &half, 2);
		bits = (uint32_t)half << 16;
		memcpy(&f, &bits, 4);
		break;
	default:
		half = random_half(random);
		memcpy(m->stored + i * 2, &half, 2);
		m->elements[i] = half_value(half);
		return;
	}
	m->elements[i] = f;
}

static void store_block(struct matrix *m, struct random *random, size_t block)
{
	bool is_q8 = m->tensor.type == TENSOR_Q8_0;
	uint8_t *to = m->stored + block * (is_q8 ? 34 : 18);
	uint16_t scale = random_half(random);
	double d = half_value(scale), *out = m->elements + block * 32;

	memcpy(to, &scale, 2);
	for (unsigned i = 0; i < (is_q8 ? 32 : 16); i++) {
		/* The extremes often: they are where integer arithmetic would overflow. */
		uint8_t byte = random_bits(random) % 4 ? (uint8_t)random_bits(random) :
			       is_q8 ? 0x80 : 0xff;

		to[2 + i] = byte;
		if (is_q8) {
			out[i] = d * (int8_t)byte;
			continue;
		}
		out[i] = d * ((byte & 15) - 8);
		out[i + 16] = d * ((byte >> 4) - 8);
	}
}

void matrix_init(struct matrix *m, enum tensor_type type, unsigned n_in, unsigned n_out,
		 uint64_t seed)
{
	struct random random = { seed };
	size_t n = (size_t)n_in * n_out;

	m->n_in = n_in;
	m->n_out = n_out;
	m->tensor = (struct tensor){
		.name = "test", .type = type, .n_dims = 2, .dims = { n_in, n_out, 1, 1 },
		.n_bytes = row_bytes(type, n_in) * n_out,
	};
	m->stored = malloc(m->tensor.n_bytes);
	m->elements = malloc(n * sizeof *m->elements);
	if (!m->stored || !m->elements)
		abort();
	m->tensor.data = m->stored;
	if (type_block_length(type) == 1)
		for (size_t i = 0; i < n; i++)
			store_element(m, &random, i);
	else
		for (size_t block = 0; block < n / 32; block++)
			store_block(m, &random, block);
}

void matrix_deinit(struct matrix *m)
{
	free(m->stored);
	free(m->elements);
}

struct backend *open_cpu(const char *isa, unsigned n_threads, unsigned max_rows,
			 unsigned max_width)
{
	struct backend_config config = {
		.n_threads = n_threads, .max_rows = max_rows, .max_width = max_width,
	};
	struct backend *backend = NULL;
	enum sc_status status;
	struct error err;

	setenv("STAGECOACH_CPU", isa, 1);
	status = backend_cpu.open(0, &config, &backend, &err);
	unsetenv("STAGECOACH_CPU");
	if (status && status != SC_E_CONFIG)
		abort();
	return status ? NULL : backend;
}
