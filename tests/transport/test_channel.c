/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/channel.h"

#include "event/manual_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/transport/channel_actor.h"

struct fixture {
	struct manual_clock *clock;
	struct loop *loop;
	struct channel_actor a, b;
};

/* Both ends are watched. */
static void begin(struct fixture *f)
{
	struct channel *ends[2];

	*f = (struct fixture){ .clock = NULL };
	assert_int_equal(manual_clock_create(&f->clock), SC_OK);
	assert_int_equal(loop_create_on(f->clock, &f->loop), SC_OK);
	assert_int_equal(channel_pair(f->loop, ends), SC_OK);
	f->a.channel = ends[0];
	f->b.channel = ends[1];
	channel_actor_watch(&f->a);
	channel_actor_watch(&f->b);
}

static void finish(struct fixture *f)
{
	channel_close(f->a.channel);
	channel_close(f->b.channel);
	loop_destroy(f->loop);
	manual_clock_destroy(f->clock);
}

static void messages_arrive_in_order_both_ways(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	f.b.answers = true;
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(channel_actor_send(&f.a, i), SC_OK);
	assert_int_equal(f.b.n_messages, 0);
	manual_clock_settle(f.clock);
	assert_int_equal(f.b.n_messages, 100);
	assert_int_equal(f.a.n_messages, 100);
	assert_string_equal(channel_peer(f.a.channel), "this process");
	finish(&f);
}

static void messages_wait_until_somebody_watches(void **state)
{
	struct channel_actor late = { .n_messages = 0 };
	struct channel *ends[2];
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(channel_pair(f.loop, ends), SC_OK);
	channel_actor_close(&f.a);
	f.a.channel = ends[0];
	late.channel = ends[1];
	assert_int_equal(channel_actor_send(&f.a, 0), SC_OK);
	channel_actor_close(&f.a);
	manual_clock_settle(f.clock);
	channel_actor_watch(&late);
	assert_int_equal(late.n_messages, 0);
	manual_clock_settle(f.clock);
	assert_int_equal(late.n_messages, 1);
	assert_int_equal(late.n_downs, 1);
	channel_actor_close(&late);
	finish(&f);
}

static void closing_one_end_takes_the_other_down_once_after_its_messages(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(channel_actor_send(&f.a, i), SC_OK);
	channel_actor_close(&f.a);
	assert_int_equal(f.b.n_downs, 0);
	manual_clock_settle(f.clock);
	assert_int_equal(f.b.n_messages, 3);
	assert_int_equal(f.b.n_downs, 1);
	assert_int_equal(f.b.status, SC_E_CLOSED);
	assert_int_equal(channel_actor_send(&f.b, 0), SC_E_CLOSED);
	manual_clock_settle(f.clock);
	assert_int_equal(f.b.n_downs, 1);
	finish(&f);
}

static void a_closed_end_is_told_nothing(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(channel_actor_send(&f.a, 0), SC_OK);
	channel_actor_close(&f.b);
	channel_actor_close(&f.a);
	manual_clock_settle(f.clock);
	assert_int_equal(f.b.n_messages, 0);
	assert_int_equal(f.a.n_downs + f.b.n_downs, 0);
	finish(&f);
}

static void ends_may_be_closed_inside_callbacks(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	f.b.closes_on_message = true;
	f.a.closes_on_down = true;
	assert_int_equal(channel_actor_send(&f.a, 0), SC_OK);
	assert_int_equal(channel_actor_send(&f.a, 1), SC_OK);
	manual_clock_settle(f.clock);
	assert_int_equal(f.b.n_messages, 1);
	assert_int_equal(f.a.n_downs, 1);
	assert_null(f.a.channel);
	assert_null(f.b.channel);
	finish(&f);
}

static void the_other_end_may_be_closed_inside_a_callback(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	f.b.closes_other = f.a.channel;
	assert_int_equal(channel_actor_send(&f.a, 0), SC_OK);
	assert_int_equal(channel_actor_send(&f.a, 1), SC_OK);
	f.a.channel = NULL;
	manual_clock_settle(f.clock);
	assert_int_equal(f.b.n_messages, 2);
	assert_int_equal(f.b.n_downs, 1);
	finish(&f);
}

struct witness {
	const struct channel_actor *actor;
	unsigned n_messages;	/* of actor when the witness woke up */
};

static void on_witness(void *arg)
{
	struct witness *witness = arg;

	witness->n_messages = witness->actor->n_messages;
}

static void a_long_queue_lets_others_in(void **state)
{
	struct witness witness = { .n_messages = 0 };
	struct wake *wake;
	struct fixture f;
	uint64_t n = 0;

	(void)state;
	begin(&f);
	witness.actor = &f.b;
	assert_int_equal(wake_create(f.loop, on_witness, &witness, &wake), SC_OK);
	for (; n < 20000; n++)
		assert_int_equal(channel_actor_send(&f.a, n), SC_OK);
	wake_send(wake);
	manual_clock_settle(f.clock);
	assert_in_range(witness.n_messages, 1, n - 1);
	assert_int_equal(f.b.n_messages, n);
	wake_destroy(wake);
	finish(&f);
}

static void a_peer_that_does_not_read_takes_the_channel_down(void **state)
{
	struct channel_actor sender = { .n_messages = 0 };
	enum sc_status status = SC_OK;
	struct channel *ends[2];
	struct fixture f;
	uint64_t n = 0;

	(void)state;
	begin(&f);
	assert_int_equal(channel_pair(f.loop, ends), SC_OK);
	sender.channel = ends[0];
	channel_actor_watch(&sender);
	while (status == SC_OK)
		status = channel_actor_send(&sender, n++);
	assert_int_equal(status, SC_E_TIMEOUT);
	assert_in_range(n, CHANNEL_MAX_QUEUE / 64, CHANNEL_MAX_QUEUE);
	assert_int_equal(sender.n_downs, 0);
	assert_int_equal(channel_actor_send(&sender, n), SC_E_CLOSED);
	manual_clock_settle(f.clock);
	assert_int_equal(sender.n_downs, 1);
	assert_int_equal(sender.status, SC_E_TIMEOUT);
	channel_close(ends[0]);
	channel_close(ends[1]);
	finish(&f);
}

static void a_message_over_the_limit_is_refused_and_the_channel_lives(void **state)
{
	Stagecoach__Cluster__V1__Stop stop = STAGECOACH__CLUSTER__V1__STOP__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	char *reason = calloc(1, CONTROL_MAX_BYTES + 1);
	struct fixture f;

	(void)state;
	begin(&f);
	assert_non_null(reason);
	memset(reason, 'x', CONTROL_MAX_BYTES);
	stop.reason = reason;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP;
	message.stop = &stop;
	assert_int_equal(channel_send(f.a.channel, &message), SC_E_TOO_LARGE);
	free(reason);
	assert_int_equal(channel_actor_send(&f.a, 0), SC_OK);
	manual_clock_settle(f.clock);
	assert_int_equal(f.b.n_messages, 1);
	finish(&f);
}

static void closing_no_channel_is_harmless(void **state)
{
	(void)state;
	channel_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_arrive_in_order_both_ways),
		cmocka_unit_test(messages_wait_until_somebody_watches),
		cmocka_unit_test(closing_one_end_takes_the_other_down_once_after_its_messages),
		cmocka_unit_test(a_closed_end_is_told_nothing),
		cmocka_unit_test(ends_may_be_closed_inside_callbacks),
		cmocka_unit_test(the_other_end_may_be_closed_inside_a_callback),
		cmocka_unit_test(a_long_queue_lets_others_in),
		cmocka_unit_test(a_peer_that_does_not_read_takes_the_channel_down),
		cmocka_unit_test(a_message_over_the_limit_is_refused_and_the_channel_lives),
		cmocka_unit_test(closing_no_channel_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
