/* SPDX-License-Identifier: Apache-2.0 */
/* A model file that is cut or written over under a pipeline that has loaded it changes nothing. */
#include "tests/pipeline/rig.h"

#include "event/loop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define N_TOKENS 24

/* Prompt and text of a job, in one string: all that touches the vocabulary. */
static void generate(struct rig *rig, struct buf *text)
{
	/* Control tokens, words, single characters, and bytes without a token of their own. */
	static const char prompt[] = "<s>the <|end|> het\u00E9\xFF\n";
	const struct job_request request = {
		.prompt = prompt, .prompt_bytes = sizeof prompt - 1, .parse_special = true,
		.max_tokens = N_TOKENS, .ignore_end = true, .top_p = 1.0f,
	};
	const struct output *output;
	struct job *job;
	struct error err;

	if (engine_submit(rig->engine, &request, &job, &err))
		fail_msg("%s", err.text);
	rig_wait(rig, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_DONE);
	output = job_output(job, 0);
	assert_int_equal(output->n_tokens, N_TOKENS);
	assert_int_equal(buf_add_format(text, "%u:", job_n_prompt_tokens(job)), SC_OK);
	for (uint32_t i = 0; i < output->n_tokens; i++)
		assert_int_equal(buf_add_format(text, " %u", output->tokens[i].id), SC_OK);
	assert_int_equal(tokenizer_decode(rig_model()->tokenizer, (const uint32_t[]){ 5, 70, 262 },
					  3, true, text), SC_OK);
	assert_int_equal(buf_add_format(text, "%s", rig_model()->model->name), SC_OK);
	job_release(job);
}

static void cut(const char *path)
{
	assert_int_equal(truncate(path, 0), 0);
}

/* The same size, so that nothing but wrong contents would show. */
static void write_over(const char *path)
{
	struct stat st;
	char *junk;
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	junk = malloc((size_t)st.st_size);
	assert_non_null(junk);
	memset(junk, 'x', (size_t)st.st_size);
	assert_int_equal(pwrite(fd, junk, (size_t)st.st_size, 0), st.st_size);
	free(junk);
	close(fd);
}

static void expect_same_text(bool is_spm, void (*change)(const char *path))
{
	struct tiny_model tiny = tiny_llama;
	char path[] = "/tmp/stagecoach-test.XXXXXX";
	struct buf before = BUF_INIT, after = BUF_INIT;
	struct rig rig;

	close(mkstemp(path));
	tiny.is_spm = is_spm;
	tiny.has_rope_factors = true;
	tiny_model_save(&tiny, path);
	rig_use_file(path);
	rig_start(&rig, &rig_defaults);
	generate(&rig, &before);
	change(path);
	generate(&rig, &after);
	assert_string_equal(after.data, before.data);
	rig_stop(&rig);
	rig_free_logits(&rig);
	rig_model_close();
	unlink(path);
	buf_deinit(&before);
	buf_deinit(&after);
}

static void a_file_that_is_cut_changes_nothing(void **state)
{
	(void)state;
	expect_same_text(true, cut);
	expect_same_text(false, cut);
}

static void a_file_that_is_written_over_changes_nothing(void **state)
{
	(void)state;
	expect_same_text(true, write_over);
	expect_same_text(false, write_over);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_is_written_over_changes_nothing),
		cmocka_unit_test(a_file_that_is_cut_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, rig_model_teardown);
}
