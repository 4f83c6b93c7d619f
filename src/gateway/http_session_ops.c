/* SPDX-License-Identifier: Apache-2.0 */
/* The session of a connection that speaks HTTP/1. */
#include "gateway/http_session_ops.h"

#include "http/http_session.h"

static enum sc_status receive(void *self, const void *bytes, size_t n_bytes, uint64_t now_ns,
			      struct error *err)
{
	return http_session_receive(self, bytes, n_bytes, now_ns, err);
}

static enum sc_status send(void *self, uint64_t now_ns, const uint8_t **bytes_out,
			   size_t *n_bytes_out, struct error *err)
{
	return http_session_send(self, now_ns, bytes_out, n_bytes_out, err);
}

static bool wants_input(const void *self)
{
	return http_session_wants_input(self);
}

static uint64_t deadline_ns(void *self)
{
	return http_session_deadline_ns(self);
}

static void expire(void *self, uint64_t now_ns)
{
	http_session_expire(self, now_ns);
}

static bool is_established(const void *self)
{
	return http_session_is_established(self);
}

static uint64_t idle_since_ns(const void *self)
{
	return http_session_idle_since_ns(self);
}

static bool is_done(const void *self)
{
	return http_session_is_done(self);
}

static void announce_end(void *self)
{
	http_session_announce_end(self);
}

static void refuse_calls(void *self)
{
	http_session_refuse_calls(self);
}

static void end_calls(void *self, const char *text)
{
	http_session_end_calls(self, text);
}

static void destroy(void *self)
{
	http_session_destroy(self);
}

const struct session_ops http_session_ops = {
	.receive = receive,
	.wants_input = wants_input,
	.send = send,
	.deadline_ns = deadline_ns,
	.expire = expire,
	.is_established = is_established,
	.idle_since_ns = idle_since_ns,
	.is_done = is_done,
	.announce_end = announce_end,
	.refuse_calls = refuse_calls,
	.end_calls = end_calls,
	.destroy = destroy,
};
