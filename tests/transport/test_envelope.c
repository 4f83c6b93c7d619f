/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/envelope.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct envelope sample = {
	.kind = ENVELOPE_FRAME,
	.rank = 3,
	.credits = 5,
	.from = UINT64_C(0x1122334455667788),
	.to = UINT64_C(0x99aabbccddeeff00),
	.sequence = UINT64_C(1) << 40,
};

static void envelope_comes_back_as_it_was(void **state)
{
	uint8_t bytes[ENVELOPE_BYTES];
	struct envelope back;

	(void)state;
	envelope_encode(&sample, bytes);
	assert_int_equal(envelope_decode(bytes, sizeof bytes, &back, NULL), SC_OK);
	assert_int_equal(back.kind, sample.kind);
	assert_int_equal(back.rank, sample.rank);
	assert_int_equal(back.credits, sample.credits);
	assert_true(back.from == sample.from && back.to == sample.to);
	assert_true(back.sequence == sample.sequence);
}

static void broken_envelope_is_refused_with_the_field(void **state)
{
	uint8_t bytes[ENVELOPE_BYTES + 1] = { 0 };
	struct envelope back;
	struct error err;

	(void)state;
	envelope_encode(&sample, bytes);
	for (size_t n = 0; n <= ENVELOPE_BYTES + 1; n++)
		if (n != ENVELOPE_BYTES)
			assert_int_equal(envelope_decode(bytes, n, &back, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "41 bytes"));
	store_le32(bytes + 4, 0);
	assert_int_equal(envelope_decode(bytes, ENVELOPE_BYTES, &back, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "kind 0"));
	store_le32(bytes + 4, ENVELOPE_N_KINDS);
	assert_int_equal(envelope_decode(bytes, ENVELOPE_BYTES, &back, &err), SC_E_PROTOCOL);
	bytes[0] ^= 1;
	assert_int_equal(envelope_decode(bytes, ENVELOPE_BYTES, &back, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "magic"));
}

static const struct fabric_address sample_address = {
	.transport = "ucx ",
	.rank = 2,
	.credits = 8,
	.max_payload = 1 << 20,
	.native = "worker address",
	.n_native = 14,
};

static void address_comes_back_as_it_was(void **state)
{
	struct fabric_address back;
	uint8_t *bytes;
	size_t n_bytes;

	(void)state;
	assert_int_equal(address_encode(&sample_address, &bytes, &n_bytes), SC_OK);
	assert_int_equal(address_decode(bytes, n_bytes, "ucx ", 2, &back, NULL), SC_OK);
	assert_int_equal(back.credits, 8);
	assert_int_equal(back.max_payload, 1 << 20);
	assert_int_equal(back.n_native, 14);
	assert_memory_equal(back.native, "worker address", 14);
	free(bytes);
}

static void every_cut_and_every_changed_byte_of_an_address_is_refused(void **state)
{
	struct fabric_address back;
	uint8_t *bytes;
	size_t n_bytes;

	(void)state;
	assert_int_equal(address_encode(&sample_address, &bytes, &n_bytes), SC_OK);
	for (size_t n = 0; n < n_bytes; n++) {
		uint8_t *cut = malloc(n + 1);

		memcpy(cut, bytes, n);
		assert_int_equal(address_decode(cut, n, "ucx ", 2, &back, NULL), SC_E_PROTOCOL);
		free(cut);
	}
	for (size_t i = 0; i < n_bytes; i++) {
		/* Credits and frame size stay in range with this change; 28 is spare. */
		if (i / 4 == 3 || i / 8 == 2 || i / 4 == 7)
			continue;
		bytes[i] ^= 0x10;
		assert_int_equal(address_decode(bytes, n_bytes, "ucx ", 2, &back, NULL),
				 SC_E_PROTOCOL);
		bytes[i] ^= 0x10;
	}
	free(bytes);
}

static void address_of_another_rank_or_transport_is_refused(void **state)
{
	struct fabric_address back;
	struct error err;
	uint8_t *bytes;
	size_t n_bytes;

	(void)state;
	assert_int_equal(address_encode(&sample_address, &bytes, &n_bytes), SC_OK);
	assert_int_equal(address_decode(bytes, n_bytes, "ucx ", 1, &back, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "says rank 2"));
	assert_int_equal(address_decode(bytes, n_bytes, "mpi ", 2, &back, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "expected \"mpi \""));
	store_le32(bytes + 12, 0);
	assert_int_equal(address_decode(bytes, n_bytes, "ucx ", 2, &back, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "0 credits"));
	store_le32(bytes + 12, 8);
	store_le64(bytes + 16, UINT64_MAX);
	assert_int_equal(address_decode(bytes, n_bytes, "ucx ", 2, &back, &err), SC_E_PROTOCOL);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelope_comes_back_as_it_was),
		cmocka_unit_test(broken_envelope_is_refused_with_the_field),
		cmocka_unit_test(address_comes_back_as_it_was),
		cmocka_unit_test(every_cut_and_every_changed_byte_of_an_address_is_refused),
		cmocka_unit_test(address_of_another_rank_or_transport_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
