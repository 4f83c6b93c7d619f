/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/stage/reference.h"

#include "base/bytes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

uint8_t *reference_read_file(const char *path, size_t *n_bytes_out)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long n;

	if (!file)
		fail_msg("cannot open %s", path);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	n = ftell(file);
	assert_true(n > 0);
	rewind(file);
	bytes = malloc((size_t)n);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, (size_t)n, file), n);
	fclose(file);
	*n_bytes_out = (size_t)n;
	return bytes;
}

static struct reference_prompt read_prompt(struct cursor *cursor, uint32_t n_vocab)
{
	struct reference_prompt prompt = { .n_tokens = cursor_u32(cursor) };

	prompt.n_positions = cursor_u32(cursor);
	prompt.tokens = cursor_take(cursor, (uint64_t)prompt.n_tokens * 4);
	prompt.positions = cursor_take(cursor, (uint64_t)prompt.n_positions * 4);
	prompt.logits = cursor_take(cursor, (uint64_t)prompt.n_positions * n_vocab * 4);
	assert_false(cursor->is_short);
	assert_in_range(prompt.n_tokens, 1, REFERENCE_MAX_CONTEXT);
	assert_in_range(prompt.n_positions, 1, prompt.n_tokens);
	return prompt;
}

void reference_open(struct reference *reference_out, const char *path)
{
	struct reference r = { 0 };
	struct cursor cursor;
	size_t n_bytes;

	r.bytes = reference_read_file(path, &n_bytes);
	cursor = cursor_init(r.bytes, n_bytes);
	assert_memory_equal(cursor_take(&cursor, 8), "SCREF001", 8);
	r.n_vocab = cursor_u32(&cursor);
	r.n_prompts = cursor_u32(&cursor);
	assert_in_range(r.n_prompts, 1, 1000);
	r.prompts = calloc(r.n_prompts, sizeof r.prompts[0]);
	assert_non_null(r.prompts);
	for (uint32_t i = 0; i < r.n_prompts; i++)
		r.prompts[i] = read_prompt(&cursor, r.n_vocab);
	assert_int_equal(cursor_left(&cursor), 0);
	*reference_out = r;
}

void reference_close(struct reference *reference)
{
	free(reference->prompts);
	free(reference->bytes);
}

/* Comparisons are written so that NaN does not pass. */
void reference_compare(void *arg, uint32_t sequence, uint32_t position, const float *logits,
		       uint32_t n_vocab)
{
	struct reference_run *run = arg;
	struct reference_error *e = &run->error;
	const uint8_t *expected = run->prompt->logits + (size_t)run->next * n_vocab * 4;
	double difference = 0, length = 0, l2;

	(void)sequence;
	assert_int_equal(position, load_le32(run->prompt->positions + 4 * run->next) + 1);
	for (uint32_t i = 0; i < n_vocab; i++) {
		double want = (double)load_lef32(expected + (size_t)i * 4);
		double d = (double)logits[i] - want;

		difference += d * d;
		length += want * want;
		if (!(fabs(d) <= e->max_difference))
			e->max_difference = fabs(d);
		e->max_logit = fmax(e->max_logit, fabs(want));
	}
	l2 = sqrt(difference / length);
	if (!(l2 <= e->worst_l2))
		e->worst_l2 = l2;
	e->n_compared++;
	run->next++;
}

static void run_prompt(struct chain *chain, struct reference_run *run,
		       const struct reference_prompt *prompt, bool is_whole, bool is_long)
{
	static const struct sampling greedy = { .top_p = 1, SAMPLING_OFF };
	uint32_t tokens[REFERENCE_MAX_CONTEXT], first = 0, n_records;

	*run = (struct reference_run){ .prompt = prompt };
	run->next = is_whole ? prompt->n_positions - 1 : 0;
	for (uint32_t i = 0; i < prompt->n_tokens; i++)
		tokens[i] = load_le32(prompt->tokens + 4 * i);
	while (run->next < prompt->n_positions) {
		uint32_t end = load_le32(prompt->positions + 4 * run->next) + 1;
		const struct chain_segment segment = {
			.sampling = first ? NULL : &greedy,
			.tokens = tokens + first,
			.n_rows = end - first,
			.is_sampling = true,
			.is_long = is_long,
		};

		chain_step(chain, &segment, 1, NULL, 0, &n_records);
		assert_int_equal(n_records, 1);
		first = end;
	}
	chain_step(chain, NULL, 0, &(uint32_t){ 0 }, 1, &n_records);
	assert_int_equal(run->error.n_compared, is_whole ? 1 : prompt->n_positions);
}

void reference_run(struct chain *chain, struct reference_run *run,
		   const struct reference_prompt *prompt, bool is_whole)
{
	run_prompt(chain, run, prompt, is_whole, false);
}

void reference_run_long(struct chain *chain, struct reference_run *run,
			const struct reference_prompt *prompt, bool is_whole)
{
	run_prompt(chain, run, prompt, is_whole, true);
}
