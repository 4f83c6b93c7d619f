/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/config/words.h"

static struct config config;
static struct error err;

#define LOAD(program, ...) words_load(&config, program, NULL, WORDS(__VA_ARGS__), &err)

static int forget_variables(void **state)
{
	(void)state;
	return clearenv();
}

static void a_variable_counts_for_every_program_that_has_the_flag(void **state)
{
	(void)state;
	setenv("STAGECOACH_PORT", "1234", 1);
	setenv("STAGECOACH_HOST", "::1", 1);
	setenv("STAGECOACH_TEMP", "0.25", 1);
	assert_int_equal(LOAD(PROGRAM_DAEMON), SC_OK);
	assert_int_equal(config.port, 1234);
	config_deinit(&config);
	assert_int_equal(LOAD(PROGRAM_STATUS), SC_OK);
	assert_int_equal(config.port, 1234);
	assert_string_equal(config.host, "::1");
	config_deinit(&config);
	assert_int_equal(LOAD(PROGRAM_GENERATE, "--port", "1"), SC_OK);
	assert_int_equal(config.port, 1);
	assert_true(config.temperature == 0.25);
	config_deinit(&config);
}

static void an_empty_variable_is_unset(void **state)
{
	static const char *const names[] = {
		"STAGECOACH_THREADS", "STAGECOACH_CPU", "STAGECOACH_MODEL", "STAGECOACH_PIN",
		"STAGECOACH_IGNORE_EOS", "STAGECOACH_MEMORY", "STAGECOACH_TEMP",
		"STAGECOACH_CONFIG", "STAGECOACH_NONSENSE",
	};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		setenv(names[i], "", 1);
	assert_int_equal(LOAD(PROGRAM_DAEMON), SC_OK);
	assert_string_equal(config.cpu, "auto");
	assert_int_equal(config.warnings.n, 0);
	config_deinit(&config);
}

static void a_flag_wins_before_its_variable_may_fail(void **state)
{
	(void)state;
	setenv("STAGECOACH_WINDOW", "wide", 1);
	assert_int_equal(LOAD(PROGRAM_DAEMON), SC_E_CONFIG);
	assert_int_equal(LOAD(PROGRAM_DAEMON, "--window", "3"), SC_OK);
	assert_int_equal(config.window, 3);
	config_deinit(&config);
	/* A program without the flag does not care. */
	assert_int_equal(LOAD(PROGRAM_STATUS), SC_OK);
	config_deinit(&config);
}

/* As for services of the names stagecoach and stagecoach-api, with a named port. */
static void variables_of_kubernetes_are_ignored_with_a_note(void **state)
{
	static const char *const variables[][2] = {
		{ "STAGECOACH_PORT", "tcp://10.0.0.7:8080" },
		{ "STAGECOACH_SERVICE_HOST", "10.0.0.7" },
		{ "STAGECOACH_SERVICE_PORT", "8080" },
		{ "STAGECOACH_SERVICE_PORT_GRPC", "8080" },
		{ "STAGECOACH_PORT_8080_TCP", "tcp://10.0.0.7:8080" },
		{ "STAGECOACH_PORT_8080_TCP_ADDR", "10.0.0.7" },
		{ "STAGECOACH_PORT_8080_TCP_PORT", "8080" },
		{ "STAGECOACH_PORT_8080_TCP_PROTO", "tcp" },
		{ "STAGECOACH_API_PORT", "udp://10.0.0.7:53" },
		{ "STAGECOACH_API_PORT_53_UDP", "udp://10.0.0.7:53" },
	};
	const size_t n = sizeof variables / sizeof variables[0];

	(void)state;
	for (size_t i = 0; i < n; i++)
		setenv(variables[i][0], variables[i][1], 1);
	assert_int_equal(LOAD(PROGRAM_DAEMON), SC_OK);
	assert_int_equal(config.port, 8080);
	assert_int_equal(config.warnings.n, 0);
	assert_int_equal(config.notes.n, n);
	assert_non_null(strstr(config.notes.texts[0], "Kubernetes"));
	config_deinit(&config);
}

static void what_only_resembles_kubernetes_is_not_ignored(void **state)
{
	(void)state;
	setenv("STAGECOACH_PORT", "tcp:8080", 1);
	assert_int_equal(LOAD(PROGRAM_DAEMON), SC_E_CONFIG);
	assert_string_equal(err.text, "environment: STAGECOACH_PORT: expected a whole number from "
				      "0 to 65535, found 'tcp:8080'");
	unsetenv("STAGECOACH_PORT");
	setenv("STAGECOACH_PORT_TCP", "1", 1);
	setenv("STAGECOACH_PORT_8080_TCPX", "1", 1);
	assert_int_equal(LOAD(PROGRAM_DAEMON), SC_OK);
	assert_int_equal(config.warnings.n, 2);
	config_deinit(&config);
}

static void an_unknown_variable_gives_a_warning_with_the_nearest_name(void **state)
{
	static const struct {
		const char *name, *warning;
	} cases[] = {
		{ "STAGECOACH_TEMPRATURE", "STAGECOACH_TEMPRATURE is ignored: there is no such "
					   "variable; did you mean STAGECOACH_TEMP?" },
		{ "STAGECOACH_CTXSIZE", "STAGECOACH_CTXSIZE is ignored: there is no such "
					"variable; did you mean STAGECOACH_CTX_SIZE?" },
		{ "STAGECOACH_QWERTY", "STAGECOACH_QWERTY is ignored: there is no such variable" },
		{ "STAGECOACH_PROMPT", "STAGECOACH_PROMPT is ignored: this setting has no "
				       "variable, only the flag --prompt" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		setenv(cases[i].name, "1", 1);
		assert_int_equal(LOAD(PROGRAM_JOBS), SC_OK);
		unsetenv(cases[i].name);
		assert_int_equal(config.warnings.n, 1);
		assert_string_equal(config.warnings.texts[0], cases[i].warning);
		config_deinit(&config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_variable_counts_for_every_program_that_has_the_flag,
				       forget_variables),
		cmocka_unit_test_setup(an_empty_variable_is_unset, forget_variables),
		cmocka_unit_test_setup(a_flag_wins_before_its_variable_may_fail, forget_variables),
		cmocka_unit_test_setup(variables_of_kubernetes_are_ignored_with_a_note,
				       forget_variables),
		cmocka_unit_test_setup(what_only_resembles_kubernetes_is_not_ignored,
				       forget_variables),
		cmocka_unit_test_setup(an_unknown_variable_gives_a_warning_with_the_nearest_name,
				       forget_variables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
