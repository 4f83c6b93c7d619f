/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled rules of normalization, built here by hand; blocks that lie; grapheme clusters. */
#include "model/charsmap.h"
#include "model/grapheme.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define N_UNITS 512
#define OFFSET(n) ((uint32_t)(n) << 10)
#define HAS_RULE (1u << 8)

/* Rules: A -> x, AB -> yz, C -> nothing, e + U+0301 -> E. */
static void build(struct buf *blob)
{
	static const char texts[] = "x\0yz\0\0E";
	static uint32_t units[N_UNITS];

	for (size_t i = 0; i < N_UNITS; i++)
		units[i] = 0x80000000u;
	units[0] = OFFSET(256);
	units[256 ^ 'A'] = 'A' | HAS_RULE | OFFSET(256 ^ 'A' ^ 4);
	units[4] = 0;					/* x */
	units[4 ^ 'B'] = 'B' | HAS_RULE | OFFSET(4 ^ 'B' ^ 8);
	units[8] = 2;					/* yz */
	units[256 ^ 'C'] = 'C' | HAS_RULE | OFFSET(256 ^ 'C' ^ 16);
	units[16] = 5;					/* nothing */
	units[256 ^ 'e'] = 'e' | OFFSET(256 ^ 'e' ^ 32);
	units[32 ^ 0xCC] = 0xCC | OFFSET(32 ^ 0xCC ^ 128);
	units[128 ^ 0x81] = 0x81 | HAS_RULE | OFFSET(128 ^ 0x81 ^ 64);
	units[64] = 6;					/* E */
	buf_truncate(blob, 0);
	assert_int_equal(buf_add(blob, &(uint32_t){ sizeof units }, 4), SC_OK);
	assert_int_equal(buf_add(blob, units, sizeof units), SC_OK);
	assert_int_equal(buf_add(blob, texts, sizeof texts), SC_OK);
}

static void expect_longest(const struct charsmap *map, const char *text, size_t length,
			   const char *replacement)
{
	struct gguf_string found = { 0 };

	assert_int_equal(charsmap_longest(map, text, strlen(text), &found), length);
	if (!length)
		return;
	assert_int_equal(found.length, strlen(replacement));
	assert_memory_equal(found.data, replacement, found.length);
}

static void expect_clusters(const struct charsmap *map, const char *text, const char *expected)
{
	struct masked_buf out = MASKED_BUF_INIT;
	const struct masked_text in = { .data = text, .n = strlen(text) };

	assert_int_equal(charsmap_add_clusters(map, in, &out), SC_OK);
	assert_string_equal(out.data.data, expected);
	masked_buf_deinit(&out);
}

static void longest_rule_is_found(void **state)
{
	struct buf blob = BUF_INIT;
	struct charsmap map;
	struct error err;

	(void)state;
	build(&blob);
	assert_int_equal(charsmap_init(&map, blob.data, blob.length, &err), SC_OK);
	expect_longest(&map, "AC", 1, "x");
	expect_longest(&map, "ABC", 2, "yz");
	expect_longest(&map, "CA", 1, "");
	expect_longest(&map, "e\u0301", 3, "E");
	expect_longest(&map, "e", 0, NULL);
	expect_longest(&map, "B", 0, NULL);
	expect_longest(&map, "", 0, NULL);
	buf_deinit(&blob);
}

static void clusters_are_replaced_as_the_tokenizers_package_does(void **state)
{
	struct buf blob = BUF_INIT;
	struct charsmap map;
	struct error err;

	(void)state;
	build(&blob);
	assert_int_equal(charsmap_init(&map, blob.data, blob.length, &err), SC_OK);
	/* A and B are clusters of their own, so the rule for both never applies. */
	expect_clusters(&map, "ABC", "xB");
	expect_clusters(&map, "e\u0301e", "Ee");
	/* A cluster that starts with a rule loses its rest. */
	expect_clusters(&map, "A\u0300B", "xB");
	/* A cluster of 6 bytes or more goes by characters. */
	expect_clusters(&map, "e\u0301\u0300\u0300", "e\u0301\u0300\u0300");
	expect_clusters(&map, "A\u0300\u0300\u0300", "x\u0300\u0300\u0300");
	expect_clusters(&map, "\xFF" "A\xCC", "\xFF" "x\xCC");
	buf_deinit(&blob);
}

static void blocks_that_lie_are_refused(void **state)
{
	struct buf blob = BUF_INIT;
	struct charsmap map;
	struct error err;

	(void)state;
	assert_int_equal(charsmap_init(&map, NULL, 0, &err), SC_OK);
	expect_longest(&map, "A", 0, NULL);
	build(&blob);
	for (size_t n = 1; n < 4 + 4 * N_UNITS; n += 97)
		assert_int_equal(charsmap_init(&map, blob.data, n, &err), SC_E_FORMAT);
	assert_int_equal(charsmap_init(&map, blob.data, blob.length - 1, &err), SC_E_FORMAT);
	assert_non_null(strstr(err.text, "NUL"));
	store_le32(blob.data, 4 * N_UNITS + 1);
	assert_int_equal(charsmap_init(&map, blob.data, blob.length, &err), SC_E_FORMAT);
	store_le32(blob.data, 0xFFFFFFFCu);
	assert_int_equal(charsmap_init(&map, blob.data, blob.length, &err), SC_E_FORMAT);
	store_le32(blob.data, 4 * N_UNITS);
	for (size_t i = 0; i < CHARSMAP_MAX_REPLACEMENT; i++)
		assert_int_equal(buf_add(&blob, "y", 1), SC_OK);
	assert_int_equal(buf_add(&blob, "y", 2), SC_OK);
	assert_int_equal(charsmap_init(&map, blob.data, blob.length, &err), SC_E_FORMAT);
	assert_non_null(strstr(err.text, "1025 bytes"));
	buf_deinit(&blob);
}

/* Under the sanitizers this reads nothing outside of the block. */
static void random_units_lead_nowhere(void **state)
{
	struct buf blob = BUF_INIT;
	uint64_t seed = 1;
	char text[64];

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct masked_buf out = MASKED_BUF_INIT;
		const struct masked_text in = { .data = text, .n = sizeof text };
		struct charsmap map;
		struct error err;
		char *copy;

		build(&blob);
		for (size_t i = 4; i < blob.length; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			if (i < blob.length - 1 && seed >> 60 < round % 16)
				blob.data[i] = (char)(seed >> 32);
		}
		for (size_t i = 0; i < sizeof text; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			text[i] = seed >> 63 ? "ABCe"[seed >> 40 & 3] : (char)(seed >> 32);
		}
		copy = malloc(blob.length);
		assert_non_null(copy);
		memcpy(copy, blob.data, blob.length);
		if (!charsmap_init(&map, copy, blob.length, &err)) {
			struct gguf_string found;

			(void)charsmap_longest(&map, text, sizeof text, &found);
			assert_int_equal(charsmap_add_clusters(&map, in, &out), SC_OK);
		}
		free(copy);
		masked_buf_deinit(&out);
	}
	buf_deinit(&blob);
}

static void clusters_end_where_unicode_says(void **state)
{
	static const struct {
		const char *text;
		size_t length;
	} cases[] = {
		{ "ab", 1 }, { "\r\n", 2 }, { "\n\r", 1 }, { "a\r\n", 1 },
		{ "e\u0301x", 3 }, { "e\u0301\u0327x", 5 }, { "\u0301\u0301", 4 },
		{ "\n\u0301", 1 }, { "a\u200D" "b", 4 }, { "a\u200B", 1 },
		{ "\u1100\u1161\u11A8\u1100", 9 }, { "\uAC00\u11A8\uAC00", 6 },
		{ "\uAC01\u1161", 3 }, { "\u0600" "1x", 3 }, { "\u0E01\u0E33", 6 },
		{ "\u00A9\u200D\u00A9x", 7 }, { "\u00A9\u200Dx", 5 },
		{ "\U0001F468\u200D\U0001F469\u200D\U0001F467!", 18 },
		{ "\U0001F44D\U0001F3FDx", 8 }, { "\xFF\u0301", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (grapheme_length(cases[i].text, strlen(cases[i].text)) != cases[i].length)
			fail_msg("\"%s\": expected %zu bytes, found %zu", cases[i].text,
				 cases[i].length,
				 grapheme_length(cases[i].text, strlen(cases[i].text)));
	for (size_t i = 1; i < grapheme_n_ranges; i++)
		assert_true(grapheme_ranges[i].first > grapheme_ranges[i - 1].last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_rule_is_found),
		cmocka_unit_test(clusters_are_replaced_as_the_tokenizers_package_does),
		cmocka_unit_test(blocks_that_lie_are_refused),
		cmocka_unit_test(random_units_lead_nowhere),
		cmocka_unit_test(clusters_end_where_unicode_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
