/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/envelope.h"

#include "base/bytes.h"
#include "transport/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct envelope sample = {
	.kind = ENVELOPE_FRAME,
	.peer = 3,
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
	assert_int_equal(back.peer, sample.peer);
	assert_int_equal(back.credits, sample.credits);
	assert_true(back.from == sample.from && back.to == sample.to);
	assert_true(back.sequence == sample.sequence);
}

static void hello_says_what_its_sender_receives(void **state)
{
	struct envelope hello = sample, back;
	uint8_t bytes[ENVELOPE_BYTES];
	struct error err;

	(void)state;
	hello.kind = ENVELOPE_HELLO;
	hello.max_payload = LINK_MAX_PAYLOAD;
	hello.credits = LINK_MAX_CREDITS;
	envelope_encode(&hello, bytes);
	assert_int_equal(envelope_decode(bytes, sizeof bytes, &back, NULL), SC_OK);
	assert_int_equal(back.credits, LINK_MAX_CREDITS);
	assert_int_equal(back.max_payload, LINK_MAX_PAYLOAD);
	assert_int_equal(back.sequence, 0);
	hello.credits++;
	envelope_encode(&hello, bytes);
	assert_int_equal(envelope_decode(bytes, sizeof bytes, &back, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "65537 credits"));
	hello.credits = 0;
	hello.max_payload++;
	envelope_encode(&hello, bytes);
	assert_int_equal(envelope_decode(bytes, sizeof bytes, &back, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "frames of 2147483584 bytes"));
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
	.peer = 2,
	.id = UINT64_C(0x1234567800000000),
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
	assert_true(back.id == sample_address.id);
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
		bytes[i] ^= 0x10;
		assert_int_equal(address_decode(bytes, n_bytes, "ucx ", 2, &back, NULL),
				 SC_E_PROTOCOL);
		bytes[i] ^= 0x10;
	}
	free(bytes);
}

static void address_of_another_peer_or_transport_is_refused(void **state)
{
	struct fabric_address back;
	struct error err;
	uint8_t *bytes;
	size_t n_bytes;

	(void)state;
	assert_int_equal(address_encode(&sample_address, &bytes, &n_bytes), SC_OK);
	assert_int_equal(address_decode(bytes, n_bytes, "ucx ", 1, &back, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "says peer 2"));
	assert_int_equal(address_decode(bytes, n_bytes, "mpi ", 2, &back, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "expected \"mpi \""));
	store_le64(bytes + 16, 1);
	assert_int_equal(address_decode(bytes, n_bytes, "ucx ", 2, &back, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "id 0000000000000001"));
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelope_comes_back_as_it_was),
		cmocka_unit_test(hello_says_what_its_sender_receives),
		cmocka_unit_test(broken_envelope_is_refused_with_the_field),
		cmocka_unit_test(address_comes_back_as_it_was),
		cmocka_unit_test(every_cut_and_every_changed_byte_of_an_address_is_refused),
		cmocka_unit_test(address_of_another_peer_or_transport_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
