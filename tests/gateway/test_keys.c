/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/keys.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define ALICE "alice-0123456789abcdef"
#define BOB "bob-0123456789abcdef"

static struct keys *parse(const char *text)
{
	struct error err = { .text = "" };
	struct keys *keys;

	assert_int_equal(keys_create(&keys), SC_OK);
	if (keys_parse(keys, text, strlen(text), "keys", &err) != SC_OK)
		fail_msg("%s", err.text);
	return keys;
}

static struct api_key *find(const struct keys *keys, const char *text)
{
	return keys_find(keys, text, strlen(text));
}

static bool enters(struct api_key *key, uint64_t now_ns)
{
	uint64_t wait_ns = 0;

	return api_key_enter(key, now_ns, &wait_ns) == KEY_ENTERS;
}

static void lines_give_names_keys_and_limits(void **state)
{
	struct keys *keys = parse("# people\n"
				  "alice " ALICE "\n"
				  "\n"
				  "  bob\t" BOB "   concurrent=2 rate=3/min  \r\n"
				  "bare-key-without-a-name==\n"
				  "another-bare-key rate=1/h");

	(void)state;
	assert_int_equal(keys_count(keys), 4);
	assert_int_equal(keys_n_short(keys), 0);
	assert_string_equal(api_key_name(find(keys, ALICE)), "alice");
	assert_string_equal(api_key_name(find(keys, BOB)), "bob");
	assert_int_equal(api_key_max_calls(find(keys, BOB)), 2);
	assert_string_equal(api_key_name(find(keys, "bare-key-without-a-name==")), "key-3");
	assert_string_equal(api_key_name(find(keys, "another-bare-key")), "key-4");
	assert_null(find(keys, "alice"));
	assert_null(find(keys, ""));
	assert_null(find(keys, ALICE "x"));
	assert_null(keys_find(keys, ALICE, strlen(ALICE) - 1));
	keys_destroy(keys);
}

static void faulty_lines_are_named_without_their_keys(void **state)
{
	static const struct {
		const char *text, *fault;
	} files[] = {
		{ "", "keys: no key" },
		{ "# nothing\n\n", "keys: no key" },
		{ "a " ALICE "\nb/c " BOB, "keys:2: the name of a key must" },
		{ "a " ALICE " " BOB, "keys:1: expected NAME KEY" },
		{ "a " ALICE " rate=5", "keys:1: rate= expected" },
		{ "a " ALICE " rate=0/s", "keys:1: rate= expected" },
		{ "a " ALICE " rate=-5/s", "keys:1: rate= expected" },
		{ "a " ALICE " rate=5/day", "keys:1: rate= expected" },
		{ "a " ALICE " rate=9999999/s", "keys:1: rate= expected" },
		{ "a " ALICE " concurrent=", "keys:1: concurrent= expected" },
		{ "a " ALICE " concurrent=x", "keys:1: concurrent= expected" },
		{ "a " ALICE "\na " BOB, "keys:2: there is a key called 'a'" },
		{ "a " ALICE "\nb " ALICE, "keys:2: 'b' has the same key as 'a'" },
		{ "a " ALICE ",x", "keys:1: a key must have" },
		{ "a \"" ALICE "\"", "keys:1: a key must have" },
		{ "a " ALICE "\xc3\xa9", "keys:1: a key must have" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct error err = { .text = "" };
		struct keys *keys;

		assert_int_equal(keys_create(&keys), SC_OK);
		assert_int_equal(keys_parse(keys, files[i].text, strlen(files[i].text), "keys",
					    &err), SC_E_CONFIG);
		if (strncmp(err.text, files[i].fault, strlen(files[i].fault)) != 0)
			fail_msg("'%s': %s", files[i].text, err.text);
		assert_null(strstr(err.text, "0123456789"));
		keys_destroy(keys);
	}
}

static void a_list_has_keys_with_commas_between_them(void **state)
{
	struct error err;
	struct keys *keys;

	(void)state;
	assert_int_equal(keys_create(&keys), SC_OK);
	assert_int_equal(keys_add_list(keys, ALICE "," BOB, &err), SC_OK);
	assert_string_equal(api_key_name(find(keys, ALICE)), "key-1");
	assert_string_equal(api_key_name(find(keys, BOB)), "key-2");
	assert_int_equal(keys_add_list(keys, "x,,y", &err), SC_E_CONFIG);
	assert_int_equal(keys_add_list(keys, "x rate=1/s", &err), SC_E_CONFIG);
	keys_destroy(keys);
}

static void a_rate_allows_so_many_calls_at_once_and_then_one_at_a_time(void **state)
{
	struct keys *keys = parse("bob " BOB " rate=6/min");
	struct api_key *bob = find(keys, BOB);
	uint64_t now_ns = 1000 * NS_PER_SECOND, wait_ns = 0;

	(void)state;
	for (int i = 0; i < 6; i++) {
		assert_true(enters(bob, now_ns));
		api_key_leave(bob);
	}
	assert_int_equal(api_key_enter(bob, now_ns, &wait_ns), KEY_IS_TOO_FAST);
	assert_int_equal(wait_ns, 10 * NS_PER_SECOND);
	assert_false(enters(bob, now_ns + 10 * NS_PER_SECOND - 1));
	assert_true(enters(bob, now_ns + 10 * NS_PER_SECOND));
	api_key_leave(bob);
	assert_false(enters(bob, now_ns + 19 * NS_PER_SECOND));
	/* After a long rest there is one minute's worth, and not more. */
	now_ns += 10000 * NS_PER_SECOND;
	for (int i = 0; i < 6; i++) {
		assert_true(enters(bob, now_ns));
		api_key_leave(bob);
	}
	assert_false(enters(bob, now_ns));
	keys_destroy(keys);
}

static void open_calls_are_counted_until_they_leave(void **state)
{
	struct keys *keys = parse("bob " BOB " concurrent=2");
	struct api_key *bob = find(keys, BOB);
	uint64_t wait_ns = 0;

	(void)state;
	assert_true(enters(bob, 1));
	assert_true(enters(bob, 1));
	assert_int_equal(api_key_enter(bob, 1, &wait_ns), KEY_HAS_TOO_MANY);
	api_key_leave(bob);
	assert_true(enters(bob, 1));
	api_key_leave(bob);
	api_key_leave(bob);
	keys_destroy(keys);
}

static void refused_calls_use_up_no_rate(void **state)
{
	struct keys *keys = parse("bob " BOB " concurrent=1 rate=2/min");
	struct api_key *bob = find(keys, BOB);

	(void)state;
	assert_true(enters(bob, 1));
	for (int i = 0; i < 10; i++)
		assert_false(enters(bob, 1));
	api_key_leave(bob);
	assert_true(enters(bob, 1));
	api_key_leave(bob);
	keys_destroy(keys);
}

static void keys_that_are_read_again_go_on_where_they_were(void **state)
{
	struct keys *old = parse("bob " BOB " concurrent=2 rate=3/h\nalice " ALICE);
	struct keys *fresh = parse("robert " BOB " concurrent=1 rate=3/h");
	struct api_key *bob = find(old, BOB), *alice = find(old, ALICE);
	const uint64_t client = api_key_client(bob);

	(void)state;
	assert_true(client >> 63 && client != api_key_client(alice));
	assert_true(enters(bob, 1) && enters(bob, 1) && enters(alice, 1));
	keys_adopt(fresh, old);
	keys_destroy(old);
	assert_ptr_equal(find(fresh, BOB), bob);
	assert_null(find(fresh, ALICE));
	assert_string_equal(api_key_name(bob), "robert");
	assert_int_equal(api_key_client(bob), client);
	api_key_leave(alice);	/* the last of her */
	assert_false(enters(bob, 1));
	api_key_leave(bob);
	api_key_leave(bob);
	assert_true(enters(bob, 1));
	api_key_leave(bob);
	assert_false(enters(bob, 1));	/* three in an hour */
	keys_destroy(fresh);
}

static void a_file_tells_who_may_read_it(void **state)
{
	char path[] = "/tmp/stagecoach-keys.XXXXXX";
	int fd = mkstemp(path);
	bool is_public = true;
	struct error err;
	struct keys *keys;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, ALICE "\n", strlen(ALICE) + 1), strlen(ALICE) + 1);
	assert_int_equal(keys_create(&keys), SC_OK);
	assert_int_equal(keys_read(keys, path, &is_public, &err), SC_OK);
	assert_false(is_public);
	assert_non_null(find(keys, ALICE));
	keys_destroy(keys);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(keys_create(&keys), SC_OK);
	assert_int_equal(keys_read(keys, path, &is_public, &err), SC_OK);
	assert_true(is_public);
	assert_int_equal(keys_read(keys, "/tmp", &is_public, &err), SC_E_CONFIG);
	assert_int_equal(keys_read(keys, "/tmp/no/such/file", &is_public, &err),
			 SC_E_NOT_FOUND);
	assert_int_equal(ftruncate(fd, (off_t)KEYS_FILE_MAX + 1), 0);
	assert_int_equal(keys_read(keys, path, &is_public, &err), SC_E_CONFIG);
	keys_destroy(keys);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_give_names_keys_and_limits),
		cmocka_unit_test(faulty_lines_are_named_without_their_keys),
		cmocka_unit_test(a_list_has_keys_with_commas_between_them),
		cmocka_unit_test(a_rate_allows_so_many_calls_at_once_and_then_one_at_a_time),
		cmocka_unit_test(open_calls_are_counted_until_they_leave),
		cmocka_unit_test(refused_calls_use_up_no_rate),
		cmocka_unit_test(keys_that_are_read_again_go_on_where_they_were),
		cmocka_unit_test(a_file_tells_who_may_read_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
