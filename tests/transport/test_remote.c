/* SPDX-License-Identifier: Apache-2.0 */
/* Closed fabrics whose carrier keeps memory: a carrier that answers as the test tells it to. */
#include "transport/remote.h"

#include "base/clock.h"
#include "base/log.h"
#include "event/manual_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct fake {
	struct manual_clock *clock;
	struct loop *loop;
	struct remote_lot lot;
	struct fabric *peer;		/* whose address is connected to; it never answers */
	struct remote_message *held[2 * REMOTE_MAX_STUCK];	/* not sent yet */
	unsigned n_held;
	unsigned n_posted;
	unsigned n_destroyed;
	bool sends;			/* messages are sent at once, else never */
	bool ends;			/* links end, else they hang */
};
static struct fake fake;

static bool fake_progress(struct remote_fabric *fabric)
{
	(void)fabric;
	return false;
}

static void fake_destroy(struct remote_fabric *fabric)
{
	(void)fabric;
	fake.n_destroyed++;
}

static enum sc_status fake_connect(struct remote_link *link, const struct fabric_address *address,
				   struct error *err)
{
	(void)link;
	(void)address;
	(void)err;
	return SC_OK;
}

static void fake_post(struct remote_link *link, struct remote_message *message)
{
	(void)link;
	fake.n_posted++;
	if (fake.sends)
		remote_sent(message, NULL);
	else
		fake.held[fake.n_held++] = message;
}

static void give_back(const struct remote_link *link)
{
	for (unsigned i = 0; i < fake.n_held; i++) {
		struct remote_message *message = fake.held[i];

		if (!message || message->link != link)
			continue;
		fake.held[i] = NULL;
		remote_sent(message, NULL);
	}
}

static void fake_end(struct remote_link *link)
{
	(void)link;
}

static bool fake_is_ended(struct remote_link *link)
{
	if (fake.ends)
		give_back(link);
	return fake.ends;
}

static const struct remote_ops ops = {
	.fabric = {
		.name = "fake",
		.close = remote_fabric_close,
		.address = remote_fabric_address,
		.connect = remote_link_connect,
		.send = remote_link_send,
		.close_link = remote_link_close,
	},
	.transport = "fake",
	.link_bytes = sizeof(struct remote_link),
	.progress = fake_progress,
	.destroy = fake_destroy,
	.connect = fake_connect,
	.post = fake_post,
	.end = fake_end,
	.is_ended = fake_is_ended,
};

static enum sc_status fake_open(unsigned self, struct fabric **fabric_out, struct error *err)
{
	static const struct poller_ops poller_ops = { .progress = remote_progress };
	const struct fabric_config config = { .self = self, .n_peers = 2 };
	struct remote_fabric *fabric = calloc(1, sizeof *fabric);
	const struct poller_config poller = { .ops = &poller_ops, .arg = fabric, .fd = -1 };
	enum sc_status status;

	assert_non_null(fabric);
	status = remote_fabric_init(fabric, &ops, &config, fake.loop, &fake.lot, err);
	if (status == SC_OK)
		status = remote_fabric_start(fabric, "", 0, &poller, err);
	if (status == SC_OK)
		*fabric_out = &fabric->base;
	else
		remote_fabric_destroy(fabric);
	return status;
}

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	(void)arg;
	(void)link;
	frame_release(frame);
}

static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	(void)arg;
	(void)link;
	(void)status;
	(void)why;
}

static const struct link_events events = { .on_frame = on_frame, .on_down = on_down };

/* A fabric with one link that has said hello. */
static struct fabric *open_with_link(void)
{
	const struct link_config config = { .max_payload = 100, .credits = 2 };
	struct fabric *fabric = NULL;
	struct link *link;
	const void *address;
	size_t n_bytes;
	struct error err;

	if (fake_open(0, &fabric, &err) != SC_OK)
		fail_msg("%s", err.text);
	fabric_address(fake.peer, &address, &n_bytes);
	if (fabric_connect(fabric, 1, address, n_bytes, &config, &events, NULL, &link, &err) !=
	    SC_OK)
		fail_msg("%s", err.text);
	return fabric;
}

/* The peer's hello has come: from now on a link that closes waits for a farewell. */
static void greet(struct fabric *fabric)
{
	const struct remote_fabric *to = (const struct remote_fabric *)fabric;
	const struct envelope hello = {
		.kind = ENVELOPE_HELLO,
		.peer = 1,
		.credits = 2,
		.from = ((const struct remote_fabric *)fake.peer)->id | 1,
		.to = to->id,
	};

	remote_dispatch((struct remote_fabric *)fabric, &hello);
	manual_clock_settle(fake.clock);
}

static int set_up(void **state)
{
	struct error err;

	(void)state;
	fake = (struct fake){ .sends = true, .ends = true };
	remote_lot_init(&fake.lot);
	assert_int_equal(manual_clock_create(&fake.clock), SC_OK);
	assert_int_equal(loop_create_on(fake.clock, &fake.loop), SC_OK);
	return fake_open(1, &fake.peer, &err) == SC_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	fabric_close(fake.peer);
	assert_true(remote_lot_deinit(&fake.lot));
	loop_destroy(fake.loop);
	manual_clock_destroy(fake.clock);
	return 0;
}

static void a_closed_fabric_is_gone_when_its_links_are(void **state)
{
	struct fabric *fabric = open_with_link();

	(void)state;
	assert_int_equal(fake.n_posted, 1);
	fabric_close(fabric);
	manual_clock_settle(fake.clock);
	assert_int_equal(fake.n_posted, 2);	/* hello and goodbye */
	assert_int_equal(fake.lot.n_parked, 0);
	assert_int_equal(fake.n_destroyed, 1);
}

static void a_closed_fabric_waits_for_a_farewell_in_the_loop(void **state)
{
	struct fabric *fabric = open_with_link();

	(void)state;
	greet(fabric);
	fabric_close(fabric);
	manual_clock_pass(fake.clock, REMOTE_LINGER_MS - 2 * REMOTE_TICK_MS);
	assert_int_equal(fake.lot.n_parked, 1);
	manual_clock_pass(fake.clock, 4 * REMOTE_TICK_MS);
	assert_int_equal(fake.lot.n_parked, 0);
}

static void the_oldest_of_many_closed_fabrics_waits_no_longer(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3 * REMOTE_MAX_PARKED; i++) {
		struct fabric *fabric = open_with_link();

		greet(fabric);
		fabric_close(fabric);
		manual_clock_pass(fake.clock, 2 * REMOTE_TICK_MS / REMOTE_MAX_PARKED);
		assert_true(fake.lot.n_parked <= REMOTE_MAX_PARKED + 1);
	}
	assert_true(fake.n_destroyed >= 2 * REMOTE_MAX_PARKED - 1);
	manual_clock_pass(fake.clock, 2 * REMOTE_LINGER_MS);
	assert_int_equal(fake.lot.n_parked, 0);
}

static void with_many_fabrics_that_hang_no_other_is_opened(void **state)
{
	const unsigned hang_ms = (REMOTE_STUCK_TICKS + 2) * REMOTE_TICK_MS;
	struct fabric *fabric = NULL;
	struct error err;

	(void)state;
	fake.sends = false;
	fake.ends = false;
	for (unsigned i = 0; i < REMOTE_MAX_STUCK; i++) {
		fabric = open_with_link();
		fabric_close(fabric);
		manual_clock_pass(fake.clock, 2 * hang_ms);
	}
	assert_int_equal(fake.lot.n_parked, REMOTE_MAX_STUCK);
	assert_int_equal(fake_open(0, &fabric, &err), SC_E_CAPACITY);
	assert_non_null(strstr(err.text, "8 closed fabrics hang"));
	fake.n_destroyed = 0;
	/* The carrier comes to its senses. */
	fake.sends = true;
	fake.ends = true;
	manual_clock_pass(fake.clock, 1000);
	assert_int_equal(fake.lot.n_parked, 0);
	assert_int_equal(fake.n_destroyed, REMOTE_MAX_STUCK);
	fabric_close(open_with_link());
}

static void a_suspended_process_does_not_call_its_fabrics_stuck(void **state)
{
	struct fabric *fabric = open_with_link();

	(void)state;
	greet(fabric);
	fabric_close(fabric);
	fake.ends = false;
	manual_clock_jump(fake.clock, 60000);
	manual_clock_settle(fake.clock);
	assert_false(list_entry(fake.lot.fabrics.next, struct remote_fabric, in_lot)->is_stuck);
	fake.ends = true;
	manual_clock_pass(fake.clock, 2 * REMOTE_TICK_MS);
	assert_int_equal(fake.lot.n_parked, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_closed_fabric_is_gone_when_its_links_are),
		TEST(a_closed_fabric_waits_for_a_farewell_in_the_loop),
		TEST(the_oldest_of_many_closed_fabrics_waits_no_longer),
		TEST(with_many_fabrics_that_hang_no_other_is_opened),
		TEST(a_suspended_process_does_not_call_its_fabrics_stuck),
	};

	log_init(LOG_LEVEL_ERROR, "");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
