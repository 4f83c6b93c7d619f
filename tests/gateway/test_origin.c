/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void hosts_of_this_machine_are_allowed(void **state)
{
	static const char *const own[] = {
		"localhost", "LOCALHOST:8080", "localhost.", "app.localhost:80", "127.0.0.1",
		"127.0.0.1:8080", "127.8.9.10:1", "[::1]", "[::1]:8080", "[::ffff:127.0.0.1]:1", "",
		" localhost ",
	};

	(void)state;
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (!host_is_allowed(own[i], ""))
			fail_msg("'%s' is not allowed", own[i]);
}

static void other_hosts_are_not_allowed_unless_listed(void **state)
{
	static const char *const foreign[] = {
		"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
		"notlocalhost", "128.0.0.1", "0.0.0.0", "[::2]:80", "[::1", "::1", "127.1",
		"127.0.0.1@evil.example", "192.168.1.5:8080", "[::ffff:1.2.3.4]", "*",
	};

	(void)state;
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
		if (host_is_allowed(foreign[i], "") || host_is_allowed(foreign[i], "a.b, c.d"))
			fail_msg("'%s' is allowed", foreign[i]);
	assert_true(host_is_allowed("Model.example.:8443", "x.example, model.example"));
	assert_true(host_is_allowed("model.example", "model.example:8443"));
	assert_false(host_is_allowed("sub.model.example", "model.example"));
	assert_true(host_is_allowed("evil.example", "*"));
	assert_false(host_is_allowed("evil.example", ",, ,"));
}

static void an_origin_is_the_servers_own_if_host_and_port_are_equal(void **state)
{
	(void)state;
	assert_true(origin_is_host("http://localhost:8080", "localhost:8080"));
	assert_true(origin_is_host("HTTPS://Model.example", "model.example"));
	assert_true(origin_is_host("https://model.example", "model.example:443"));
	assert_true(origin_is_host("http://[::1]:8080", "[::1]:8080"));
	assert_false(origin_is_host("http://localhost:8081", "localhost:8080"));
	assert_false(origin_is_host("http://localhost", "localhost:8080"));
	assert_false(origin_is_host("http://evil.example:8080", "localhost:8080"));
	assert_false(origin_is_host("null", "localhost:8080"));
	assert_false(origin_is_host("null", ""));
	assert_false(origin_is_host("http://", ""));
	assert_false(origin_is_host("file://", "localhost"));
}

static void origins_of_the_list_are_found(void **state)
{
	const char *const list = "https://chat.example, http://localhost:3000/";

	(void)state;
	assert_true(origin_is_listed("https://chat.example", list));
	assert_true(origin_is_listed("https://CHAT.example", list));
	assert_true(origin_is_listed("http://localhost:3000", list));
	assert_false(origin_is_listed("http://chat.example", list));
	assert_false(origin_is_listed("https://chat.example.evil.example", list));
	assert_false(origin_is_listed("https://chat.example:8443", list));
	assert_false(origin_is_listed("null", list));
	assert_false(origin_is_listed("", list));
	assert_false(origin_is_listed("https://chat.example", ""));
	assert_true(origin_is_listed("null", "*"));
	assert_true(origin_is_listed("null", "null"));
}

static void what_can_be_no_origin_is_named(void **state)
{
	static const char *const good[] = {
		"", "*", "null", "https://chat.example, http://localhost:3000/", "http://[::1]:80,",
		"chrome-extension://abcdef",
	};
	static const struct { const char *list, *said; } bad[] = {
		{ "chat.example", "'chat.example'" }, { "https://", "'https://'" },
		{ "https://a b", "'https://a b'" }, { "https://a.example/page", "is no origin" },
		{ "https://*.example", "is no origin" }, { "http://a, b", "'b'" },
		{ "://a", "'://a'" }, { "http://a http://b", "is no origin" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(origin_list_check(good[i], NULL), SC_OK);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct error err = { .text = "" };

		assert_int_equal(origin_list_check(bad[i].list, &err), SC_E_CONFIG);
		if (!strstr(err.text, bad[i].said))
			fail_msg("%s: %s", bad[i].list, err.text);
	}
}

static void types_that_need_no_permission_are_known(void **state)
{
	(void)state;
	assert_true(content_type_is_simple(NULL));
	assert_true(content_type_is_simple(""));
	assert_true(content_type_is_simple("text/plain"));
	assert_true(content_type_is_simple(" Text/Plain;charset=utf-8"));
	assert_true(content_type_is_simple("application/x-www-form-urlencoded"));
	assert_true(content_type_is_simple("multipart/form-data; boundary=x"));
	assert_true(content_type_is_simple("text/plain;application/json"));
	assert_false(content_type_is_simple("application/json"));
	assert_false(content_type_is_simple("application/json; charset=utf-8"));
	assert_false(content_type_is_simple("text/plainer"));
}

static void only_lists_of_names_are_repeated(void **state)
{
	(void)state;
	assert_true(is_header_list("authorization, content-type,x-stainless-os"));
	assert_false(is_header_list(""));
	assert_false(is_header_list("a\r\nSet-Cookie: b"));
	assert_false(is_header_list("a: b"));
	assert_false(is_header_list("a\xc3\xa9"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_of_this_machine_are_allowed),
		cmocka_unit_test(other_hosts_are_not_allowed_unless_listed),
		cmocka_unit_test(an_origin_is_the_servers_own_if_host_and_port_are_equal),
		cmocka_unit_test(origins_of_the_list_are_found),
		cmocka_unit_test(what_can_be_no_origin_is_named),
		cmocka_unit_test(types_that_need_no_permission_are_known),
		cmocka_unit_test(only_lists_of_names_are_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
