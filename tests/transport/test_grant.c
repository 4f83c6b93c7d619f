/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grant.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <cmocka.h>

struct fixture {
	struct loop *loop;
	struct wake *wake;
	unsigned n_wakes;
	struct frame_pool *pool;
	struct grant *grant;
};

static void on_wake(void *arg)
{
	((struct fixture *)arg)->n_wakes++;
}

static void begin(struct fixture *f, unsigned n_credits)
{
	*f = (struct fixture){ .n_wakes = 0 };
	assert_int_equal(loop_create(&f->loop), SC_OK);
	assert_int_equal(wake_create(f->loop, on_wake, f, &f->wake), SC_OK);
	assert_int_equal(frame_pool_create(n_credits, 64, &f->pool), SC_OK);
	assert_int_equal(grant_create(n_credits, f->wake, &f->grant), SC_OK);
}

static void finish(struct fixture *f)
{
	grant_detach(f->grant);
	wake_destroy(f->wake);
	frame_pool_destroy(f->pool);
	loop_destroy(f->loop);
}

static struct frame *receive(struct fixture *f)
{
	struct frame *frame;

	if (!grant_use(f->grant))
		return NULL;
	frame = frame_take(f->pool, FRAME_STEP);
	assert_non_null(frame);
	grant_hand_out(f->grant, frame);
	return frame;
}

static void peer_cannot_use_more_credits_than_it_has(void **state)
{
	struct frame *frames[3];
	struct fixture f;

	(void)state;
	begin(&f, 3);
	for (int i = 0; i < 3; i++)
		assert_non_null(frames[i] = receive(&f));
	assert_null(receive(&f));
	frame_release(frames[1]);
	/* Released, but not sent back: the peer does not know of it. */
	assert_null(receive(&f));
	assert_int_equal(grant_collect(f.grant), 1);
	assert_non_null(frames[1] = receive(&f));
	for (int i = 0; i < 3; i++)
		frame_release(frames[i]);
	finish(&f);
}

static void credits_are_due_when_half_are_used(void **state)
{
	struct frame *a, *b;
	struct fixture f;

	(void)state;
	begin(&f, 4);
	a = receive(&f);
	frame_release(a);
	assert_false(grant_is_due(f.grant));
	b = receive(&f);
	assert_true(grant_is_due(f.grant));
	assert_int_equal(grant_collect(f.grant), 1);
	assert_false(grant_is_due(f.grant));
	frame_release(b);
	finish(&f);
}

static void peer_without_credit_is_never_forgotten(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 5; n++) {
		struct frame *frames[5] = { NULL };
		struct fixture f;

		begin(&f, n);
		for (unsigned i = 0; i < n; i++)
			frames[i] = receive(&f);
		frame_release(frames[0]);
		assert_true(grant_is_due(f.grant));
		loop_turn(f.loop, false);
		assert_int_equal(f.n_wakes, 1);
		for (unsigned i = 1; i < n; i++)
			frame_release(frames[i]);
		finish(&f);
	}
}

static void frames_may_be_released_after_the_link_is_gone(void **state)
{
	struct frame *frame;
	struct fixture f;

	(void)state;
	begin(&f, 1);
	frame = receive(&f);
	finish(&f);
	frame_release(frame);
}

#define N_ROUNDS 20000

struct handover {
	_Atomic(struct frame *) frame;
	atomic_bool is_over;
};

static void *release_frames(void *arg)
{
	struct handover *handover = arg;

	while (!atomic_load(&handover->is_over)) {
		struct frame *frame = atomic_exchange(&handover->frame, NULL);

		if (frame)
			frame_release(frame);
	}
	return NULL;
}

static void releases_on_another_thread_wake_the_loop_and_lose_no_credit(void **state)
{
	struct handover handover = { .is_over = false };
	unsigned n_credits = 2, n_received = 0;
	pthread_t thread;
	struct fixture f;

	(void)state;
	begin(&f, n_credits);
	assert_int_equal(pthread_create(&thread, NULL, release_frames, &handover), 0);
	while (n_received < N_ROUNDS) {
		if (n_credits && !atomic_load(&handover.frame)) {
			struct frame *frame = receive(&f);

			assert_non_null(frame);
			n_credits--;
			n_received++;
			atomic_store(&handover.frame, frame);
		} else if (!n_credits && !grant_is_due(f.grant)) {
			loop_turn(f.loop, true);
		}
		if (grant_is_due(f.grant))
			n_credits += grant_collect(f.grant);
	}
	while (atomic_load(&handover.frame))
		continue;
	atomic_store(&handover.is_over, true);
	pthread_join(thread, NULL);
	assert_int_equal(n_credits + grant_collect(f.grant), 2);
	finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peer_cannot_use_more_credits_than_it_has),
		cmocka_unit_test(credits_are_due_when_half_are_used),
		cmocka_unit_test(peer_without_credit_is_never_forgotten),
		cmocka_unit_test(frames_may_be_released_after_the_link_is_gone),
		cmocka_unit_test(releases_on_another_thread_wake_the_loop_and_lose_no_credit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
