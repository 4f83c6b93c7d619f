/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

enum { PATH_BYTES = 512 };

struct fixture {
	char directory[64];
	char snapshot[PATH_BYTES];	/* of org/name's main */
	char *found;
	struct error err;
};

static void make_folder(const char *path)
{
	char part[PATH_BYTES];

	for (size_t i = 1; i <= strlen(path); i++) {
		if (path[i] && path[i] != '/')
			continue;
		snprintf(part, sizeof part, "%.*s", (int)i, path);
		mkdir(part, 0777);
	}
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[2 * PATH_BYTES];
	FILE *file;

	make_folder(folder);
	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* A cache that holds org/name. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	char refs[PATH_BYTES];

	strcpy(f->directory, "/tmp/stagecoach-test-XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	snprintf(refs, sizeof refs, "%s/hub/models--org--name/refs", f->directory);
	snprintf(f->snapshot, sizeof f->snapshot, "%s/hub/models--org--name/snapshots/0123abcd",
		 f->directory);
	write_file(refs, "main", "0123abcd\n");
	make_folder(f->snapshot);
	unsetenv("HF_HUB_CACHE");
	unsetenv("HUGGINGFACE_HUB_CACHE");
	setenv("HF_HOME", f->directory, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[PATH_BYTES];

	snprintf(command, sizeof command, "rm -r '%s'", f->directory);
	if (system(command))
		return -1;
	free(f->found);
	free(f);
	return 0;
}

static void expect_found(struct fixture *f, const char *name, const char *wanted)
{
	free(f->found);
	f->found = NULL;
	if (hf_cache_find(name, &f->found, &f->err))
		fail_msg("%s: %s", name, f->err.text);
	assert_string_equal(f->found, wanted);
}

static void expect_error(struct fixture *f, const char *name, enum sc_status status,
			 const char *text)
{
	free(f->found);
	f->found = NULL;
	assert_int_equal(hf_cache_find(name, &f->found, &f->err), status);
	if (!strstr(f->err.text, text))
		fail_msg("expected '%s' in '%s'", text, f->err.text);
}

static void names_have_one_or_two_words(void **state)
{
	static const char *const good[] = {
		"gpt2", "org/name", "Qwen/Qwen2.5-0.5B-Instruct", "a/b@v1.0", "a/b@0123abcd:Q4_K_M",
		"a/b:q8_0", "a_b/c.d",
	};
	static const char *const bad[] = {
		"", "/org/name", "org/", "a/b/c", "../b", "./b", "a/..", "a--b/c", "a b/c", "-m",
		"a/b@", "a/b:", "a/b:x/y", "a/b@../../etc", "a/.b", "a..b/c",
	};
	char longest[200];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (!hf_cache_is_name(good[i]))
			fail_msg("%s is a name", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (hf_cache_is_name(bad[i]))
			fail_msg("%s is no name", bad[i]);
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_false(hf_cache_is_name(longest));
}

static void a_folder_is_found_by_name_and_revision(void **state)
{
	struct fixture *f = *state;

	write_file(f->snapshot, "config.json", "{}");
	expect_found(f, "org/name", f->snapshot);
	expect_found(f, "org/name@main", f->snapshot);
	expect_found(f, "org/name@0123abcd", f->snapshot);
	expect_error(f, "org/name@v2", SC_E_NOT_FOUND, "hf download --revision v2 org/name");
}

static void the_variables_come_in_their_order(void **state)
{
	struct fixture *f = *state;
	char path[PATH_BYTES];

	write_file(f->snapshot, "config.json", "{}");
	snprintf(path, sizeof path, "%s/hub", f->directory);
	setenv("HF_HOME", "/nowhere", 1);
	expect_error(f, "org/name", SC_E_NOT_FOUND, "/nowhere/hub/models--org--name");
	setenv("HUGGINGFACE_HUB_CACHE", path, 1);
	expect_found(f, "org/name", f->snapshot);
	setenv("HF_HUB_CACHE", "/elsewhere", 1);
	expect_error(f, "org/name", SC_E_NOT_FOUND, "/elsewhere/models--org--name");
	unsetenv("HF_HUB_CACHE");
	unsetenv("HUGGINGFACE_HUB_CACHE");
	unsetenv("HF_HOME");
	setenv("XDG_CACHE_HOME", "/cache", 1);
	expect_error(f, "gpt2", SC_E_NOT_FOUND, "/cache/huggingface/hub/models--gpt2");
	unsetenv("XDG_CACHE_HOME");
	setenv("HOME", "/home/of", 1);
	expect_error(f, "gpt2", SC_E_NOT_FOUND, "/home/of/.cache/huggingface/hub/models--gpt2");
	expect_error(f, "gpt2", SC_E_NOT_FOUND, "'hf download gpt2'");
}

static void a_tag_chooses_among_files(void **state)
{
	struct fixture *f = *state;
	char path[2 * PATH_BYTES];

	write_file(f->snapshot, "model-Q4_K_M.gguf", "");
	write_file(f->snapshot, "mmproj-f16.gguf", "");
	write_file(f->snapshot, "README.md", "");
	snprintf(path, sizeof path, "%s/model-Q4_K_M.gguf", f->snapshot);
	expect_found(f, "org/name", path);
	write_file(f->snapshot, "model-Q8_0-00001-of-00002.gguf", "");
	write_file(f->snapshot, "model-Q8_0-00002-of-00002.gguf", "");
	expect_error(f, "org/name", SC_E_INVALID, "choose one with org/name:TAG");
	expect_found(f, "org/name:q4_k_m", path);
	snprintf(path, sizeof path, "%s/model-Q8_0-00001-of-00002.gguf", f->snapshot);
	expect_found(f, "org/name:Q8_0", path);
	expect_error(f, "org/name:Q6_K", SC_E_NOT_FOUND, "no GGUF file whose name contains 'Q6_K'");
	/* A folder comes first, but a tag asks for a file. */
	write_file(f->snapshot, "config.json", "{}");
	expect_found(f, "org/name", f->snapshot);
	expect_found(f, "org/name:Q8_0", path);
}

static void a_ref_cannot_lead_elsewhere(void **state)
{
	struct fixture *f = *state;
	char refs[PATH_BYTES];

	snprintf(refs, sizeof refs, "%s/hub/models--org--name/refs", f->directory);
	write_file(refs, "evil", "../../../..");
	expect_error(f, "org/name@evil", SC_E_NOT_FOUND, "snapshots/evil");
	write_file(refs, "empty", "");
	expect_error(f, "org/name@empty", SC_E_NOT_FOUND, "snapshots/empty");
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_one_or_two_words),
		WITH_FIXTURE(a_folder_is_found_by_name_and_revision),
		WITH_FIXTURE(the_variables_come_in_their_order),
		WITH_FIXTURE(a_tag_chooses_among_files),
		WITH_FIXTURE(a_ref_cannot_lead_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
