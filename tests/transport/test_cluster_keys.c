/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/cluster_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define HEX_1 "000102030405060708090a0b0c0d0e0f"
#define HEX_2 "F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF"

static struct cluster_keys keys;
static struct error err;

static enum sc_status parse(const char *text)
{
	memset(&keys, 0, sizeof keys);
	err.text[0] = '\0';
	return cluster_keys_parse(text, strlen(text), "key", &keys, &err);
}

static void one_key_or_two_are_read(void **state)
{
	(void)state;
	assert_int_equal(parse("old:" HEX_1 "\n"), SC_OK);
	assert_int_equal(keys.n_keys, 1);
	assert_string_equal(keys.keys[0].id, "old");
	assert_int_equal(keys.keys[0].n_bytes, 16);
	assert_int_equal(keys.keys[0].secret[15], 15);
	assert_int_equal(parse("# new first\n\n  new-2.b_:" HEX_2 " \r\nold:" HEX_1), SC_OK);
	assert_int_equal(keys.n_keys, 2);
	assert_string_equal(keys.keys[0].id, "new-2.b_");
	assert_int_equal(keys.keys[0].secret[0], 0xf0);
	assert_string_equal(keys.keys[1].id, "old");
}

static void a_key_without_an_id_has_the_same_id_everywhere(void **state)
{
	char first[CLUSTER_KEY_ID_MAX + 1];

	(void)state;
	assert_int_equal(parse(HEX_1), SC_OK);
	snprintf(first, sizeof first, "%s", keys.keys[0].id);
	assert_int_equal(strlen(first), 8);
	assert_int_equal(parse(HEX_2 "\n" HEX_1 "\n"), SC_OK);
	assert_string_equal(keys.keys[1].id, first);
	assert_string_not_equal(keys.keys[0].id, first);
}

static void what_is_no_key_is_named_with_its_line(void **state)
{
	static const struct { const char *text, *word; } bad[] = {
		{ "", "no key" },
		{ "# nothing\n", "no key" },
		{ "\n0001\n", "key:2: a secret of 4 characters" },
		{ HEX_1 "0", "an even number" },
		{ "a:" HEX_1 HEX_1 HEX_1 HEX_1 HEX_1, "a secret of 160 characters" },
		{ "0001020304050607x8090a0b0c0d0e0f", "character 17" },
		{ "000102030405060708090a0b0c0d0e0g", "character 32" },
		{ ":" HEX_1, "id before ':'" },
		{ "a b:" HEX_1, "id before ':'" },
		{ "a23456789012345678901234567890123:" HEX_1, "id before ':'" },
		{ "a:b:" HEX_1, "character 2 of the secret" },
		{ "a:" HEX_1 "\nb:" HEX_2 "\nc:" HEX_1, "key:3: a third key" },
		{ "a:" HEX_1 "\na:" HEX_2, "key:2: both keys have the id a" },
		{ HEX_1 "\n" HEX_1, "both keys have the id" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "one byte repeated" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(parse(bad[i].text), SC_E_CONFIG);
		assert_non_null(strstr(err.text, bad[i].word));
		assert_null(strstr(err.text, "0102"));
		assert_int_equal(keys.n_keys, 0);
	}
}

static void a_random_key_can_be_handed_on_as_text(void **state)
{
	char text[CLUSTER_KEY_TEXT_MAX];
	struct cluster_keys made, other;

	(void)state;
	assert_int_equal(cluster_keys_random(&made, &err), SC_OK);
	assert_int_equal(cluster_keys_random(&other, &err), SC_OK);
	assert_int_equal(made.n_keys, 1);
	assert_memory_not_equal(made.keys[0].secret, other.keys[0].secret, 32);
	cluster_key_format(&made.keys[0], text);
	assert_int_equal(parse(text), SC_OK);
	assert_string_equal(keys.keys[0].id, made.keys[0].id);
	assert_int_equal(keys.keys[0].n_bytes, 32);
	assert_memory_equal(keys.keys[0].secret, made.keys[0].secret, 32);
	cluster_keys_wipe(&made);
	assert_int_equal(made.keys[0].secret[0] | made.keys[0].secret[31], 0);
}

static void write_file(const char *path, const char *text, size_t n_bytes, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, n_bytes, file), n_bytes);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void a_key_file_that_others_may_use_is_refused(void **state)
{
	char directory[] = "/tmp/test_cluster_keys_XXXXXX", path[64], big[5000];

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/key", directory);
	assert_int_equal(cluster_keys_read(path, &keys, &err), SC_E_IO);
	assert_non_null(strstr(err.text, path));
	write_file(path, HEX_1 "\n", 33, 0640);
	assert_int_equal(cluster_keys_read(path, &keys, &err), SC_OK);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(cluster_keys_read(path, &keys, &err), SC_E_CONFIG);
	assert_non_null(strstr(err.text, "chmod 600"));
	assert_int_equal(chmod(path, 0602), 0);
	assert_int_equal(cluster_keys_read(path, &keys, &err), SC_E_CONFIG);
	assert_int_equal(cluster_keys_read(directory, &keys, &err), SC_E_CONFIG);
	memset(big, '\n', sizeof big);
	write_file(path, big, sizeof big, 0600);
	assert_int_equal(cluster_keys_read(path, &keys, &err), SC_E_CONFIG);
	assert_non_null(strstr(err.text, "4096"));
	unlink(path);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_key_or_two_are_read),
		cmocka_unit_test(a_key_without_an_id_has_the_same_id_everywhere),
		cmocka_unit_test(what_is_no_key_is_named_with_its_line),
		cmocka_unit_test(a_random_key_can_be_handed_on_as_text),
		cmocka_unit_test(a_key_file_that_others_may_use_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
