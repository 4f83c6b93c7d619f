/* SPDX-License-Identifier: Apache-2.0 */
#include "link_suite.h"

#include "transport/fabrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static enum sc_status open_port(void *arg, struct loop *loop, struct fabric_source *source_out,
				struct error *err)
{
	struct loopback_port *port = malloc(sizeof *port);

	if (!port)
		return error_set(err, SC_E_NOMEM, "no memory");
	*port = (struct loopback_port){ loop, arg };
	*source_out = loopback_source(port);
	return SC_OK;
}

static void close_port(void *arg, const struct fabric_source *source)
{
	(void)arg;
	free(source->arg);
}

static int run_suite(const char *name, bool has_two_threads)
{
	struct link_suite suite = {
		.name = name,
		.open = open_port,
		.close = close_port,
		.has_two_threads = has_two_threads,
	};
	struct loopback_hub *hub;
	int rc;

	if (loopback_hub_create(&hub) != SC_OK)
		return 1;
	suite.arg = hub;
	rc = link_suite_run(&suite);
	loopback_hub_destroy(hub);
	return rc;
}

/* What is special about loopback. */

struct catcher {
	struct frame *frame;
	int n_credit;
	int n_down;
};

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	(void)link;
	((struct catcher *)arg)->frame = frame;
}

static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	(void)link;
	(void)status;
	(void)why;
	((struct catcher *)arg)->n_down++;
}

static void on_credit(void *arg, struct link *link)
{
	(void)link;
	((struct catcher *)arg)->n_credit++;
}

static const struct link_events events = { on_frame, on_credit, on_down };

struct ring {
	struct loop *loop;
	struct loopback_hub *hub;
	struct fabric *fabrics[3];
	struct frame_pool *pool;
};

static const struct link_config link_config = { .max_payload = 100, .credits = 2 };

static struct fabric_config config_of(unsigned self)
{
	return (struct fabric_config){ .self = self, .n_peers = 3 };
}

static int make_ring(void **state)
{
	struct ring *ring = calloc(1, sizeof *ring);
	struct error err;

	*state = ring;
	if (!ring || loop_create(&ring->loop) != SC_OK ||
	    loopback_hub_create(&ring->hub) != SC_OK ||
	    frame_pool_create(4, 100, &ring->pool) != SC_OK)
		return -1;
	for (unsigned i = 0; i < 3; i++) {
		struct fabric_config config = config_of(i);

		if (fabric_loopback_open(ring->loop, ring->hub, &config, &ring->fabrics[i], &err) !=
		    SC_OK)
			return -1;
	}
	return 0;
}

static int drop_ring(void **state)
{
	struct ring *ring = *state;

	for (unsigned i = 0; i < 3; i++)
		fabric_close(ring->fabrics[i]);
	loopback_hub_destroy(ring->hub);
	assert_int_equal(frame_pool_n_free(ring->pool), 4);
	frame_pool_destroy(ring->pool);
	loop_destroy(ring->loop);
	free(ring);
	return 0;
}

static struct link *connect_ranks(struct ring *ring, unsigned from, unsigned to,
				  struct catcher *catcher)
{
	struct link *link = NULL;
	struct error err = { .text = "" };
	const void *address;
	size_t n_bytes;

	fabric_address(ring->fabrics[to], &address, &n_bytes);
	if (fabric_connect(ring->fabrics[from], to, address, n_bytes, &link_config, &events,
			   catcher, &link, &err) != SC_OK)
		fail_msg("%s", err.text);
	assert_int_equal(link_peer(link), to);
	return link;
}

static void a_frame_goes_round_a_ring_without_being_copied(void **state)
{
	struct ring *ring = *state;
	struct catcher catchers[3] = { 0 };
	struct link *forward[3];
	struct frame *frame = frame_take(ring->pool, FRAME_STEP);

	for (unsigned i = 0; i < 3; i++)
		forward[i] = connect_ranks(ring, i, (i + 1) % 3, &catchers[i]);
	for (unsigned i = 0; i < 3; i++)
		(void)connect_ranks(ring, (i + 1) % 3, i, &catchers[(i + 1) % 3]);
	/* Ten rounds with two credits per link: each release gives back all that were used. */
	for (unsigned round = 0; round < 10; round++) {
		struct frame *runner = frame;

		for (unsigned i = 0; i < 3; i++) {
			struct catcher *next = &catchers[(i + 1) % 3];

			assert_int_equal(link_send(forward[i], runner), SC_OK);
			next->frame = NULL;
			while (!next->frame)
				loop_turn(ring->loop, true);
			assert_ptr_equal(next->frame, frame);
			runner = next->frame;
		}
		frame_release(frame);
		frame = frame_take(ring->pool, FRAME_STEP);
	}
	frame_release(frame);
}

/* What on_credit is for at the start. */
static void nothing_is_sent_before_the_peer_has_connected(void **state)
{
	struct ring *ring = *state;
	struct catcher first = { 0 }, second = { 0 };
	struct link *link = connect_ranks(ring, 0, 1, &first);
	struct frame *frame = frame_take(ring->pool, FRAME_TOKENS);

	assert_int_equal(link_send(link, frame), SC_AGAIN);
	(void)connect_ranks(ring, 1, 0, &second);
	while (!first.n_credit)
		loop_turn(ring->loop, true);
	assert_int_equal(link_send(link, frame), SC_OK);
	while (!second.frame)
		loop_turn(ring->loop, true);
	assert_int_equal(second.frame->type, FRAME_TOKENS);
	frame_release(second.frame);
	assert_int_equal(first.n_credit, 1);
}

static void an_end_that_comes_after_the_other_left_goes_down(void **state)
{
	struct ring *ring = *state;
	struct catcher first = { 0 }, second = { 0 };
	struct link *link = connect_ranks(ring, 0, 1, &first);

	link_close(link);
	link = connect_ranks(ring, 1, 0, &second);
	while (!second.n_down)
		loop_turn(ring->loop, true);
	assert_null(second.frame);
	link_close(link);
	assert_int_equal(first.n_down, 0);
}

static void close_rank(struct ring *ring, unsigned rank)
{
	fabric_close(ring->fabrics[rank]);
	ring->fabrics[rank] = NULL;
}

static void a_link_to_a_rank_that_leaves_before_it_connects_goes_down(void **state)
{
	struct ring *ring = *state;
	struct catcher catcher = { 0 };
	struct link *link = connect_ranks(ring, 0, 1, &catcher);

	close_rank(ring, 1);
	while (!catcher.n_down)
		loop_turn(ring->loop, true);
	link_close(link);
}

static void a_link_to_a_rank_that_has_left_goes_down(void **state)
{
	struct ring *ring = *state;
	struct catcher catcher = { 0 };
	struct link *link = NULL;
	struct error err;
	uint8_t copy[64];
	const void *address;
	size_t n_bytes;

	fabric_address(ring->fabrics[2], &address, &n_bytes);
	assert_true(n_bytes <= sizeof copy);
	memcpy(copy, address, n_bytes);
	close_rank(ring, 2);
	assert_int_equal(fabric_connect(ring->fabrics[0], 2, copy, n_bytes, &link_config, &events,
					&catcher, &link, &err), SC_OK);
	while (!catcher.n_down)
		loop_turn(ring->loop, true);
	link_close(link);
}

static void a_frame_may_be_released_after_everything_else_is_gone(void **state)
{
	struct ring *ring = *state;
	struct catcher first = { 0 }, second = { 0 };
	struct link *link = connect_ranks(ring, 0, 1, &first);

	(void)connect_ranks(ring, 1, 0, &second);
	assert_int_equal(link_send(link, frame_take(ring->pool, FRAME_STEP)), SC_OK);
	while (!second.frame)
		loop_turn(ring->loop, true);
	for (unsigned i = 0; i < 3; i++) {
		fabric_close(ring->fabrics[i]);
		ring->fabrics[i] = NULL;
	}
	loopback_hub_destroy(ring->hub);
	ring->hub = NULL;
	frame_release(second.frame);
}

/* The fabrics of an old and of a new epoch, with the same numbers. */
static void fabrics_of_two_epochs_do_not_meet(void **state)
{
	struct ring *old = *state;
	struct ring new = { .loop = old->loop, .hub = old->hub, .pool = old->pool };
	struct catcher olds[2] = { 0 }, news[2] = { 0 };
	struct link *link, *new_link;

	for (unsigned i = 0; i < 2; i++) {
		struct fabric_config config = config_of(i);
		struct error err;

		assert_int_equal(fabric_loopback_open(new.loop, new.hub, &config, &new.fabrics[i],
						      &err), SC_OK);
	}
	link = connect_ranks(old, 0, 1, &olds[0]);
	(void)connect_ranks(old, 1, 0, &olds[1]);
	new_link = connect_ranks(&new, 0, 1, &news[0]);
	(void)connect_ranks(&new, 1, 0, &news[1]);
	assert_int_equal(link_send(link, frame_take(old->pool, FRAME_STEP)), SC_OK);
	assert_int_equal(link_send(new_link, frame_take(old->pool, FRAME_TOKENS)), SC_OK);
	while (!olds[1].frame || !news[1].frame)
		loop_turn(old->loop, true);
	assert_int_equal(olds[1].frame->type, FRAME_STEP);
	assert_int_equal(news[1].frame->type, FRAME_TOKENS);
	frame_release(olds[1].frame);
	close_rank(old, 0);
	while (!olds[1].n_down)
		loop_turn(old->loop, true);
	assert_int_equal(news[1].n_down + news[0].n_down, 0);
	frame_release(news[1].frame);
	for (unsigned i = 0; i < 2; i++)
		fabric_close(new.fabrics[i]);
}

static void bad_numbers_are_refused(void **state)
{
	struct ring *ring = *state;
	struct loopback_port port = { ring->loop, ring->hub };
	const struct fabric_source source = loopback_source(&port);
	struct link_config link = { .max_payload = LINK_MAX_PAYLOAD + 1 };
	struct fabric_config config = config_of(3);
	struct catcher catcher = { 0 };
	struct fabric *fabric = NULL;
	struct link *made = NULL;
	struct error err = { .text = "" };
	const void *address;
	size_t n_bytes;

	assert_int_equal(fabric_open(&source, &config, &fabric, &err), SC_E_INVALID);
	assert_string_equal(err.text, "loopback: peer 3, expected a number below 3");
	assert_null(fabric);
	fabric_address(ring->fabrics[1], &address, &n_bytes);
	assert_int_equal(fabric_connect(ring->fabrics[0], 1, address, n_bytes, &link, &events,
					&catcher, &made, &err), SC_E_INVALID);
	link = (struct link_config){ .credits = LINK_MAX_CREDITS + 1 };
	assert_int_equal(fabric_connect(ring->fabrics[0], 1, address, n_bytes, &link, &events,
					&catcher, &made, &err), SC_E_INVALID);
	assert_null(made);
	assert_string_equal(fabric_name(ring->fabrics[1]), "loopback");
	fabric_close(NULL);
	link_close(NULL);
}

int main(void)
{
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, make_ring, drop_ring)
	const struct CMUnitTest tests[] = {
		RING_TEST(a_frame_goes_round_a_ring_without_being_copied),
		RING_TEST(nothing_is_sent_before_the_peer_has_connected),
		RING_TEST(an_end_that_comes_after_the_other_left_goes_down),
		RING_TEST(a_link_to_a_rank_that_leaves_before_it_connects_goes_down),
		RING_TEST(a_link_to_a_rank_that_has_left_goes_down),
		RING_TEST(a_frame_may_be_released_after_everything_else_is_gone),
		RING_TEST(fabrics_of_two_epochs_do_not_meet),
		RING_TEST(bad_numbers_are_refused),
	};
	int n_failed = cmocka_run_group_tests(tests, NULL, NULL);

	n_failed += run_suite("loopback on one loop", false);
	n_failed += run_suite("loopback on two threads", true);
	return n_failed != 0;
}
