/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"
#include "config/limits.h"
#include "config/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/config/words.h"

static struct config config;
static struct error err;

#define LOAD(file, ...) \
	words_load(&config, PROGRAM_DAEMON, file, WORDS(__VA_ARGS__), &err)

static char path[] = "test_config.XXXXXX";

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

struct bad_file {
	const char *text, *message;	/* the message without the path in front */
};

static void expect_bad_file(const struct bad_file *bad)
{
	char expected[256];

	write_file(bad->text);
	assert_int_equal(LOAD(NULL, "--config", path), SC_E_CONFIG);
	snprintf(expected, sizeof expected, "%s%s", path, bad->message);
	assert_string_equal(err.text, expected);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void every_option_has_a_valid_default_and_a_name_of_its_own(void **state)
{
	(void)state;
	assert_int_equal(LOAD(NULL), SC_OK);
	assert_int_equal(config.port, 8080);
	assert_int_equal(config.n_predict, -1);
	assert_int_equal(config.max_message, 4 << 20);
	assert_string_equal(config.transport, "ucx");
	for (unsigned i = 0; i < n_options; i++) {
		for (unsigned k = 0; k < i; k++) {
			/* Programs may differ in what a flag means to them. */
			if (!(options[i].programs & options[k].programs))
				continue;
			assert_string_not_equal(options[i].name, options[k].name);
			assert_true(!options[i].letter || options[i].letter != options[k].letter);
			assert_true(options[i].offset != options[k].offset);
		}
	}
	config_deinit(&config);
}

static void flags_override_environment_overrides_file(void **state)
{
	(void)state;
	write_file("ctx_size = 100;\nport = 1;\nhost = \"::1\";\n");
	setenv("STAGECOACH_PORT", "2", 1);
	setenv("STAGECOACH_CTX_SIZE", "200", 1);
	assert_int_equal(LOAD(path, "-c", "300"), SC_OK);
	unsetenv("STAGECOACH_PORT");
	unsetenv("STAGECOACH_CTX_SIZE");
	assert_int_equal(config.context, 300);
	assert_int_equal(config.port, 2);
	assert_string_equal(config.host, "::1");
	config_deinit(&config);
}

static void a_bad_line_is_named_with_what_was_expected(void **state)
{
	static const struct bad_file bad[] = {
		{ "port = 1;\nctx_sise = 3;\n", ":2: ctx_sise: no such setting; did you mean "
						"ctx_size?" },
		{ "ctx-size = 3;\n", ":1: ctx-size: no such setting; did you mean ctx_size?" },
		{ "temperature = 1;\n", ":1: temperature: no such setting; did you mean temp?" },
		{ "qwerty = 1;\n", ":1: qwerty: no such setting" },
		{ "n_gpu_layers = 9;\n", ":1: n_gpu_layers: no such setting: it is a flag of "
					 "llama.cpp (layers on the GPU). Whole models run on "
					 "CPUs only, so far: leave it out" },
		{ "port = 70000;\n", ":1: port: expected a whole number from 0 to 65535, found "
				     "'70000'" },
		{ "port = \"80\";\n", ":1: port: expected a number" },
		{ "model = 3;\n", ":1: model: expected a text in double quotes" },
		{ "\n\nport = ;\n", ":3: syntax error" },
		{ "transport = \"uc\";\n", ":1: transport: expected one of ucx|mpi|loopback, found "
					   "'uc'" },
		{ "temp = (1, 2);\n", ":1: temp: expected a number" },
		{ "prompt = \"x\";\n", ":1: prompt: no such setting: there is only the flag "
				       "--prompt" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		expect_bad_file(&bad[i]);
}

/* libconfig keeps the low bits of a number that does not fit. */
static void a_number_that_would_wrap_is_refused_with_the_range(void **state)
{
	static const struct bad_file bad[] = {
		{ "port = 4294967376;\n", ":1: port: expected a whole number from 0 to 65535, "
					  "found '4294967376'" },
		{ "port = -4294959216;\n", ":1: port: expected a whole number from 0 to 65535, "
					   "found '-4294959216'" },
		{ "\nport=0x100001F90;", ":2: port: expected a whole number from 0 to 65535, "
					 "found '4294975376'" },
		{ "port = 18446744073709551696L;\n", ":1: port: expected a whole number from 0 to "
						     "65535, found '1.8446744073709552e+19'" },
		{ "spin_us = -0x10;\n", ":1: syntax error" },
		{ "port = 0x10000000000001F90L;\n", ":1: port: expected a whole number from 0 to "
						    "65535, found '1.8446744073709552e+19'" },
		{ "n_predict = 4294967297;\n", ":1: n_predict: expected a whole number from -2 to "
					       "1000000000, found '4294967297'" },
		{ "memory = 18446744073709551617;\n", ":1: memory: expected bytes, as in 512M, "
						      "from 0 to 1e+18, found "
						      "'1.8446744073709552e+19'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		expect_bad_file(&bad[i]);
	assert_int_equal(LOAD(NULL, "--port", "4294967376"), SC_E_INVALID);
	assert_string_equal(err.text, "--port: expected a whole number from 0 to 65535, found "
				      "'4294967376'");
	setenv("STAGECOACH_PORT", "4294967376", 1);
	assert_int_equal(LOAD(NULL), SC_E_CONFIG);
	unsetenv("STAGECOACH_PORT");
	assert_string_equal(err.text, "environment: STAGECOACH_PORT: expected a whole number from "
				      "0 to 65535, found '4294967376'");
}

static void an_included_file_is_held_to_the_same(void **state)
{
	char included[] = "test_config_included.XXXXXX", text[128], expected[128];
	int fd = mkstemp(included);
	const char *bad = "\nport = 4294967376;\n";

	(void)state;
	assert_true(fd >= 0);
	snprintf(text, sizeof text, "host = \"::1\";\n@include \"%s\"\n", included);
	write_file(text);
	assert_int_equal(write(fd, "port = 70000;\n", 14), 14);
	assert_int_equal(LOAD(path), SC_E_CONFIG);
	snprintf(expected, sizeof expected, "%s:1: port: expected a whole number from 0 to 65535, "
		 "found '70000'", included);
	assert_string_equal(err.text, expected);
	assert_int_equal(pwrite(fd, bad, strlen(bad), 0), strlen(bad));
	assert_int_equal(LOAD(path), SC_E_CONFIG);
	assert_non_null(strstr(err.text, included));
	assert_non_null(strstr(err.text, "more than 32 bits"));
	close(fd);
	unlink(included);
}

static void numbers_are_read_as_they_are_written(void **state)
{
	(void)state;
	write_file("# 99999999999999999999\nmemory = 5000000000; seed = 5000000000L; // 1e\n"
		   "port = 0x1F90; temp = 0.12345678901234567890123; top_p = 1e-3;\n"
		   "/* 4294967376 */ host = \"a\\\"4294967376\"; top_k = 0xFFFFFFFF;\n"
		   "max_message = \"5M\"; n_predict = -1;\n");
	assert_int_equal(LOAD(path), SC_OK);
	assert_int_equal(config.memory, 5000000000);
	assert_int_equal(config.seed, 5000000000);
	assert_int_equal(config.port, 8080);
	assert_true(config.temperature == 0.12345678901234567890123);
	assert_true(config.top_p == 1e-3);
	assert_string_equal(config.host, "a\"4294967376");
	assert_int_equal(config.top_k, UINT32_MAX);
	assert_int_equal(config.max_message, 5 << 20);
	assert_int_equal(config.n_predict, -1);
	config_deinit(&config);
}

static void a_bad_flag_is_a_usage_error(void **state)
{
	(void)state;
	assert_int_equal(LOAD(NULL, "--nonsense"), SC_E_INVALID);
	assert_string_equal(err.text, "--nonsense: no such option, see --help");
	assert_int_equal(LOAD(NULL, "-y"), SC_E_INVALID);
	assert_string_equal(err.text, "-y: no such option, see --help");
	assert_int_equal(LOAD(NULL, "--port"), SC_E_INVALID);
	assert_string_equal(err.text, "--port: a value is missing");
	assert_int_equal(LOAD(NULL, "--temp", "hot"), SC_E_INVALID);
	assert_string_equal(err.text, "--temp: expected a number from 0 to 100, found 'hot'");
	assert_int_equal(LOAD(NULL, "-m", "x", "stray"), SC_E_INVALID);
	assert_string_equal(err.text, "unexpected argument 'stray', see --help");
}

static enum sc_status load_verb(enum program program, const char *const *words)
{
	char *argv[32] = { (char *)"verb" };
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	return config_load(&config, program, NULL, argc, argv, &err);
}

#define LOAD_VERB(program, ...) \
	load_verb(program, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })

static void a_list_keeps_all_texts_in_order(void **state)
{
	(void)state;
	assert_int_equal(LOAD_VERB(PROGRAM_GENERATE, "--stop", "b", "--stop=a", "--stop", "b"),
			 SC_OK);
	assert_int_equal(config.stops.n, 3);
	assert_string_equal(config.stops.texts[0], "b");
	assert_string_equal(config.stops.texts[1], "a");
	assert_string_equal(config.stops.texts[2], "b");
	config_deinit(&config);
	assert_int_equal(LOAD_VERB(PROGRAM_JOBS, "--state", "done", "--state", "lost"),
			 SC_E_INVALID);
	assert_string_equal(err.text, "--state: expected one of queued|running|done|cancelled|"
				      "failed, found 'lost'");
	assert_int_equal(LOAD_VERB(PROGRAM_JOBS, "--state", "cancelled|failed"), SC_E_INVALID);
	assert_string_equal(err.text, "--state: expected one of queued|running|done|cancelled|"
				      "failed, found 'cancelled|failed'");
	assert_int_equal(LOAD_VERB(PROGRAM_JOBS, "--state=done", "--state=done", "--state=done",
				   "--state=done", "--state=done", "--state=done"), SC_E_INVALID);
	assert_string_equal(err.text, "--state: may be given at most 5 times");
}

static void words_that_are_no_flags_are_for_verbs_that_take_some(void **state)
{
	(void)state;
	assert_int_equal(LOAD_VERB(PROGRAM_CANCEL, "job-1", "--json", "job-2"), SC_OK);
	assert_int_equal(config.arguments.n, 2);
	assert_string_equal(config.arguments.texts[1], "job-2");
	config_deinit(&config);
	assert_int_equal(LOAD_VERB(PROGRAM_GENERATE, "hello"), SC_E_INVALID);
	assert_string_equal(err.text, "unexpected argument 'hello': the prompt is given with -p "
				      "TEXT or -f FILE");
}

static void a_config_knows_where_its_values_come_from(void **state)
{
	(void)state;
	write_file("port = 1;\nhost = \"::1\";\n");
	setenv("STAGECOACH_PORT", "2", 1);
	assert_int_equal(LOAD_VERB(PROGRAM_STATUS, "-C", path, "--silence", "3"), SC_OK);
	unsetenv("STAGECOACH_PORT");
	assert_int_equal(config_source_of(&config, "host"), CONFIG_FILE);
	assert_int_equal(config_source_of(&config, "port"), CONFIG_ENVIRONMENT);
	assert_int_equal(config_source_of(&config, "silence"), CONFIG_FLAG);
	assert_int_equal(config_source_of(&config, "socket"), CONFIG_DEFAULT);
	assert_int_equal(config.port, 2);
	config_deinit(&config);
}

static void a_bad_variable_is_named(void **state)
{
	(void)state;
	setenv("STAGECOACH_WINDOW", "-1", 1);
	assert_int_equal(LOAD(NULL), SC_E_CONFIG);
	unsetenv("STAGECOACH_WINDOW");
	assert_string_equal(err.text, "environment: STAGECOACH_WINDOW: expected a whole number "
				      "from 0 to 1025, found '-1'");
}

static void a_named_file_must_exist_and_the_default_one_need_not(void **state)
{
	(void)state;
	assert_int_equal(LOAD("/nonexistent/stagecoach.conf"), SC_OK);
	config_deinit(&config);
	assert_int_equal(LOAD(NULL, "-C", "/nonexistent/stagecoach.conf"), SC_E_CONFIG);
	assert_string_equal(err.text, "/nonexistent/stagecoach.conf: No such file or directory");
}

static void a_default_file_that_may_not_be_read_is_not_passed_over(void **state)
{
	(void)state;
	if (!geteuid())
		skip();
	write_file("port = 1;\n");
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(LOAD(path), SC_E_CONFIG);
	assert_int_equal(chmod(path, 0600), 0);
	assert_non_null(strstr(err.text, "Permission denied"));
}

static void what_cannot_be_read_is_one_error(void **state)
{
	static const char with_nul[] = "port = 1;\0port = 2;\n";
	char expected[64];
	FILE *file;

	(void)state;
	assert_int_equal(LOAD(NULL, "-C", "/"), SC_E_CONFIG);
	assert_string_equal(err.text, "/: Is a directory");
	assert_int_equal(LOAD(NULL, "-C", "/dev/zero"), SC_E_CONFIG);
	assert_string_equal(err.text, "/dev/zero: expected at most 1048576 bytes, found more");
	file = fopen(path, "w");
	assert_non_null(file);
	fwrite(with_nul, 1, sizeof with_nul - 1, file);
	fclose(file);
	assert_int_equal(LOAD(NULL, "-C", path), SC_E_CONFIG);
	snprintf(expected, sizeof expected, "%s: expected text, found a NUL byte at 9", path);
	assert_string_equal(err.text, expected);
}

static void errors_may_be_left_out(void **state)
{
	char *argv[] = { (char *)"stagecoachd", (char *)"--port=x", NULL };

	(void)state;
	assert_int_equal(config_load(&config, PROGRAM_DAEMON, NULL, 2, argv, NULL), SC_E_INVALID);
	setenv("STAGECOACH_PORT", "x", 1);
	assert_int_equal(config_load(&config, PROGRAM_DAEMON, NULL, 1, argv, NULL), SC_E_CONFIG);
	unsetenv("STAGECOACH_PORT");
}

static void note(void *arg, const char *name, bool is_applied)
{
	char *seen = arg;

	strcat(seen, name);
	strcat(seen, is_applied ? "+ " : "- ");
}

static void a_reload_takes_only_what_may_change(void **state)
{
	struct config fresh;
	char seen[128] = "";

	(void)state;
	assert_int_equal(LOAD(NULL, "--port", "1"), SC_OK);
	fresh = config;
	assert_int_equal(LOAD(NULL, "--port", "2", "--log-level", "debug"), SC_OK);
	config_reload(&fresh, &config, note, seen);
	assert_string_equal(seen, "port- log-level+ ");
	assert_int_equal(fresh.port, 1);
	assert_string_equal(fresh.log_level, "debug");
	config_deinit(&fresh);
	config_deinit(&config);
}

static void the_listen_address_is_put_together(void **state)
{
	char address[64];

	(void)state;
	assert_int_equal(LOAD(NULL, "--host", "::1", "--port", "9"), SC_OK);
	config_listen_address(&config, address, sizeof address);
	assert_string_equal(address, "[::1]:9");
	config_deinit(&config);
	assert_int_equal(LOAD(NULL, "--listen", "none", "--api-key", "x"), SC_OK);
	config_listen_address(&config, address, sizeof address);
	assert_string_equal(address, "");
	config_deinit(&config);
	assert_int_equal(LOAD(NULL, "--listen", "keys"), SC_OK);
	config_listen_address(&config, address, sizeof address);
	assert_string_equal(address, "");
	config_deinit(&config);
	assert_int_equal(LOAD(NULL, "--listen", "keys", "--port", "9", "--api-key-file", "f"),
			 SC_OK);
	config_listen_address(&config, address, sizeof address);
	assert_string_equal(address, "127.0.0.1:9");
	config_deinit(&config);
}

static void the_example_file_is_the_defaults(void **state)
{
	struct config defaults;
	FILE *example = tmpfile(), *file = fopen(path, "w");
	unsigned n_set = 0, n_settable = 0;
	char line[256];

	(void)state;
	assert_non_null(example);
	assert_non_null(file);
	config_print_example(example);
	rewind(example);
	while (fgets(line, sizeof line, example)) {
		bool is_setting = line[0] == '#' && line[1] != ' ';

		fputs(is_setting ? line + 1 : line, file);
		n_set += is_setting;
	}
	for (unsigned i = 0; i < n_options; i++)
		n_settable += options[i].programs & PROGRAM_DAEMON &&
			      !(options[i].flags & OPTION_FLAG_ONLY);
	assert_int_equal(n_set, n_settable);
	fclose(file);
	fclose(example);
	assert_int_equal(LOAD(NULL), SC_OK);
	defaults = config;
	assert_int_equal(LOAD(path), SC_OK);
	for (unsigned i = 0; i < n_options; i++)
		assert_true(option_is_equal(&options[i], &defaults, &config));
	config_deinit(&defaults);
	config_deinit(&config);
}

static bool has_option(const char *name)
{
	for (unsigned i = 0; i < n_options; i++)
		if (options[i].programs & PROGRAM_DAEMON && !strcmp(options[i].name, name))
			return true;
	return false;
}

static void every_limit_has_a_name_of_its_own_and_a_default(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_LIMITS; i++) {
		assert_non_null(limit_table[i].name);
		assert_non_null(limit_table[i].help);
		assert_non_null(limit_table[i].seen);
		assert_true(!limit_table[i].setting != !limit_table[i].value);
		assert_true(!limit_table[i].setting || has_option(limit_table[i].setting));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(limit_table[i].name, limit_table[j].name);
	}
}

/* A manual page entry for each: its default comes from the option table. */
static void limits_are_printed_with_their_defaults(void **state)
{
	FILE *file = tmpfile();
	unsigned n_entries = 0;
	bool has_queue = false;
	char line[512];

	(void)state;
	assert_non_null(file);
	config_print_limits(file);
	rewind(file);
	while (fgets(line, sizeof line, file)) {
		n_entries += !strcmp(line, ".TP\n");
		has_queue |= !strcmp(line, "\\fBqueue\\fR: 256 (\\fB\\-\\-max\\-queue\\fR)\n");
	}
	fclose(file);
	assert_int_equal(n_entries, N_LIMITS);
	assert_true(has_queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option_has_a_valid_default_and_a_name_of_its_own),
		cmocka_unit_test(flags_override_environment_overrides_file),
		cmocka_unit_test(a_bad_line_is_named_with_what_was_expected),
		cmocka_unit_test(a_number_that_would_wrap_is_refused_with_the_range),
		cmocka_unit_test(an_included_file_is_held_to_the_same),
		cmocka_unit_test(numbers_are_read_as_they_are_written),
		cmocka_unit_test(a_bad_flag_is_a_usage_error),
		cmocka_unit_test(a_list_keeps_all_texts_in_order),
		cmocka_unit_test(words_that_are_no_flags_are_for_verbs_that_take_some),
		cmocka_unit_test(a_config_knows_where_its_values_come_from),
		cmocka_unit_test(a_bad_variable_is_named),
		cmocka_unit_test(a_named_file_must_exist_and_the_default_one_need_not),
		cmocka_unit_test(a_default_file_that_may_not_be_read_is_not_passed_over),
		cmocka_unit_test(what_cannot_be_read_is_one_error),
		cmocka_unit_test(errors_may_be_left_out),
		cmocka_unit_test(a_reload_takes_only_what_may_change),
		cmocka_unit_test(the_listen_address_is_put_together),
		cmocka_unit_test(the_example_file_is_the_defaults),
		cmocka_unit_test(every_limit_has_a_name_of_its_own_and_a_default),
		cmocka_unit_test(limits_are_printed_with_their_defaults),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
