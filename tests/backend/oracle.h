/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_BACKEND_ORACLE_H
#define STAGECOACH_TESTS_BACKEND_ORACLE_H
/*
 * oracle - what the backend tests compare with: stored matrices made from random numbers, their
 * elements as double, and plain loops in double.
 */
#include "backend/backend.h"

/* Deterministic numbers: uniform in [-1, 1), and of any 32 bits. */
struct random {
	uint64_t state;
};

uint32_t random_bits(struct random *random);
float random_float(struct random *random);
void random_fill(struct random *random, float *x, size_t n);

/* What an IEEE binary16 stands for. */
double half_value(uint16_t h);

/* A random stored matrix. */
struct matrix {
	struct tensor tensor;
	uint8_t *stored;
	double *elements;	/* [n_out][n_in], what is stored */
	unsigned n_in;
	unsigned n_out;
};

void matrix_init(struct matrix *matrix, enum tensor_type type, unsigned n_in, unsigned n_out,
		 uint64_t seed);
void matrix_deinit(struct matrix *matrix);
/* Of a quantised type: every byte that is not a scale in floating point becomes `byte`. */
void matrix_fill(struct matrix *matrix, uint8_t byte);

/* The types of weights, and the granularity of n_in that each has. */
extern const enum tensor_type oracle_types[];
extern const unsigned oracle_n_types;
unsigned type_block_length(enum tensor_type type);
const char *type_name(enum tensor_type type);

/* Opens the CPU backend with an instruction set; NULL when this machine has no such set. */
struct backend *open_cpu(const char *isa, unsigned n_threads, unsigned max_rows,
			 unsigned max_width);
extern const char *const oracle_isas[];	/* NULL at the end */

/* Aligned to 64 bytes; aborts the test when there is no memory. */
float *floats_alloc(size_t n);

#endif
