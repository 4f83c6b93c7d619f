/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <cmocka.h>

static void a_pool_hands_out_each_frame_once_and_then_none(void **state)
{
	struct frame_pool *pool;
	struct frame *frames[3];

	(void)state;
	assert_int_equal(frame_pool_create(3, 100, &pool), SC_OK);
	assert_int_equal(frame_pool_n_free(pool), 3);
	for (int i = 0; i < 3; i++) {
		frames[i] = frame_take(pool, FRAME_STEP);
		assert_non_null(frames[i]);
		assert_int_equal((uintptr_t)frame_payload(frames[i]) % 64, 0);
		assert_int_equal(frame_max_payload(frames[i]), 100);
		memset(frame_payload(frames[i]), i, 100);
	}
	assert_null(frame_take(pool, FRAME_STEP));
	for (int i = 0; i < 3; i++)
		assert_int_equal(((uint8_t *)frame_payload(frames[i]))[99], i);
	frames[1]->epoch = 9;
	frames[1]->n_bytes = 5;
	frame_release(frames[1]);
	assert_int_equal(frame_pool_n_free(pool), 1);
	frames[1] = frame_take(pool, FRAME_TOKENS);
	assert_int_equal(frames[1]->type, FRAME_TOKENS);
	assert_int_equal(frames[1]->epoch, 0);
	assert_int_equal(frames[1]->n_bytes, 0);
	for (int i = 0; i < 3; i++)
		frame_release(frames[i]);
	frame_pool_destroy(pool);
	frame_pool_destroy(NULL);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
	struct frame_pool *pool = NULL;

	(void)state;
	assert_int_equal(frame_pool_create(0, 100, &pool), SC_E_INVALID);
	assert_int_equal(frame_pool_create(1, (size_t)UINT32_MAX + 1, &pool), SC_E_INVALID);
	assert_int_equal(frame_pool_create(SIZE_MAX / 100, 100, &pool), SC_E_NOMEM);
	assert_null(pool);
}

static void count_up(void *arg)
{
	++*(int *)arg;
}

static void a_frame_outlives_its_pool_and_its_release_is_told_once(void **state)
{
	struct frame_pool *pool;
	struct frame *frame;
	int n_releases = 0;

	(void)state;
	assert_int_equal(frame_pool_create(2, 64, &pool), SC_OK);
	frame = frame_take(pool, FRAME_STEP);
	frame->on_release = count_up;
	frame->release_arg = &n_releases;
	frame_release(frame);
	assert_int_equal(n_releases, 1);
	frame = frame_take(pool, FRAME_STEP);
	assert_null(frame->on_release);
	frame_release(frame);
	assert_int_equal(n_releases, 1);
	frame = frame_take(pool, FRAME_STEP);
	frame->on_release = count_up;
	frame->release_arg = &n_releases;
	frame_pool_destroy(pool);
	memset(frame_payload(frame), 1, 64);
	frame_release(frame);
	assert_int_equal(n_releases, 2);
}

static struct frame *sealed(struct frame_pool *pool)
{
	struct frame *frame = frame_take(pool, FRAME_TOKENS);

	assert_non_null(frame);
	frame->epoch = 7;
	frame->sequence = UINT64_C(1) << 40;
	frame->n_bytes = 33;
	frame_seal(frame);
	return frame;
}

static void what_was_sealed_opens_with_the_same_fields(void **state)
{
	struct frame_pool *pool;
	struct frame *sent, *got;
	struct error err;

	(void)state;
	assert_int_equal(frame_pool_create(2, 64, &pool), SC_OK);
	sent = sealed(pool);
	got = frame_take(pool, FRAME_STEP);
	memcpy(got->data, sent->data, sent->capacity);
	assert_int_equal(frame_open(got, 64 + 33, &err), SC_OK);
	assert_int_equal(got->type, FRAME_TOKENS);
	assert_int_equal(got->epoch, 7);
	assert_int_equal(got->sequence, UINT64_C(1) << 40);
	assert_int_equal(got->n_bytes, 33);
	frame_release(sent);
	frame_release(got);
	frame_pool_destroy(pool);
}

static void every_broken_header_field_is_named(void **state)
{
	static const struct {
		int offset;
		uint8_t value;
		const char *word;
	} cases[] = {
		{ 0, 'X', "magic" }, { 4, 0, "type 0" },       { 4, FRAME_N_TYPES, "type" },
		{ 5, 1, "type" },    { 6, 1, "flags" },	       { 7, 0x80, "flags" },
		{ 12, 34, "n_bytes 34" }, { 15, 0xff, "n_bytes" }, { 21, 0, "sequence 0" },
		{ 24, 1, "byte 24" },	  { 63, 1, "byte 63" },
	};
	struct frame_pool *pool;
	struct frame *frame;
	struct error err;

	(void)state;
	assert_int_equal(frame_pool_create(1, 64, &pool), SC_OK);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		frame = sealed(pool);
		assert_int_equal(frame_open(frame, 64 + 33, &err), SC_OK);
		frame->data[cases[i].offset] = cases[i].value;
		assert_int_equal(frame_open(frame, 64 + 33, &err), SC_E_PROTOCOL);
		assert_non_null(strstr(err.text, cases[i].word));
		frame_release(frame);
	}
	frame = sealed(pool);
	assert_int_equal(frame_open(frame, 63, &err), SC_E_PROTOCOL);
	assert_int_equal(frame_open(frame, 0, NULL), SC_E_PROTOCOL);
	assert_int_equal(frame_open(frame, 64 + 32, &err), SC_E_PROTOCOL);
	assert_int_equal(frame_open(frame, 64 + 65, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "129 bytes"));
	frame_release(frame);
	frame_pool_destroy(pool);
}

static atomic_int n_told;

static void tell(void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_told, 1);
}

static void *take_and_release(void *arg)
{
	struct frame_pool *pool = arg;

	for (int i = 0; i < 20000;) {
		struct frame *frame = frame_take(pool, FRAME_STEP);

		if (!frame)
			continue;
		((uint8_t *)frame_payload(frame))[0]++;
		frame->on_release = tell;
		frame_release(frame);
		i++;
	}
	return NULL;
}

static void threads_share_a_pool(void **state)
{
	struct frame_pool *pool;
	pthread_t threads[3];

	(void)state;
	assert_int_equal(frame_pool_create(2, 64, &pool), SC_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_release, pool), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&n_told), 60000);
	assert_int_equal(frame_pool_n_free(pool), 2);
	frame_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_hands_out_each_frame_once_and_then_none),
		cmocka_unit_test(sizes_that_cannot_be_are_refused),
		cmocka_unit_test(a_frame_outlives_its_pool_and_its_release_is_told_once),
		cmocka_unit_test(what_was_sealed_opens_with_the_same_fields),
		cmocka_unit_test(every_broken_header_field_is_named),
		cmocka_unit_test(threads_share_a_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
