/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const enum tensor_type oracle_types[] = {
	TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1, TENSOR_Q5_0,
	TENSOR_Q5_1, TENSOR_IQ4_NL, TENSOR_MXFP4, TENSOR_Q2_K, TENSOR_Q3_K, TENSOR_Q4_K,
	TENSOR_Q5_K, TENSOR_Q6_K, TENSOR_IQ4_XS,
};
const unsigned oracle_n_types = sizeof oracle_types / sizeof *oracle_types;
const char *const oracle_isas[] = { "scalar", "avx2", "avx512", "avx512-bf16", NULL };

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
	return tensor_type_info(type)->block_length;
}

const char *type_name(enum tensor_type type)
{
	return tensor_type_info(type)->name;
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

/* Where the float16 scales of a block are: so many from an offset. */
static void find_scales(enum tensor_type type, unsigned *offset_out, unsigned *n_out)
{
	*offset_out = type == TENSOR_Q2_K ? 80 : type == TENSOR_Q3_K ? 108 :
		      type == TENSOR_Q6_K ? 208 : 0;
	*n_out = type == TENSOR_MXFP4 ? 0 : type == TENSOR_Q4_1 || type == TENSOR_Q5_1 ||
		 type == TENSOR_Q2_K || type == TENSOR_Q4_K || type == TENSOR_Q5_K ? 2 : 1;
}

/* The extremes often: they are where integer arithmetic would overflow. */
static uint8_t random_byte(struct random *random)
{
	static const uint8_t extremes[] = { 0x80, 0xff, 0x00, 0x7f };
	uint32_t bits = random_bits(random);

	return bits % 4 ? (uint8_t)(bits >> 8) : extremes[bits >> 2 & 3];
}

/* Scales that are numbers. */
static void store_scales(struct matrix *m, struct random *random, uint8_t *block)
{
	unsigned offset, n;

	if (m->tensor.type == TENSOR_MXFP4)
		block[0] = (uint8_t)(120 + block[0] % 10);
	find_scales(m->tensor.type, &offset, &n);
	for (unsigned i = 0; i < n; i++) {
		uint16_t scale = random_half(random);

		memcpy(block + offset + 2 * i, &scale, 2);
	}
}

static void load_elements(struct matrix *m)
{
	float *row = floats_alloc(m->n_in);

	for (unsigned out = 0; out < m->n_out; out++) {
		tensor_row_f32(&m->tensor, out, row);
		for (unsigned k = 0; k < m->n_in; k++)
			m->elements[(size_t)out * m->n_in + k] = (double)row[k];
	}
	free(row);
}

static void store_blocks(struct matrix *m, struct random *random)
{
	const struct tensor_type_info *info = tensor_type_info(m->tensor.type);

	for (size_t i = 0; i < m->tensor.n_bytes; i++)
		m->stored[i] = random_byte(random);
	for (size_t at = 0; at < m->tensor.n_bytes; at += info->block_bytes)
		store_scales(m, random, m->stored + at);
	load_elements(m);
}

void matrix_fill(struct matrix *m, uint8_t byte)
{
	const struct tensor_type_info *info = tensor_type_info(m->tensor.type);
	struct random random = { byte };

	memset(m->stored, byte, m->tensor.n_bytes);
	for (size_t at = 0; at < m->tensor.n_bytes; at += info->block_bytes)
		store_scales(m, &random, m->stored + at);
	load_elements(m);
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
	};
	m->tensor.n_bytes = tensor_row_bytes(&m->tensor) * n_out;
	m->stored = malloc(m->tensor.n_bytes);
	m->elements = malloc(n * sizeof *m->elements);
	if (!m->stored || !m->elements)
		abort();
	m->tensor.data = m->stored;
	if (type_block_length(type) == 1)
		for (size_t i = 0; i < n; i++)
			store_element(m, &random, i);
	else
		store_blocks(m, &random);
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

	if (!cpu_isa_find(isa, &config.isa))
		abort();
	status = backend_cpu.open(0, &config, &backend, &err);
	if (status && status != SC_E_CONFIG)
		abort();
	return status ? NULL : backend;
}
