/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/sourced_gguf.h"

#include "model/gguf_head.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct copying {
	struct tensor_source source;
	const struct tensor *of;
	struct sourced_count *count;
};

struct body {
	struct copying *copies;
	struct sourced_count *count;
};

static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;	/* several threads read */

/* Counts a call in *n_calls, and what it asked for. */
static void note(const struct copying *copying, uint64_t *n_calls, uint64_t first, uint64_t n)
{
	const uint64_t row = copying->of->n_dims > 1 ? copying->of->dims[0] : 1;

	pthread_mutex_lock(&counting);
	++*n_calls;
	copying->count->is_odd |= first % row || n % row;
	if (n > copying->count->max_elements)
		copying->count->max_elements = n;
	pthread_mutex_unlock(&counting);
}

static enum sc_status read_copy(const struct tensor_source *source, uint64_t first, uint64_t n,
				void *out, struct error *err)
{
	const struct copying *copying = (const struct copying *)source;
	const enum tensor_type type = copying->of->type;

	note(copying, &copying->count->n_reads, first, n);
	if (copying->count->fails)
		return error_set(err, SC_E_FORMAT, "no elements today");
	memcpy(out, (const uint8_t *)copying->of->data + tensor_type_bytes(type, first),
	       tensor_type_bytes(type, n));
	return SC_OK;
}

static void expect_copy(const struct tensor_source *source, uint64_t first, uint64_t n)
{
	const struct copying *copying = (const struct copying *)source;

	note(copying, &copying->count->n_expects, first, n);
}

static void release_copy(const struct tensor_source *source, uint64_t first, uint64_t n)
{
	const struct copying *copying = (const struct copying *)source;

	note(copying, &copying->count->n_releases, first, n);
}

static enum sc_status check(const void *arg, struct error *err)
{
	const struct body *body = arg;

	body->count->n_checks++;
	return body->count->is_changed ? error_set(err, SC_E_IO, "changed") : SC_OK;
}

static void release(void *arg)
{
	struct body *body = arg;

	body->count->n_closed++;
	free(body->copies);
	free(body);
}

static void or_abort(enum sc_status status, const char *text)
{
	if (!status)
		return;
	fprintf(stderr, "sourced_gguf: %s\n", text);
	abort();
}

struct gguf *sourced_gguf_open(const struct gguf *of, struct sourced_count *count)
{
	static const char *const except[] = { NULL };
	const size_t n = gguf_n_tensors(of);
	const struct tensor_source **sources = calloc(n + 1, sizeof *sources);
	struct body *body = calloc(1, sizeof *body);
	const struct gguf_part part = { gguf_path(of), gguf_n_bytes(of), n };
	struct gguf_head head;
	struct error err = { .text = "no memory" };
	struct gguf *gguf;
	uint64_t offset;

	or_abort(sources && body ? SC_OK : SC_E_NOMEM, err.text);
	body->copies = calloc(n + 1, sizeof *body->copies);
	or_abort(body->copies ? SC_OK : SC_E_NOMEM, err.text);
	body->count = count;
	gguf_head_init(&head, of);
	or_abort(gguf_head_copy_pairs(&head, of, except), "no memory");
	for (size_t i = 0; i < n; i++) {
		body->copies[i] = (struct copying){
			{ .read = read_copy, .expect = expect_copy, .release = release_copy },
			gguf_tensor(of, i), count,
		};
		sources[i] = &body->copies[i].source;
		or_abort(gguf_head_add_tensor(&head, gguf_tensor(of, i), &offset), "no memory");
	}
	or_abort(gguf_open_head("sourced", &head,
				&(struct gguf_body){ sources, &part, 1, check, release, body },
				&gguf, &err), err.text);
	gguf_head_deinit(&head);
	free(sources);
	return gguf;
}
