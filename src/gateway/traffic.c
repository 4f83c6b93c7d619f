/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/traffic.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* What a client asked for that this server does not have. */
static const char no_handler[] = "none";

/* --- counting --- */

static struct traffic_row *find_row(struct traffic *traffic, const char *handler,
				    const char *method, unsigned code)
{
	for (unsigned i = 0; i < traffic->n_rows; i++) {
		struct traffic_row *row = &traffic->rows[i];

		if (row->handler == handler && row->method == method && row->code == code)
			return row;
	}
	return NULL;
}

static void count(struct traffic *traffic, const char *handler, const char *method, unsigned code)
{
	struct traffic_row *row = find_row(traffic, handler, method, code);

	if (!row && traffic->n_rows < TRAFFIC_MAX_ROWS) {
		row = &traffic->rows[traffic->n_rows++];
		*row = (struct traffic_row){ .handler = handler, .method = method, .code = code };
	}
	if (row)
		row->n++;
}

static const char *method_name(enum http_method method)
{
	switch (method) {
	case HTTP_GET: return "GET";
	case HTTP_HEAD: return "HEAD";
	case HTTP_POST: return "POST";
	case HTTP_PUT: return "PUT";
	case HTTP_DELETE: return "DELETE";
	case HTTP_OPTIONS: return "OPTIONS";
	default: return "other";
	}
}

/* --- the access log --- */

enum { MAX_FIELDS = 16 };

struct entry {
	struct log_field fields[MAX_FIELDS];
	size_t n;
};

static void add_text(struct entry *entry, const char *name, const char *text)
{
	if (text && *text)
		entry->fields[entry->n++] = (struct log_field){ .name = name, .text = text };
}

static void add_number(struct entry *entry, const char *name, double number)
{
	entry->fields[entry->n++] = (struct log_field){ .name = name, .number = number };
}

static void add_cost(struct entry *entry, uint64_t n_bytes_in, uint64_t n_bytes_out,
		     uint64_t begin_ns, uint64_t end_ns)
{
	add_number(entry, "bytes_in", (double)n_bytes_in);
	add_number(entry, "bytes_out", (double)n_bytes_out);
	add_number(entry, "seconds", end_ns > begin_ns ? clock_seconds(end_ns - begin_ns) : 0.0);
}

static void log_entry(const struct entry *entry, const char *id, const char *trace_id)
{
	log_set_request(id, trace_id);
	log_write_fields(LOG_LEVEL_INFO, entry->fields, entry->n, "access");
	log_set_request(NULL, NULL);
}

static void log_http(const struct http_log *record)
{
	struct entry entry = { .n = 0 };

	add_text(&entry, "protocol", "HTTP/1");
	add_text(&entry, "peer", record->peer);
	add_text(&entry, "key", record->key_name);
	add_text(&entry, "method", http_head_method(record->head));
	add_text(&entry, "path", http_head_path(record->head));
	add_number(&entry, "status", record->status);
	add_cost(&entry, record->n_bytes_in, record->n_bytes_out, record->begin_ns,
		 record->end_ns);
	if (record->n_prompt_tokens || record->n_output_tokens) {
		add_number(&entry, "prompt_tokens", (double)record->n_prompt_tokens);
		add_number(&entry, "output_tokens", (double)record->n_output_tokens);
	}
	if (!record->is_complete)
		add_text(&entry, "ended", "early");
	log_entry(&entry, record->id, record->trace_id);
}

void traffic_note_http(struct traffic *traffic, const struct http_log *record)
{
	count(traffic, record->route ? record->route->path : no_handler,
	      method_name(record->head->method), record->status / 100);
	traffic->received_bytes += record->n_bytes_in;
	traffic->sent_bytes += record->n_bytes_out;
	if (traffic->is_logged)
		log_http(record);
}

static void log_grpc(const struct grpc_log *record)
{
	struct entry entry = { .n = 0 };

	add_text(&entry, "protocol", "gRPC");
	add_text(&entry, "peer", record->peer);
	add_text(&entry, "key", record->key_name);
	add_text(&entry, "path", record->path ? record->path : no_handler);
	add_text(&entry, "status", grpc_status_name(record->status));
	add_cost(&entry, record->n_bytes_in, record->n_bytes_out, record->begin_ns,
		 record->end_ns);
	log_entry(&entry, record->id, record->trace_id);
}

void traffic_note_grpc(struct traffic *traffic, const struct grpc_log *record)
{
	count(traffic, record->path ? record->path : no_handler, NULL, record->status);
	traffic->received_bytes += record->n_bytes_in;
	traffic->sent_bytes += record->n_bytes_out;
	if (traffic->is_logged)
		log_grpc(record);
}

/* --- metrics --- */

static enum sc_status add_labels(const struct traffic_row *row, struct buf *labels)
{
	char code[8] = "none";
	const char *slash = strrchr(row->handler, '/');
	enum sc_status status;

	if (!row->method) {
		status = buf_add_format(labels, "grpc_service=\"%.*s\",grpc_method=\"%s\"",
					slash ? (int)(slash - row->handler - 1) : 0,
					row->handler + 1, slash ? slash + 1 : row->handler);
		return status == SC_OK ? label_add(labels, "grpc_code",
						   grpc_status_name((enum grpc_status)row->code))
				       : status;
	}
	if (row->code)
		snprintf(code, sizeof code, "%uxx", row->code % 10);
	status = label_add(labels, "handler", row->handler);
	if (status == SC_OK)
		status = label_add(labels, "method", row->method);
	return status == SC_OK ? label_add(labels, "status", code) : status;
}

static void write_rows(const struct traffic *traffic, struct exposition *e, bool is_grpc)
{
	struct buf labels = BUF_INIT;

	for (unsigned i = 0; i < traffic->n_rows && e->status == SC_OK; i++) {
		const struct traffic_row *row = &traffic->rows[i];

		if (!row->method != is_grpc)
			continue;
		buf_truncate(&labels, 0);
		e->status = add_labels(row, &labels);
		exposition_add_count(e, labels.data, row->n);
	}
	buf_deinit(&labels);
}

void traffic_write(const struct traffic *traffic, struct exposition *e)
{
	exposition_begin(e, "counter", "http_requests_total",
			 "HTTP/1 requests that are over. status none: the client left before.");
	write_rows(traffic, e, false);
	exposition_begin(e, "counter", "grpc_server_handled_total", "gRPC calls that are over.");
	write_rows(traffic, e, true);
	exposition_counter(e, "stagecoach_received_bytes_total",
			   "Bytes of requests that are over.", traffic->received_bytes);
	exposition_counter(e, "stagecoach_sent_bytes_total", "Bytes of their answers.",
			   traffic->sent_bytes);
}
