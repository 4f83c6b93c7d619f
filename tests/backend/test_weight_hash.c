/* SPDX-License-Identifier: Apache-2.0 */
/* The hash that is computed while a matrix is packed is that of its stored bytes: for every type,
 * with every instruction set and number of threads, whatever the last panel has. */
#include "model/tensor_hash.h"

#include "oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
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

static void a_packed_matrix_has_the_hash_of_its_bytes(void **state)
{
	static const unsigned outs[] = { 1, 7, 8, 33, 1000, 5003 };

	(void)state;
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		for (unsigned n_threads = 1; n_threads <= 3; n_threads += 2) {
			struct backend *backend = open_cpu(*isa, n_threads, 4, 512);

			if (!backend)
				continue;
			for (unsigned t = 0; t < oracle_n_types; t++)
				for (unsigned i = 0; i < sizeof outs / sizeof outs[0]; i++)
					check_hash(backend, oracle_types[t], outs[i]);
			backend->ops->close(backend);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packed_matrix_has_the_hash_of_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
