/* SPDX-License-Identifier: Apache-2.0 */
/* The hash that is computed while a matrix is packed is that of its stored bytes: for every type,
 * with every instruction set and number of threads, whatever the last panel has. */
#include "model/tensor_hash.h"

#include "backend/cpu/cpu.h"
#include "model/tensor_source.h"
#include "oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void check_hash(struct backend *backend, enum tensor_type type, unsigned n_out)
{
	struct matrix matrix;
	struct weight *weight;
	struct error err;

	matrix_init(&matrix, type, 512, n_out, type + n_out);
	if (backend->ops->weight_create(backend, &matrix.tensor, &weight, &err))
		fail_msg("%s", err.text);
	assert_true(backend->ops->weight_hash(weight) == tensor_hash(&matrix.tensor));
	backend->ops->weight_destroy(backend, weight);
	matrix_deinit(&matrix);
}

/* Calls check for each type and number of outputs, with each instruction set, on one thread and on
 * three. */
typedef void check_fn(struct backend *backend, enum tensor_type type, unsigned n_out);

static void check_each(check_fn *check, const unsigned *outs, unsigned n_outs)
{
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		for (unsigned n_threads = 1; n_threads <= 3; n_threads += 2) {
			struct backend *backend = open_cpu(*isa, n_threads, 4, 512);

			if (!backend)
				continue;
			for (unsigned t = 0; t < oracle_n_types; t++)
				for (unsigned i = 0; i < n_outs; i++)
					check(backend, oracle_types[t], outs[i]);
			backend->ops->close(backend);
		}
	}
}

static void a_packed_matrix_has_the_hash_of_its_bytes(void **state)
{
	static const unsigned outs[] = { 1, 7, 8, 33, 1000, 5003 };

	(void)state;
	check_each(check_hash, outs, sizeof outs / sizeof outs[0]);
}

/* --- matrices whose elements are made --- */

struct made {
	struct tensor_source source;
	const struct tensor *of;
	uint64_t broken_row;
};

static enum sc_status make_rows(const struct tensor_source *source, uint64_t first, uint64_t n,
				void *out, struct error *err)
{
	const struct made *made = (const struct made *)source;
	const uint64_t row = first / made->of->dims[0], n_rows = n / made->of->dims[0];

	if (made->broken_row >= row && made->broken_row - row < n_rows)
		return error_set(err, SC_E_FORMAT, "row %llu is broken",
				 (unsigned long long)made->broken_row);
	return tensor_read_rows(made->of, row, n_rows, out, err);
}

/* The panels are the same, and a failure of any thread fails the whole. */
static void check_made(struct backend *backend, enum tensor_type type, unsigned n_out)
{
	struct weight *stored, *weight;
	struct matrix matrix;
	struct made made = { .source.read = make_rows, .broken_row = UINT64_MAX };
	struct tensor tensor;
	struct error err;

	matrix_init(&matrix, type, 512, n_out, type + n_out);
	made.of = &matrix.tensor;
	tensor = matrix.tensor;
	tensor.data = NULL;
	tensor.source = &made.source;
	if (backend->ops->weight_create(backend, &tensor, &weight, &err) ||
	    backend->ops->weight_create(backend, &matrix.tensor, &stored, &err))
		fail_msg("%s", err.text);
	assert_true(backend->ops->weight_hash(weight) == tensor_hash(&matrix.tensor));
	assert_int_equal(cpu_weight_bytes(weight), cpu_weight_bytes(stored));
	assert_memory_equal(weight->panels, stored->panels, cpu_weight_bytes(stored));
	backend->ops->weight_destroy(backend, weight);
	backend->ops->weight_destroy(backend, stored);
	made.broken_row = n_out - 1;
	assert_int_equal(backend->ops->weight_create(backend, &tensor, &weight, &err), SC_E_FORMAT);
	assert_non_null(strstr(err.text, "is broken"));
	matrix_deinit(&matrix);
}

static void elements_that_are_made_are_packed_alike(void **state)
{
	static const unsigned outs[] = { 1, 33, 5003 };

	(void)state;
	check_each(check_made, outs, sizeof outs / sizeof outs[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packed_matrix_has_the_hash_of_its_bytes),
		cmocka_unit_test(elements_that_are_made_are_packed_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
