/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_head.h"

#include "http/http_target.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* More digits than this are no length of anything. */
#define MAX_LENGTH_DIGITS 18

enum sc_status http_fault_set(struct http_fault *fault, unsigned status, const char *format, ...)
{
	va_list args;

	fault->status = status;
	va_start(args, format);
	vsnprintf(fault->text, sizeof fault->text, format, args);
	va_end(args);
	return SC_E_INVALID;
}

void http_head_init(struct http_head *head)
{
	memset(head, 0, sizeof *head);
	buf_init(&head->text);
}

void http_head_deinit(struct http_head *head)
{
	buf_deinit(&head->text);
	http_head_init(head);
}

/* --- characters (RFC 9110, 5.6.2) --- */

static bool is_token_char(unsigned char c)
{
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
		return true;
	if (c >= '0' && c <= '9')
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c);
}

static size_t token_length(const char *text)
{
	size_t n = 0;

	while (is_token_char((unsigned char)text[n]))
		n++;
	return n;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* --- the request line --- */

static enum http_method method_of(const char *name)
{
	static const struct { const char *name; enum http_method method; } methods[] = {
		{ "GET", HTTP_GET }, { "HEAD", HTTP_HEAD }, { "POST", HTTP_POST },
		{ "PUT", HTTP_PUT }, { "DELETE", HTTP_DELETE }, { "OPTIONS", HTTP_OPTIONS },
	};

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (!strcmp(name, methods[i].name))
			return methods[i].method;
	return HTTP_OTHER;
}

static enum sc_status parse_version(struct http_head *head, const char *version,
				    struct http_fault *fault)
{
	if (strncmp(version, "HTTP/", 5) || version[5] < '0' || version[5] > '9' ||
	    version[6] != '.' || version[7] < '0' || version[7] > '9' || version[8])
		return http_fault_set(fault, 400, "the request line does not end with a version: "
				      "expected METHOD TARGET HTTP/1.1");
	if (version[5] != '1')
		return http_fault_set(fault, 505, "this server speaks HTTP/1.1, HTTP/1.0 and, with "
				      "its own preface, HTTP/2: not HTTP/%c.%c", version[5],
				      version[7]);
	head->minor = version[7] != '0';
	return SC_OK;
}

/* line is a string without its end. */
static enum sc_status parse_request_line(struct http_head *head, char *line,
					 struct http_fault *fault)
{
	const size_t n_method = token_length(line);
	struct http_target parts;
	char *target, *version;

	if (!n_method || line[n_method] != ' ')
		return http_fault_set(fault, 400, "the request line does not begin with a method: "
				      "expected METHOD TARGET HTTP/1.1");
	target = line + n_method + 1;
	version = strchr(target, ' ');
	if (!version || version == target)
		return http_fault_set(fault, 400, "the request line does not have three parts: "
				      "expected METHOD TARGET HTTP/1.1");
	line[n_method] = '\0';
	*version++ = '\0';
	if (parse_version(head, version, fault) != SC_OK ||
	    http_target_parse(target, &parts, fault) != SC_OK)
		return SC_E_INVALID;
	head->method = method_of(line);
	if (!strcmp(parts.path, "*") && head->method != HTTP_OPTIONS)
		return http_fault_set(fault, 400, "the target * is for OPTIONS only");
	head->method_at = (uint32_t)(line - head->text.data);
	head->path_at = (uint32_t)(parts.path - head->text.data);
	if (parts.authority)
		head->authority_at = (uint32_t)(parts.authority - head->text.data);
	head->query_at = parts.query[0] ? (uint32_t)(parts.query - head->text.data) : 0;
	head->has_request_line = true;
	return SC_OK;
}

/* --- fields --- */

static char *value_of(const struct http_head *head, const struct http_field *field)
{
	return head->text.data + field->value;
}

static void lower(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] >= 'A' && text[i] <= 'Z')
			text[i] |= 0x20;
}

/* line is a string without its end. Splits it into name and value in place. */
static enum sc_status parse_field(struct http_head *head, char *line, struct http_fault *fault)
{
	const size_t n_name = token_length(line);
	char *value = line + n_name + 1, *end;

	if (is_space(line[0]))
		return http_fault_set(fault, 400, "a header line begins with white space: header "
				      "lines must not be folded");
	if (!n_name || line[n_name] != ':')
		return http_fault_set(fault, 400, "header line %u is not NAME: VALUE",
				      head->n_fields + 1);
	if (head->n_fields == HTTP_MAX_FIELDS)
		return http_fault_set(fault, 431, "the request has more than %d header lines",
				      HTTP_MAX_FIELDS);
	line[n_name] = '\0';
	lower(line, n_name);
	while (is_space(*value))
		value++;
	end = value + strlen(value);
	while (end > value && is_space(end[-1]))
		end--;
	*end = '\0';
	head->fields[head->n_fields++] = (struct http_field){
		.name = (uint32_t)(line - head->text.data),
		.value = (uint32_t)(value - head->text.data),
	};
	return SC_OK;
}

static bool is_named(const struct http_head *head, unsigned i, const char *name)
{
	return !strcmp(head->text.data + head->fields[i].name, name);
}

const char *http_head_value(const struct http_head *head, const char *name)
{
	for (unsigned i = 0; i < head->n_fields; i++)
		if (is_named(head, i, name))
			return value_of(head, &head->fields[i]);
	return NULL;
}

static unsigned count(const struct http_head *head, const char *name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < head->n_fields; i++)
		n += is_named(head, i, name);
	return n;
}

/* Joins the values of later fields that have the name of field i to its value. */
static enum sc_status join_field(struct http_head *head, unsigned i)
{
	struct buf *text = &head->text;
	const char *name = text->data + head->fields[i].name;
	const uint32_t begin = (uint32_t)text->length;
	size_t n = strlen(value_of(head, &head->fields[i])) + 1;

	if (count(head, name) == 1)
		return SC_OK;
	for (unsigned k = i + 1; k < head->n_fields; k++)
		if (is_named(head, k, name))
			n += strlen(value_of(head, &head->fields[k])) + 2;
	if (buf_reserve(text, n) != SC_OK)
		return SC_E_NOMEM;
	name = text->data + head->fields[i].name;
	for (unsigned k = i; k < head->n_fields; k++) {
		if (!is_named(head, k, name))
			continue;
		if (k != i && buf_add_string(text, ", ") != SC_OK)
			return SC_E_NOMEM;
		if (buf_add_string(text, value_of(head, &head->fields[k])) != SC_OK)
			return SC_E_NOMEM;
	}
	head->fields[i].value = begin;
	return buf_add(text, "", 1);
}

/* Each name is joined where it comes first, and found there. */
static enum sc_status join_fields(struct http_head *head)
{
	for (unsigned i = 0; i < head->n_fields; i++) {
		unsigned first = 0;

		while (!is_named(head, first, head->text.data + head->fields[i].name))
			first++;
		if (first == i && join_field(head, i) != SC_OK)
			return SC_E_NOMEM;
	}
	return SC_OK;
}

/* --- what the fields mean --- */

static enum sc_status parse_length(struct http_head *head, struct http_fault *fault)
{
	const char *value = http_head_value(head, "content-length");
	size_t n_digits;

	if (!value)
		return SC_OK;
	n_digits = strspn(value, "0123456789");
	if (count(head, "content-length") > 1)
		return http_fault_set(fault, 400, "the request has more than one Content-Length");
	if (!n_digits || value[n_digits])
		return http_fault_set(fault, 400, "Content-Length is not a decimal number");
	if (n_digits > MAX_LENGTH_DIGITS)
		return http_fault_set(fault, 413, "Content-Length has more than %d digits",
				      MAX_LENGTH_DIGITS);
	for (size_t i = 0; i < n_digits; i++)
		head->n_body = 10 * head->n_body + (uint64_t)(value[i] - '0');
	head->has_length = true;
	return SC_OK;
}

static enum sc_status parse_coding(struct http_head *head, struct http_fault *fault)
{
	const char *value = http_head_value(head, "transfer-encoding");

	if (!value)
		return SC_OK;
	if (head->has_length)
		return http_fault_set(fault, 400, "the request has both Content-Length and "
				      "Transfer-Encoding");
	if (!head->minor)
		return http_fault_set(fault, 400, "HTTP/1.0 has no Transfer-Encoding: send "
				      "Content-Length or HTTP/1.1");
	if (strcasecmp(value, "chunked") || count(head, "transfer-encoding") > 1)
		return http_fault_set(fault, 501, "the only Transfer-Encoding of this server is "
				      "chunked, given once");
	head->is_chunked = true;
	return SC_OK;
}

/* Returns true if the comma-separated list holds the word. */
static bool lists(const char *list, const char *word)
{
	const size_t n = strlen(word);

	while (list && *list) {
		list += strspn(list, ", \t");
		if (!strncasecmp(list, word, n) && (!list[n] || strchr(", \t", list[n])))
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

/* The host of a target that is an address counts, whatever Host says (RFC 9112, 3.2.2). */
static void prefer_authority(struct http_head *head)
{
	for (unsigned i = 0; head->authority_at && i < head->n_fields; i++)
		if (is_named(head, i, "host"))
			head->fields[i].value = head->authority_at;
}

static enum sc_status finish(struct http_head *head, struct http_fault *fault)
{
	const unsigned n_hosts = count(head, "host");
	const char *connection, *expect;

	/* Without a host, a proxy and this server may think of different ones. */
	if (n_hosts > 1 || (!n_hosts && head->minor))
		return http_fault_set(fault, 400, "expected one Host header, found %u", n_hosts);
	if (parse_length(head, fault) != SC_OK || parse_coding(head, fault) != SC_OK)
		return SC_E_INVALID;
	prefer_authority(head);
	if (join_fields(head) != SC_OK)
		return SC_E_NOMEM;
	connection = http_head_value(head, "connection");
	head->is_persistent = head->minor ? !lists(connection, "close") :
					    lists(connection, "keep-alive");
	expect = http_head_value(head, "expect");
	if (expect && head->minor) {
		head->expects_continue = !strcasecmp(expect, "100-continue");
		head->has_other_expectation = !head->expects_continue;
	}
	return SC_OK;
}

/* --- lines --- */

/* The line is complete, CR LF included. Returns SC_OK after the last one, else SC_AGAIN. */
static enum sc_status end_line(struct http_head *head, struct http_fault *fault)
{
	char *line = head->text.data + head->line_at;
	const size_t n = head->text.length - head->line_at;
	enum sc_status status;

	if (n < 2 || line[n - 2] != '\r')
		return http_fault_set(fault, 400, "a line of the head ends with LF alone, expected "
				      "CR LF");
	line[n - 2] = '\0';
	for (size_t i = 0; i < n - 2; i++)
		if ((unsigned char)line[i] < ' ' ? line[i] != '\t' : line[i] == 0x7f)
			return http_fault_set(fault, 400, "the head has the control character "
					      "0x%02x", (unsigned char)line[i]);
	head->line_at = (uint32_t)head->text.length;
	if (n == 2 && head->has_request_line)
		return finish(head, fault);
	status = head->has_request_line ? parse_field(head, line, fault) :
					  parse_request_line(head, line, fault);
	return status == SC_OK ? SC_AGAIN : status;
}

static enum sc_status check_size(const struct http_head *head, struct http_fault *fault)
{
	if (!head->has_request_line && head->n_bytes > HTTP_MAX_REQUEST_LINE)
		return http_fault_set(fault, 414, "the request line has more than %d bytes",
				      HTTP_MAX_REQUEST_LINE);
	if (head->n_bytes > HTTP_MAX_HEAD)
		return http_fault_set(fault, 431, "the request's head has more than %d bytes",
				      HTTP_MAX_HEAD);
	return SC_OK;
}

/* Takes n bytes, at most one line. */
static enum sc_status take(struct http_head *head, const uint8_t *bytes, size_t n,
			   struct http_fault *fault)
{
	head->n_bytes += n;
	if (check_size(head, fault) != SC_OK)
		return SC_E_INVALID;
	if (buf_add(&head->text, bytes, n) != SC_OK)
		return SC_E_NOMEM;
	return bytes[n - 1] == '\n' ? end_line(head, fault) : SC_AGAIN;
}

enum sc_status http_head_feed(struct http_head *head, const uint8_t **bytes, size_t *n_bytes,
			      struct http_fault *fault)
{
	enum sc_status status = SC_AGAIN;

	while (*n_bytes && status == SC_AGAIN) {
		const uint8_t *end = memchr(*bytes, '\n', *n_bytes);
		const size_t n = end ? (size_t)(end - *bytes) + 1 : *n_bytes;

		status = take(head, *bytes, n, fault);
		*bytes += n;
		*n_bytes -= n;
	}
	return status;
}

/* --- what was read --- */

static const char *string_at(const struct http_head *head, uint32_t at)
{
	return head->has_request_line ? head->text.data + at : "";
}

const char *http_head_method(const struct http_head *head)
{
	return string_at(head, head->method_at);
}

const char *http_head_path(const struct http_head *head)
{
	return string_at(head, head->path_at);
}

const char *http_head_query(const struct http_head *head)
{
	return head->query_at ? string_at(head, head->query_at) : "";
}
