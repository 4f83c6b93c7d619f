/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/serve_reply.h"

#include "base/integers.h"

#include <string.h>
#include <strings.h>

void reply_init(struct reply *reply, reply_event_fn *on_event, void *arg)
{
	*reply = (struct reply){ .on_event = on_event, .arg = arg };
	buf_init(&reply->line);
	buf_init(&reply->event_line);
	buf_init(&reply->data);
	reply_begin(reply);
}

void reply_deinit(struct reply *reply)
{
	buf_deinit(&reply->line);
	buf_deinit(&reply->event_line);
	buf_deinit(&reply->data);
}

static void expect_head(struct reply *reply)
{
	reply->state = REPLY_STATUS_LINE;
	reply->http_status = 0;
	reply->is_event_stream = false;
	reply->is_chunked = false;
	reply->has_length = false;
	reply->keeps_connection = true;
	reply->n_headers = 0;
	reply->n_left = 0;
	buf_truncate(&reply->line, 0);
}

void reply_begin(struct reply *reply)
{
	expect_head(reply);
	buf_truncate(&reply->event_line, 0);
	buf_truncate(&reply->data, 0);
	reply->has_begun = false;
	reply->has_data = false;
	reply->n_text = 0;
	reply->text[0] = '\0';
}

/* A line of the event stream, without its end. */
static enum sc_status take_event_line(struct reply *reply, struct error *err)
{
	struct buf *line = &reply->event_line;
	const char *value = line->data + 5;
	enum sc_status status = SC_OK;

	if (line->length && line->data[line->length - 1] == '\r')
		buf_truncate(line, line->length - 1);
	if (!line->length) {
		if (reply->has_data)
			status = reply->on_event(reply->arg, reply->data.data, reply->data.length,
						 err);
		reply->has_data = false;
		buf_truncate(&reply->data, 0);
		return status;
	}
	if (strncmp(line->data, "data:", 5) != 0)
		return SC_OK;	/* a comment, or a field that says nothing about tokens */
	value += *value == ' ';
	if (reply->has_data)
		status = buf_add(&reply->data, "\n", 1);
	if (status == SC_OK)
		status = buf_add(&reply->data, value,
				 line->length - (size_t)(value - line->data));
	if (status != SC_OK)
		return error_set(err, status, "out of memory");
	if (reply->data.length > REPLY_MAX_EVENT)
		return error_set(err, SC_E_TOO_LARGE, "an event has more than %u bytes",
				 REPLY_MAX_EVENT);
	reply->has_data = true;
	return SC_OK;
}

static enum sc_status take_events(struct reply *reply, const uint8_t *bytes, size_t n_bytes,
				  struct error *err)
{
	enum sc_status status = SC_OK;

	while (n_bytes && status == SC_OK) {
		const uint8_t *end = memchr(bytes, '\n', n_bytes);
		size_t n = end ? (size_t)(end - bytes) : n_bytes;

		if (reply->event_line.length + n > REPLY_MAX_EVENT)
			return error_set(err, SC_E_TOO_LARGE, "a line of an event has more than "
					 "%u bytes", REPLY_MAX_EVENT);
		if (buf_add(&reply->event_line, bytes, n) != SC_OK)
			return error_set(err, SC_E_NOMEM, "out of memory");
		if (!end)
			return SC_OK;
		status = take_event_line(reply, err);
		buf_truncate(&reply->event_line, 0);
		bytes += n + 1;
		n_bytes -= n + 1;
	}
	return status;
}

/* Of a body that is no event stream only the beginning is kept, to be shown to people. */
static enum sc_status take_body(struct reply *reply, const uint8_t *bytes, size_t n_bytes,
				struct error *err)
{
	size_t n = REPLY_MAX_TEXT - reply->n_text;

	if (reply->is_event_stream && reply->http_status == 200)
		return take_events(reply, bytes, n_bytes, err);
	if (n > n_bytes)
		n = n_bytes;
	memcpy(reply->text + reply->n_text, bytes, n);
	reply->n_text += n;
	reply->text[reply->n_text] = '\0';
	return SC_OK;
}

/* "HTTP/1.1 200 OK" */
static enum sc_status take_status_line(struct reply *reply, struct error *err)
{
	const char *line = reply->line.data;
	const char *digits = line + 9;

	if (reply->line.length < 12 || memcmp(line, "HTTP/1.1 ", 9) != 0 ||
	    digits[0] < '1' || digits[0] > '5' || digits[1] < '0' || digits[1] > '9' ||
	    digits[2] < '0' || digits[2] > '9' || (digits[3] != ' ' && digits[3] != '\0'))
		return error_set(err, SC_E_PROTOCOL, "expected \"HTTP/1.1\" and a status, found "
				 "\"%.40s\"", line);
	reply->http_status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + digits[2] - '0';
	reply->state = REPLY_HEADER;
	return SC_OK;
}

/* Digits of a base up to 16, nothing else; most: the largest value that counts. */
static bool parse_digits(const char *text, size_t n, unsigned base, uint64_t most,
			 uint64_t *value_out)
{
	uint64_t value = 0;

	if (!n)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned c = (unsigned char)text[i];
		unsigned digit = c >= '0' && c <= '9' ? c - '0' :
				 (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;

		if (digit >= base || value > (most - digit) / base)
			return false;
		value = value * base + digit;
	}
	*value_out = value;
	return true;
}

static enum sc_status take_length(struct reply *reply, const char *value, struct error *err)
{
	uint64_t n_bytes;

	if (!parse_digits(value, strlen(value), 10, INT64_MAX, &n_bytes) ||
	    (reply->has_length && n_bytes != reply->n_left))
		return error_set(err, SC_E_PROTOCOL, "Content-Length \"%.40s\" is no length",
				 value);
	reply->has_length = true;
	reply->n_left = n_bytes;
	return SC_OK;
}

/* Where the body ends, once the head is complete. */
static enum sc_status end_head(struct reply *reply, struct error *err)
{
	if (reply->http_status < 200) {
		if (reply->http_status == 101)
			return error_set(err, SC_E_PROTOCOL, "the server switches protocols");
		expect_head(reply);
		return SC_OK;
	}
	if (reply->is_chunked && reply->has_length)
		return error_set(err, SC_E_PROTOCOL,
				 "both Transfer-Encoding and Content-Length are given");
	if (reply->http_status == 204 || reply->http_status == 304)
		reply->state = REPLY_DONE;
	else if (reply->is_chunked)
		reply->state = REPLY_CHUNK_SIZE;
	else if (reply->has_length)
		reply->state = reply->n_left ? REPLY_BODY : REPLY_DONE;
	else
		reply->state = REPLY_BODY_TO_END;
	return SC_OK;
}

static enum sc_status take_header(struct reply *reply, struct error *err)
{
	char *name = reply->line.data;
	char *value = strchr(name, ':');

	if (!reply->line.length)
		return end_head(reply, err);
	if (++reply->n_headers > REPLY_MAX_HEADERS)
		return error_set(err, SC_E_TOO_LARGE, "more than %u headers", REPLY_MAX_HEADERS);
	if (!value || value == name || memchr(name, ' ', (size_t)(value - name)) ||
	    strlen(name) != reply->line.length)
		return error_set(err, SC_E_PROTOCOL, "\"%.40s\" is no header", name);
	*value++ = '\0';
	value += strspn(value, " \t");
	for (size_t n = strlen(value); n && strchr(" \t", value[n - 1]); n--)
		value[n - 1] = '\0';
	if (strcasecmp(name, "content-length") == 0)
		return take_length(reply, value, err);
	if (strcasecmp(name, "content-type") == 0)
		reply->is_event_stream = strncasecmp(value, "text/event-stream", 17) == 0;
	else if (strcasecmp(name, "connection") == 0)
		reply->keeps_connection = strcasecmp(value, "close") != 0;
	else if (strcasecmp(name, "transfer-encoding") != 0)
		return SC_OK;
	else if (reply->is_chunked || strcasecmp(value, "chunked") != 0)
		return error_set(err, SC_E_PROTOCOL, "Transfer-Encoding \"%.40s\" is not supported",
				 value);
	else
		reply->is_chunked = true;
	return SC_OK;
}

/* Hexadecimal digits, and perhaps an extension behind ";". */
static enum sc_status take_chunk_size(struct reply *reply, struct error *err)
{
	const char *line = reply->line.data;

	if (!parse_digits(line, strcspn(line, "; \t"), 16, REPLY_MAX_CHUNK, &reply->n_left))
		return error_set(err, SC_E_PROTOCOL, "\"%.40s\" is no size of a chunk up to %llu",
				 line, (unsigned long long)REPLY_MAX_CHUNK);
	reply->state = reply->n_left ? REPLY_CHUNK : REPLY_TRAILER;
	return SC_OK;
}

static enum sc_status take_line(struct reply *reply, struct error *err)
{
	switch (reply->state) {
	case REPLY_STATUS_LINE:
		return take_status_line(reply, err);
	case REPLY_HEADER:
		return take_header(reply, err);
	case REPLY_CHUNK_SIZE:
		return take_chunk_size(reply, err);
	case REPLY_CHUNK_END:
		if (reply->line.length)
			return error_set(err, SC_E_PROTOCOL, "a chunk is longer than its size");
		reply->state = REPLY_CHUNK_SIZE;
		return SC_OK;
	case REPLY_TRAILER:
		if (++reply->n_headers > REPLY_MAX_HEADERS)
			return error_set(err, SC_E_TOO_LARGE, "more than %u headers",
					 REPLY_MAX_HEADERS);
		if (!reply->line.length)
			reply->state = REPLY_DONE;
		return SC_OK;
	default:
		return SC_OK;
	}
}

/* Bytes up to the end of a line, which is CR and LF. */
static enum sc_status feed_line(struct reply *reply, const uint8_t **bytes, size_t *n_bytes,
				struct error *err)
{
	const uint8_t *end = memchr(*bytes, '\n', *n_bytes);
	size_t n = end ? (size_t)(end - *bytes) + 1 : *n_bytes;
	struct buf *line = &reply->line;
	enum sc_status status;

	if (line->length + n > REPLY_MAX_LINE)
		return error_set(err, SC_E_TOO_LARGE, "a line of the head has more than %u bytes",
				 REPLY_MAX_LINE);
	if (buf_add(line, *bytes, n) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory");
	*bytes += n;
	*n_bytes -= n;
	if (!end)
		return SC_OK;
	if (line->length < 2 || line->data[line->length - 2] != '\r')
		return error_set(err, SC_E_PROTOCOL, "a line of the head does not end in CR LF");
	buf_truncate(line, line->length - 2);
	status = take_line(reply, err);
	buf_truncate(line, 0);
	return status;
}

static enum sc_status feed_body(struct reply *reply, const uint8_t **bytes, size_t *n_bytes,
				struct error *err)
{
	bool is_bounded = reply->state != REPLY_BODY_TO_END;
	size_t n = is_bounded && reply->n_left < *n_bytes ? (size_t)reply->n_left : *n_bytes;
	enum sc_status status = take_body(reply, *bytes, n, err);

	*bytes += n;
	*n_bytes -= n;
	if (!is_bounded)
		return status;
	reply->n_left -= n;
	if (!reply->n_left)
		reply->state = reply->state == REPLY_CHUNK ? REPLY_CHUNK_END : REPLY_DONE;
	return status;
}

enum sc_status reply_feed(struct reply *reply, const uint8_t **bytes, size_t *n_bytes,
			  struct error *err)
{
	enum sc_status status = SC_OK;

	while (reply->state != REPLY_DONE && *n_bytes && status == SC_OK) {
		reply->has_begun = true;
		if (reply->state == REPLY_BODY || reply->state == REPLY_CHUNK ||
		    reply->state == REPLY_BODY_TO_END)
			status = feed_body(reply, bytes, n_bytes, err);
		else
			status = feed_line(reply, bytes, n_bytes, err);
	}
	if (status != SC_OK)
		return status;
	return reply->state == REPLY_DONE ? SC_OK : SC_AGAIN;
}

enum sc_status reply_close(struct reply *reply, struct error *err)
{
	if (reply->state == REPLY_BODY_TO_END) {
		reply->state = REPLY_DONE;
		reply->keeps_connection = false;
	}
	if (reply->state == REPLY_DONE)
		return SC_OK;
	if (reply->state == REPLY_STATUS_LINE && reply->line.length &&
	    memcmp(reply->line.data, "HTTP/1.1 ", min_of(reply->line.length, 9)) != 0)
		return error_set(err, SC_E_PROTOCOL, "what answers there is no HTTP/1.1 server");
	return error_set(err, SC_E_CLOSED, "the server closed the connection %s",
			 reply->has_begun ? "in the middle of its response" :
			 "without a response");
}
