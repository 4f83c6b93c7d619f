/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include "model/byte_alphabet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>
#include <cmocka.h>

static void every_character_is_whole_and_its_beginnings_are_unfinished(void **state)
{
	(void)state;
	for (utf8proc_int32_t code = 0; code <= 0x10FFFF; code++) {
		uint8_t bytes[4];
		utf8proc_ssize_t n = utf8proc_encode_char(code, bytes);

		if (code >= 0xD800 && code < 0xE000)
			continue;
		assert_int_equal(utf8_next(bytes, (size_t)n), n);
		for (utf8proc_ssize_t k = 1; k < n; k++)
			assert_int_equal(utf8_next(bytes, (size_t)k), 0);
	}
}

/* Every three bytes: utf8proc finds a character exactly where we do. */
static void what_is_a_character_agrees_with_utf8proc(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 1u << 24; i += 1 + (i & 0x3F)) {
		const uint8_t bytes[3] = { (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
		utf8proc_int32_t code;
		utf8proc_ssize_t n = utf8proc_iterate(bytes, 3, &code);
		int next = utf8_next(bytes, 3);

		assert_int_equal(n > 0 ? n : 0, next > 0 ? next : 0);
		assert_true(next >= -3);
	}
}

static void the_valid_length_ends_at_the_first_bad_byte(void **state)
{
	(void)state;
	assert_int_equal(utf8_valid_length("", 0), 0);
	assert_int_equal(utf8_valid_length("ab\xC3\xA9", 4), 4);
	assert_int_equal(utf8_valid_length("ab\xC3", 3), 2);
	assert_int_equal(utf8_valid_length("ab\xFF" "c", 4), 2);
	assert_int_equal(utf8_valid_length("\0a", 2), 2);
}

static void the_byte_alphabet_is_a_bijection(void **state)
{
	bool seen[0x144] = { false };

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		uint32_t code = byte_alphabet_code((uint8_t)byte);

		assert_true(code > 0x20 && code < 0x144 && !seen[code]);
		seen[code] = true;
		assert_int_equal(byte_alphabet_byte(code), byte);
	}
	for (uint32_t code = 0; code < 0x110000; code++)
		assert_int_equal(byte_alphabet_byte(code) >= 0, code < 0x144 && seen[code]);
	assert_int_equal(byte_alphabet_code(' '), 0x120);
	assert_int_equal(byte_alphabet_code('\n'), 0x10A);
	assert_int_equal(byte_alphabet_code(0xAD), 0x143);
}

static void other_characters_stay_when_the_alphabet_is_undone(void **state)
{
	static const char text[] = "a\u0120\u4E2D\u0144\xFF";
	char out[sizeof text];
	bool is_pure;
	size_t n;

	(void)state;
	n = byte_alphabet_decode("a\u0120b", 4, out, &is_pure);
	assert_true(is_pure && n == 3 && !memcmp(out, "a b", 3));
	n = byte_alphabet_decode(text, sizeof text - 1, out, &is_pure);
	assert_false(is_pure);
	assert_int_equal(n, sizeof text - 2);
	assert_memory_equal(out, "a \u4E2D\u0144\xFF", n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_character_is_whole_and_its_beginnings_are_unfinished),
		cmocka_unit_test(what_is_a_character_agrees_with_utf8proc),
		cmocka_unit_test(the_valid_length_ends_at_the_first_bad_byte),
		cmocka_unit_test(the_byte_alphabet_is_a_bijection),
		cmocka_unit_test(other_characters_stay_when_the_alphabet_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
