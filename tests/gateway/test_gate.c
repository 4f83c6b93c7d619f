/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gate.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define ALICE "alice-0123456789abcdef"
#define BOB "bob-0123456789abcdef"

static struct limit_counts limits;
static struct gate_refusal refusal;
static struct gate_pass pass;

static void load(struct gate *gate, const char *api_key)
{
	const struct gate_settings settings = { .api_key = api_key, .api_key_file = "",
						.allowed_hosts = "", .cors_origins = "" };
	struct error err = { .text = "" };

	if (gate_load(gate, &settings, &err) != SC_OK)
		fail_msg("%s", err.text);
}

static struct gate *make(const char *api_key)
{
	struct gate *gate;

	memset(&limits, 0, sizeof limits);
	assert_int_equal(gate_create(&limits, &gate), SC_OK);
	load(gate, api_key);
	return gate;
}

static enum gate_answer enter(struct gate *gate, const char *authorization, const char *api_key)
{
	const struct gate_request request = { .authorization = authorization, .api_key = api_key };

	return gate_enter(gate, &request, NS_PER_SECOND, &pass, &refusal);
}

static void without_keys_everybody_may_ask(void **state)
{
	struct gate *gate = make("");

	(void)state;
	assert_false(gate_has_keys(gate));
	assert_int_equal(enter(gate, NULL, NULL), GATE_OPEN);
	assert_string_equal(gate_pass_name(&pass), "");
	assert_int_equal(gate_pass_client(&pass, 7), 7);
	gate_leave(&pass);
	assert_int_equal(enter(gate, "Bearer sk-whatever", NULL), GATE_OPEN);
	gate_leave(&pass);
	gate_destroy(gate);
}

static void a_key_is_taken_from_either_field(void **state)
{
	struct gate *gate = make(ALICE);
	uint64_t client;

	(void)state;
	assert_int_equal(enter(gate, "Bearer " ALICE, NULL), GATE_OPEN);
	assert_string_equal(gate_pass_name(&pass), "key-1");
	client = gate_pass_client(&pass, 7);
	assert_true(client != 7);
	gate_leave(&pass);
	assert_int_equal(enter(gate, "bearer   " ALICE, NULL), GATE_OPEN);
	assert_int_equal(gate_pass_client(&pass, 8), client);
	gate_leave(&pass);
	assert_int_equal(enter(gate, NULL, ALICE), GATE_OPEN);
	gate_leave(&pass);
	assert_int_equal(enter(gate, "Basic abc", ALICE), GATE_OPEN);
	gate_leave(&pass);
	gate_destroy(gate);
}

static void other_requests_are_refused_in_words(void **state)
{
	struct gate *gate = make(ALICE);

	(void)state;
	assert_int_equal(enter(gate, NULL, NULL), GATE_NO_KEY);
	assert_non_null(strstr(refusal.text, "Authorization: Bearer KEY"));
	assert_int_equal(enter(gate, "Bearer " BOB, NULL), GATE_WRONG_KEY);
	assert_null(strstr(refusal.text, BOB));
	assert_int_equal(enter(gate, "Bearer", NULL), GATE_WRONG_KEY);
	assert_int_equal(enter(gate, "Bearer ", NULL), GATE_WRONG_KEY);
	assert_int_equal(enter(gate, ALICE, NULL), GATE_WRONG_KEY);
	assert_int_equal(enter(gate, "", ""), GATE_WRONG_KEY);
	assert_int_equal(enter(gate, "Bearer " BOB, ALICE), GATE_WRONG_KEY);
	assert_int_equal(limits.n[LIMIT_KEY], 7);
	gate_leave(&pass);	/* nothing */
	gate_destroy(gate);
}

static char *write_keys(const char *text)
{
	static char path[64];
	int fd;

	strcpy(path, "/tmp/stagecoach-gate.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return path;
}

static void limits_of_a_key_count_only_calls_that_work(void **state)
{
	const struct gate_request light = { .api_key = BOB, .is_light = true };
	char *path = write_keys("bob " BOB " rate=60/h concurrent=1\n");
	const struct gate_settings settings = { .api_key = "", .api_key_file = path,
						.allowed_hosts = "", .cors_origins = "" };
	struct gate *gate = make("");
	struct gate_pass first, second;
	struct error err;

	(void)state;
	assert_int_equal(gate_load(gate, &settings, &err), SC_OK);
	assert_int_equal(enter(gate, NULL, BOB), GATE_OPEN);
	first = pass;
	assert_int_equal(enter(gate, NULL, BOB), GATE_LIMITED);
	assert_string_equal(refusal.text, "The API key 'bob' allows 1 request at the same time. "
			    "Wait for one to end");
	assert_int_equal(refusal.retry_s, 1);
	assert_int_equal(gate_enter(gate, &light, NS_PER_SECOND, &second, &refusal), GATE_OPEN);
	assert_string_equal(gate_pass_name(&second), "bob");
	gate_leave(&first);
	gate_leave(&second);
	for (int i = 1; i < 60; i++) {
		assert_int_equal(enter(gate, NULL, BOB), GATE_OPEN);
		gate_leave(&pass);
	}
	assert_int_equal(enter(gate, NULL, BOB), GATE_LIMITED);
	assert_string_equal(refusal.text, "The API key 'bob' allows 60 requests per hour. Retry "
			    "after 60 s");
	assert_int_equal(refusal.retry_s, 60);
	assert_int_equal(limits.n[LIMIT_KEY_CALLS], 1);
	assert_int_equal(limits.n[LIMIT_KEY_RATE], 1);
	gate_destroy(gate);
	unlink(path);
}

static void faulty_settings_change_nothing(void **state)
{
	char *path = write_keys("b/c " BOB "\n");
	const struct gate_settings settings = { .api_key = BOB, .api_key_file = path,
						.allowed_hosts = "x", .cors_origins = "*" };
	struct gate *gate = make(ALICE);
	struct error err;

	(void)state;
	assert_int_equal(gate_load(gate, &settings, &err), SC_E_CONFIG);
	assert_int_equal(gate_check(&settings, &err), SC_E_CONFIG);
	assert_string_equal(gate_allowed_hosts(gate), "");
	assert_string_equal(gate_cors_origins(gate), "");
	assert_int_equal(enter(gate, NULL, BOB), GATE_WRONG_KEY);
	assert_int_equal(enter(gate, NULL, ALICE), GATE_OPEN);
	/* A call goes on whatever becomes of its key. */
	load(gate, BOB);
	load(gate, "");
	assert_string_equal(gate_pass_name(&pass), "key-1");
	gate_leave(&pass);
	gate_destroy(gate);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_keys_everybody_may_ask),
		cmocka_unit_test(a_key_is_taken_from_either_field),
		cmocka_unit_test(other_requests_are_refused_in_words),
		cmocka_unit_test(limits_of_a_key_count_only_calls_that_work),
		cmocka_unit_test(faulty_settings_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
