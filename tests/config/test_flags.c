/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"
#include "config/foreign.h"
#include "config/options.h"

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

static void a_flag_may_be_written_in_each_usual_way(void **state)
{
	static const char *const ways[][2] = {
		{ "--ctx-size", "77" }, { "--ctx-size=77", NULL }, { "-c", "77" }, { "-c77", NULL },
		{ "--max-model-len", "77" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		assert_int_equal(LOAD(PROGRAM_DAEMON, ways[i][0], ways[i][1]), SC_OK);
		assert_int_equal(config.context, 77);
		assert_int_equal(config_source_of(&config, "ctx-size"), CONFIG_FLAG);
		config_deinit(&config);
	}
}

static void values_may_look_like_flags(void **state)
{
	(void)state;
	assert_int_equal(LOAD(PROGRAM_RUN, "-n", "-1", "-p", "--prompt", "--seed=-1"), SC_OK);
	assert_int_equal(config.n_predict, -1);
	assert_string_equal(config.prompt, "--prompt");
	config_deinit(&config);
	assert_int_equal(LOAD(PROGRAM_RUN, "--prompt="), SC_OK);
	assert_string_equal(config.prompt, "");
	config_deinit(&config);
}

static void switches_stand_alone_or_with_a_value(void **state)
{
	(void)state;
	assert_int_equal(LOAD(PROGRAM_RUN, "--ignore-eos", "-hV", "--special=off"), SC_OK);
	assert_true(config.ignore_eos && config.is_help && config.is_version);
	assert_false(config.parse_special);
	config_deinit(&config);
	assert_int_equal(LOAD(PROGRAM_RUN, "--ignore-eos=maybe"), SC_E_INVALID);
	assert_string_equal(err.text, "--ignore-eos: expected on or off, found 'maybe'");
}

static void other_words_may_stand_anywhere(void **state)
{
	(void)state;
	assert_int_equal(LOAD(PROGRAM_CANCEL, "7", "--port", "1", "-", "--", "--port"), SC_OK);
	assert_int_equal(config.port, 1);
	assert_int_equal(config.arguments.n, 3);
	assert_string_equal(config.arguments.texts[0], "7");
	assert_string_equal(config.arguments.texts[1], "-");
	assert_string_equal(config.arguments.texts[2], "--port");
	config_deinit(&config);
}

static void a_wrong_flag_is_answered_with_what_was_meant(void **state)
{
	static const struct {
		const char *word, *message;
	} bad[] = {
		{ "--temprature", "--temprature: no such option; did you mean --temperature?" },
		{ "--ctx_size=4", "--ctx_size: no such option; did you mean --ctx-size?" },
		{ "--nonsense", "--nonsense: no such option, see --help" },
		{ "--ignore-e", "--ignore-e: no such option; did you mean --ignore-eos?" },
		{ "--ctx=9", "--ctx: no such option; did you mean --ctx-size?" },
		{ "--max", "--max: no such option; did you mean --max-model-len, --max-gap-ms, "
			   "--max-num-seqs?" },
		{ "-temp", "-temp: write it with two dashes: --temp" },
		{ "-z", "-z: no such option, see --help" },
		{ "--limit", "--limit: stagecoach run has no such option; it belongs to jobs" },
		{ "--heartbeat-ms=3", "--heartbeat-ms: stagecoach run has no such option; it "
				      "belongs to stagecoachd" },
		{ "-ngl", "-ngl is a flag of llama.cpp (layers on the GPU). Whole models run on "
			  "CPUs only, so far: leave it out" },
		{ "--n_gpu_layers=9", "--n_gpu_layers is a flag of llama.cpp (layers on the GPU). "
				      "Whole models run on CPUs only, so far: leave it out" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(LOAD(PROGRAM_RUN, bad[i].word, "9"), SC_E_INVALID);
		assert_string_equal(err.text, bad[i].message);
	}
}

/* As when a script's variable is not set: the server would ask nobody for a key. */
static void what_guards_the_server_is_not_empty(void **state)
{
	(void)state;
	assert_int_equal(LOAD(PROGRAM_DAEMON, "--api-key", ""), SC_E_INVALID);
	assert_string_equal(err.text, "--api-key: the value is empty: leave the flag out if you "
			    "mean none");
	assert_int_equal(LOAD(PROGRAM_DAEMON, "--api-key-file="), SC_E_INVALID);
	assert_int_equal(LOAD(PROGRAM_DAEMON, "--tls-cert", ""), SC_E_INVALID);
	assert_int_equal(LOAD(PROGRAM_DAEMON, "--tls-client-ca", ""), SC_E_INVALID);
	assert_int_equal(LOAD(PROGRAM_DAEMON, "--socket", "", "--api-key", "k"), SC_OK);
	config_deinit(&config);
}

/* --temp was once taken for the beginning of --template. */
static void the_beginning_of_a_flag_is_no_flag(void **state)
{
	(void)state;
	assert_int_equal(LOAD(PROGRAM_INSPECT, "--temp", "9"), SC_E_INVALID);
	assert_non_null(strstr(err.text, "--temp: stagecoach inspect has no such option"));
}

/* Without this, -cnv would be -c with the value "nv", and -hf would show the help. */
static void letters_of_other_programs_are_not_taken_apart(void **state)
{
	static const char *const words[] = { "-cnv", "-hf", "-np", "-tb", "-ub", "-fa", "-sm" };

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		assert_int_equal(LOAD(PROGRAM_RUN, words[i], "1"), SC_E_INVALID);
		assert_non_null(strstr(err.text, "is a flag of llama.cpp"));
	}
}

static void foreign_flags_are_none_of_ours(void **state)
{
	(void)state;
	for (unsigned i = 0; i < n_options; i++) {
		char name[64];

		snprintf(name, sizeof name, "--%s", options[i].name);
		assert_null(foreign_flag_find(name, strlen(name)));
		snprintf(name, sizeof name, "--%s", options[i].alias ? options[i].alias : "?");
		assert_null(foreign_flag_find(name, strlen(name)));
	}
	for (unsigned i = 0; i < n_foreign_flags; i++)
		for (const char *name = foreign_flags[i].names; *name;
		     name += strcspn(name, " "), name += *name == ' ')
			assert_ptr_equal(foreign_flag_find(name, strcspn(name, " ")),
					 &foreign_flags[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flag_may_be_written_in_each_usual_way),
		cmocka_unit_test(values_may_look_like_flags),
		cmocka_unit_test(switches_stand_alone_or_with_a_value),
		cmocka_unit_test(other_words_may_stand_anywhere),
		cmocka_unit_test(a_wrong_flag_is_answered_with_what_was_meant),
		cmocka_unit_test(what_guards_the_server_is_not_empty),
		cmocka_unit_test(the_beginning_of_a_flag_is_no_flag),
		cmocka_unit_test(letters_of_other_programs_are_not_taken_apart),
		cmocka_unit_test(foreign_flags_are_none_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
