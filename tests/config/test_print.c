/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"
#include "config/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct config config;
static struct error err;
static char first[] = "test_print.XXXXXX", second[] = "test_print.XXXXXX";

static int make_files(void **state)
{
	int a = mkstemp(first), b = mkstemp(second);

	(void)state;
	clearenv();
	close(a);
	close(b);
	return a < 0 || b < 0;
}

static int remove_files(void **state)
{
	(void)state;
	return unlink(first) | unlink(second);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static enum sc_status load(enum program program, const char *file, const char *flag)
{
	char *argv[] = { (char *)"program", (char *)flag, NULL };

	return config_load(&config, program, file, flag ? 2 : 1, argv, &err);
}

/* The line of a key, without its newline; "": none. */
static const char *line_of(const char *path, const char *key)
{
	static char line[1024];
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ' ')
			break;
	if (feof(file))
		*line = '\0';
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return line;
}

static void print(enum program program, const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	config_print_effective(file, program, &config);
	fclose(file);
}

static void settings_are_printed_with_where_they_came_from(void **state)
{
	char expected[128];

	(void)state;
	write_file(first, "\nctx_size = 300;\nport = 1;\nmax_queue = 7;\n");
	setenv("STAGECOACH_PORT", "2", 1);
	setenv("STAGECOACH_MAX_QUEUE", "8", 1);
	assert_int_equal(load(PROGRAM_DAEMON, first, "--max-queue=9"), SC_OK);
	clearenv();
	print(PROGRAM_DAEMON, second);
	config_deinit(&config);
	assert_string_equal(line_of(second, "max_queue"),
			    "max_queue = 9;                           # flag --max-queue");
	assert_string_equal(line_of(second, "port"),
			    "port = 2;                                # STAGECOACH_PORT");
	snprintf(expected, sizeof expected, "ctx_size = 300;                          # %s:2",
		 first);
	assert_string_equal(line_of(second, "ctx_size"), expected);
	assert_string_equal(line_of(second, "temp"),
			    "temp = 0.8;                              # default");
}

static void what_is_printed_is_a_file_that_sets_the_same(void **state)
{
	struct config before;

	(void)state;
	write_file(first, "model = \"a \\\"b\\\" \\\\ c\\n\\x01 \xc3\xa4\";\nseed = 5000000000;\n"
			  "memory = 5000000000;\ntop_k = 4294967295L;\nmax_message = \"5M\";\n"
			  "temp = 0.12345678901234567;\ntop_p = 1e-6;\nignore_eos = true;\n"
			  "n_predict = -1;\nlisten = \"none\";\nsocket = \"\";\n");
	assert_int_equal(load(PROGRAM_DAEMON, first, NULL), SC_OK);
	before = config;
	print(PROGRAM_DAEMON, second);
	assert_int_equal(load(PROGRAM_DAEMON, second, NULL), SC_OK);
	for (unsigned i = 0; i < n_options; i++)
		if (!(options[i].flags & OPTION_FLAG_ONLY) &&
		    options[i].programs & PROGRAM_DAEMON)
			assert_true(option_is_equal(&options[i], &before, &config));
	assert_int_equal(config.memory, 5000000000);
	config_deinit(&before);
	config_deinit(&config);
}

static void a_verb_prints_its_own_settings_alone(void **state)
{
	(void)state;
	assert_int_equal(load(PROGRAM_STATUS, NULL, NULL), SC_OK);
	print(PROGRAM_STATUS, second);
	config_deinit(&config);
	assert_string_not_equal(line_of(second, "port"), "");
	assert_string_equal(line_of(second, "model"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_are_printed_with_where_they_came_from),
		cmocka_unit_test(what_is_printed_is_a_file_that_sets_the_same),
		cmocka_unit_test(a_verb_prints_its_own_settings_alone),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
