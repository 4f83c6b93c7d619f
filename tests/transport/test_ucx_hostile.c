/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer that speaks UCX but not our protocol: each thing that it must not send ends the link
 * with a reason, or is dropped, and nothing else happens.
 */
#include "base/bytes.h"
#include "base/clock.h"
#include "transport/envelope.h"
#include "transport/fabrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucp/api/ucp.h>
#include <cmocka.h>

#define CREDITS 2
#define MAX_PAYLOAD 1000
#define PEER_LINK UINT64_C(0x471100000001)
#define AM_ID 1

struct hostile {
	struct loop *loop;
	struct ucx_port *port;
	struct fabric *fabric;
	struct link *link;
	unsigned n_frames;
	unsigned n_down;
	enum sc_status status;
	char why[256];
	ucp_context_h context;	/* the peer's side, bare */
	ucp_worker_h worker;
	ucp_ep_h ep;
	uint64_t our_link;	/* as our hello told it */
};

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	(void)link;
	((struct hostile *)arg)->n_frames++;
	frame_release(frame);
}

static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	struct hostile *h = arg;

	(void)link;
	h->n_down++;
	h->status = status;
	snprintf(h->why, sizeof h->why, "%s", why);
}

static const struct link_config link_config = { .max_payload = MAX_PAYLOAD, .credits = CREDITS };
static const struct link_events events = { .on_frame = on_frame, .on_down = on_down };

static ucs_status_t on_message(void *arg, const void *header, size_t n_header, void *data,
			       size_t n_bytes, const ucp_am_recv_param_t *param)
{
	struct hostile *h = arg;
	struct envelope envelope;

	(void)data;
	(void)n_bytes;
	(void)param;
	if (envelope_decode(header, n_header, &envelope, NULL) == SC_OK)
		h->our_link = envelope.from;
	return UCS_OK;
}

static void open_bare_worker(struct hostile *h)
{
	const ucp_params_t params = {
		.field_mask = UCP_PARAM_FIELD_FEATURES,
		.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP,
	};
	const ucp_worker_params_t worker_params = { .field_mask = 0 };
	const ucp_am_handler_param_t handler = {
		.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB |
			      UCP_AM_HANDLER_PARAM_FIELD_ARG,
		.id = AM_ID,
		.cb = on_message,
		.arg = h,
	};

	assert_int_equal(ucp_init(&params, NULL, &h->context), UCS_OK);
	assert_int_equal(ucp_worker_create(h->context, &worker_params, &h->worker), UCS_OK);
	assert_int_equal(ucp_worker_set_am_recv_handler(h->worker, &handler), UCS_OK);
}

static void connect_bare_worker(struct hostile *h)
{
	ucp_ep_params_t params = {
		.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS |
			      UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE,
		.err_mode = UCP_ERR_HANDLING_MODE_PEER,
	};
	struct fabric_address decoded;
	const void *address;
	size_t n_bytes;

	fabric_address(h->fabric, &address, &n_bytes);
	assert_int_equal(address_decode(address, n_bytes, "ucx ", 0, &decoded, NULL), SC_OK);
	params.address = decoded.native;
	assert_int_equal(ucp_ep_create(h->worker, &params, &h->ep), UCS_OK);
}

static void connect_to_bare_worker(struct hostile *h)
{
	struct fabric_address address = {
		.transport = "ucx ",
		.peer = 1,
		.id = PEER_LINK & ~UINT64_C(0xffffffff),
	};
	ucp_address_t *native;
	size_t n_native, n_bytes;
	uint8_t *bytes;

	assert_int_equal(ucp_worker_get_address(h->worker, &native, &n_native), UCS_OK);
	address.native = native;
	address.n_native = (uint32_t)n_native;
	assert_int_equal(address_encode(&address, &bytes, &n_bytes), SC_OK);
	assert_int_equal(fabric_connect(h->fabric, 1, bytes, n_bytes, &link_config, &events, h,
					&h->link, NULL), SC_OK);
	ucp_worker_release_address(h->worker, native);
	free(bytes);
}

static void turn(struct hostile *h)
{
	loop_turn(h->loop, false);
	ucp_worker_progress(h->worker);
}

static void settle(struct hostile *h)
{
	uint64_t end_ns = clock_ns() + 50 * NS_PER_MS;

	while (clock_ns() < end_ns)
		turn(h);
}

/* n_header bytes as header, n_bytes as data, and wait until they are sent. */
static void send_raw(struct hostile *h, const void *header, size_t n_header, const void *data,
		     size_t n_bytes, unsigned flags)
{
	const ucp_request_param_t param = {
		.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
		.flags = flags,
	};
	ucs_status_ptr_t request = ucp_am_send_nbx(h->ep, AM_ID, header, n_header, data, n_bytes,
						   &param);

	assert_false(UCS_PTR_IS_ERR(request));
	while (request && ucp_request_check_status(request) == UCS_INPROGRESS)
		turn(h);
	if (request)
		ucp_request_free(request);
}

static void send_message(struct hostile *h, enum envelope_kind kind, uint64_t sequence,
			 uint32_t credits, const void *data, size_t n_bytes)
{
	const struct envelope envelope = {
		.kind = kind,
		.peer = 1,
		.credits = credits,
		.from = PEER_LINK,
		.to = h->our_link,
		.sequence = sequence,
	};
	uint8_t header[ENVELOPE_BYTES];

	envelope_encode(&envelope, header);
	send_raw(h, header, sizeof header, data, n_bytes, 0);
}

static void begin(struct hostile *h)
{
	const struct fabric_config config = { .self = 0, .n_peers = 2 };
	struct error err;

	memset(h, 0, sizeof *h);
	assert_int_equal(loop_create(&h->loop), SC_OK);
	assert_int_equal(ucx_port_open(h->loop, &h->port, &err), SC_OK);
	assert_int_equal(fabric_ucx_open(h->port, &config, &h->fabric, &err), SC_OK);
	open_bare_worker(h);
	connect_bare_worker(h);
	connect_to_bare_worker(h);
	while (!h->our_link)
		turn(h);
	send_message(h, ENVELOPE_HELLO, 0, CREDITS, NULL, 0);
	settle(h);
	assert_int_equal(h->n_down, 0);
}

static void finish(struct hostile *h)
{
	const ucp_request_param_t force = {
		.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
		.flags = UCP_EP_CLOSE_FLAG_FORCE,
	};
	ucs_status_ptr_t request;

	fabric_close(h->fabric);
	request = ucp_ep_close_nbx(h->ep, &force);
	while (UCS_PTR_IS_PTR(request) && ucp_request_check_status(request) == UCS_INPROGRESS)
		ucp_worker_progress(h->worker);
	if (UCS_PTR_IS_PTR(request))
		ucp_request_free(request);
	ucp_worker_destroy(h->worker);
	ucp_cleanup(h->context);
	ucx_port_close(h->port);
	loop_destroy(h->loop);
}

static struct frame *sealed_frame(struct frame_pool **pool_out, uint64_t sequence,
				  uint32_t n_bytes)
{
	struct frame *frame;

	assert_int_equal(frame_pool_create(1, 4 * MAX_PAYLOAD, pool_out), SC_OK);
	frame = frame_take(*pool_out, FRAME_STEP);
	frame->sequence = sequence;
	frame->n_bytes = n_bytes;
	frame_seal(frame);
	return frame;
}

static void send_frame(struct hostile *h, uint64_t number, uint64_t sealed, uint32_t n_bytes,
		       size_t n_total)
{
	struct frame_pool *pool;
	struct frame *frame = sealed_frame(&pool, sealed, n_bytes);

	send_message(h, ENVELOPE_FRAME, number, 0, frame->data, n_total);
	settle(h);
	frame_release(frame);
	frame_pool_destroy(pool);
}

static void expect_end(struct hostile *h, const char *reason)
{
	assert_int_equal(h->n_down, 1);
	assert_int_equal(h->status, SC_E_PROTOCOL);
	if (!strstr(h->why, reason))
		fail_msg("\"%s\" does not tell \"%s\"", h->why, reason);
}

static void a_good_frame_arrives(void **state)
{
	struct hostile h;

	(void)state;
	begin(&h);
	send_frame(&h, 1, 1, 100, FRAME_HEADER_BYTES + 100);
	assert_int_equal(h.n_frames, 1);
	assert_int_equal(h.n_down, 0);
	finish(&h);
}

static void messages_that_are_not_ours_are_dropped(void **state)
{
	static const char junk[200] = "what is this";
	uint8_t header[ENVELOPE_BYTES];
	struct envelope envelope = { .kind = ENVELOPE_FRAME, .peer = 7, .from = 1, .to = 2 };
	struct hostile h;

	(void)state;
	begin(&h);
	send_raw(&h, junk, 1, NULL, 0, 0);
	send_raw(&h, junk, ENVELOPE_BYTES, junk, sizeof junk, 0);
	send_raw(&h, junk, sizeof junk, junk, sizeof junk, UCP_AM_SEND_FLAG_RNDV);
	envelope_encode(&envelope, header);
	send_raw(&h, header, sizeof header, junk, sizeof junk, 0);
	envelope.peer = 1;
	envelope_encode(&envelope, header);
	send_raw(&h, header, sizeof header, junk, sizeof junk, UCP_AM_SEND_FLAG_RNDV);
	settle(&h);
	assert_int_equal(h.n_down, 0);
	send_frame(&h, 1, 1, 100, FRAME_HEADER_BYTES + 100);
	assert_int_equal(h.n_frames, 1);
	finish(&h);
}

static void bad_frames_end_the_link(void **state)
{
	static const struct {
		uint64_t number, sealed;
		uint32_t n_bytes;
		size_t n_total;
		const char *reason;
	} bad[] = {
		{ 1, 1, 100, FRAME_HEADER_BYTES - 1, "63 bytes" },
		{ 1, 1, 100, 0, "0 bytes" },
		{ 1, 1, 100, FRAME_HEADER_BYTES + MAX_PAYLOAD + 1, "expected 64 to 1064" },
		{ 1, 1, 100, FRAME_HEADER_BYTES + 99, "" },
		{ 1, 2, 100, FRAME_HEADER_BYTES + 100, "frame number 2 arrived in place of number "
		"1" },
		{ 0, 0, 100, FRAME_HEADER_BYTES + 100, "frame number 0 after 0" },
		{ 3, 3, 100, FRAME_HEADER_BYTES + 100, "frame number 3 after 0" },
		{ UINT64_MAX, UINT64_MAX, 0, FRAME_HEADER_BYTES, "after 0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct hostile h;

		begin(&h);
		send_frame(&h, bad[i].number, bad[i].sealed, bad[i].n_bytes, bad[i].n_total);
		expect_end(&h, bad[i].reason);
		assert_int_equal(h.n_frames, 0);
		finish(&h);
	}
}

static void credits_that_were_never_used_end_the_link(void **state)
{
	struct hostile h;

	(void)state;
	begin(&h);
	send_message(&h, ENVELOPE_CREDIT, 0, 1, NULL, 0);
	settle(&h);
	expect_end(&h, "the peer returned 1 credits, but only 0 were in use");
	finish(&h);
}

static void a_repeated_frame_ends_the_link(void **state)
{
	struct hostile h;

	(void)state;
	begin(&h);
	send_frame(&h, 1, 1, 100, FRAME_HEADER_BYTES + 100);
	send_frame(&h, 1, 1, 100, FRAME_HEADER_BYTES + 100);
	assert_int_equal(h.n_frames, 1);
	expect_end(&h, "frame number 1 after 1");
	finish(&h);
}

/* Such a frame could still be under way when the link is over and its memory gone. */
static void a_frame_behind_the_goodbye_ends_the_link(void **state)
{
	struct hostile h;

	(void)state;
	begin(&h);
	send_message(&h, ENVELOPE_GOODBYE, 1, 0, NULL, 0);
	send_frame(&h, 2, 2, 100, FRAME_HEADER_BYTES + 100);
	expect_end(&h, "frame number 2 after a goodbye at 1");
	assert_int_equal(h.n_frames, 0);
	finish(&h);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_frame_arrives),
		cmocka_unit_test(messages_that_are_not_ours_are_dropped),
		cmocka_unit_test(bad_frames_end_the_link),
		cmocka_unit_test(credits_that_were_never_used_end_the_link),
		cmocka_unit_test(a_repeated_frame_ends_the_link),
		cmocka_unit_test(a_frame_behind_the_goodbye_ends_the_link),
	};

	(void)argc;
	ucx_env_prepare(argv);
	setenv("UCX_TLS", "posix,self", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
