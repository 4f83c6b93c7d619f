/* SPDX-License-Identifier: Apache-2.0 */
#include "chat/normalize.h"

#include "base/json_measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CALLS 256	/* that are looked through for the name of a result's function; and the
			 * most results behind them that get a name */

struct normalizing {
	const struct chat_template *tmpl;
	const struct chat_family *family;
	const char *ends_with;
	bool in_reasoning;
	json_t *out;		/* messages so far */
	struct error *err;
};

static enum sc_status no_memory(const struct normalizing *work)
{
	return error_set(work->err, SC_E_NOMEM, "no memory for the messages");
}

/* Sets a member, and takes the value. */
static enum sc_status set(const struct normalizing *work, json_t *message, const char *key,
			  json_t *value)
{
	return json_object_set_new(message, key, value) ? no_memory(work) : SC_OK;
}

static const char *get(const json_t *message, const char *key)
{
	return json_string_value(json_object_get(message, key));
}

static bool is_role(const json_t *message, const char *role)
{
	return !strcmp(get(message, "role"), role);
}

/* A copy without members that are null or that are normalised apart. */
static json_t *copy_message(const json_t *message)
{
	static const char *const apart[] = {
		"content", "tool_calls", "function_call", "reasoning", "reasoning_content",
		"refusal", "audio", "annotations",
	};
	json_t *copy = json_object();
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)message, key, value) {
		bool is_apart = json_is_null(value);

		for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
			is_apart |= !strcmp(apart[i], key);
		if (!is_apart && json_object_set(copy, key, value)) {
			json_decref(copy);
			return NULL;
		}
	}
	return copy;
}

static enum sc_status normalize_role(struct normalizing *work, json_t *message)
{
	if (is_role(message, "developer") && !work->tmpl->abilities.has_developer)
		return set(work, message, "role", json_string("system"));
	if (is_role(message, "function"))
		return set(work, message, "role", json_string("tool"));
	return SC_OK;
}

static json_t *joined(const json_t *text, const char *more)
{
	return json_sprintf("%s%s", json_string_value(text), more);
}

/* The name of the function whose call has this id, of the calls that were made last; NULL: there is
 * none. */
static const json_t *find_called(const json_t *messages, const char *id)
{
	const size_t n = json_array_size(messages);
	const json_t *calls = NULL;

	for (size_t i = n; i-- > 0 && n - i <= MAX_CALLS && !calls;) {
		const json_t *message = json_array_get(messages, i);

		if (is_role(message, "user"))
			return NULL;
		calls = json_object_get(message, "tool_calls");
	}
	for (size_t k = 0; k < json_array_size(calls) && k < MAX_CALLS; k++) {
		const json_t *call = json_array_get(calls, k);

		if (!strcmp(get(call, "id"), id))
			return json_object_get(json_object_get(call, "function"), "name");
	}
	return NULL;
}

static enum sc_status normalize_result(struct normalizing *work, json_t *message)
{
	const char *id = get(message, "tool_call_id");
	const json_t *name;
	enum sc_status status;

	if (!id)
		return SC_OK;
	status = set(work, message, "tool_call_id",
		     normalize_id(&work->tmpl->abilities, id));
	if (status || get(message, "name"))
		return status;
	name = find_called(work->out, get(message, "tool_call_id"));
	return name ? set(work, message, "name", json_copy((json_t *)name)) : SC_OK;
}

/* Reasoning under the names that templates use. Harmony's cannot take it beside content. */
static enum sc_status set_reasoning(struct normalizing *work, json_t *message,
				    const json_t *reasoning, bool has_content, bool has_calls)
{
	enum sc_status status = json_object_set(message, "reasoning_content", (json_t *)reasoning)
				? no_memory(work) : SC_OK;

	if (!status)
		status = set(work, message, "reasoning", json_copy((json_t *)reasoning));
	if (!status && strstr(work->tmpl->text, ".thinking") && !(has_content && has_calls))
		status = set(work, message, "thinking", json_copy((json_t *)reasoning));
	return status;
}

static enum sc_status normalize_reasoning(struct normalizing *work, const json_t *from,
					  json_t *message, bool is_last, bool has_content,
					  bool has_calls)
{
	const json_t *reasoning = json_object_get(from, "reasoning_content");
	json_t *text;
	enum sc_status status;

	if (!json_is_string(reasoning))
		reasoning = json_object_get(from, "reasoning");
	if (!json_is_string(reasoning) || !json_string_length(reasoning))
		return SC_OK;
	work->in_reasoning = is_last && work->ends_with && !has_content;
	text = joined(reasoning, work->in_reasoning ? work->ends_with : "");
	if (!text)
		return no_memory(work);
	status = set_reasoning(work, message, text, has_content, has_calls);
	json_decref(text);
	return status;
}

/* Sets content, as a string or as a list of one part. Takes text. */
static enum sc_status set_content(const struct normalizing *work, json_t *message, json_t *text)
{
	const struct chat_abilities *abilities = &work->tmpl->abilities;

	if (abilities->takes_parts && !abilities->takes_strings)
		text = json_pack("[{s:s, s:o}]", "type", "text", "text", text);
	return text ? set(work, message, "content", text) : no_memory(work);
}

/* Adds calls to the text of a message, for templates that leave them out. */
static enum sc_status write_calls(struct normalizing *work, const json_t *calls, json_t **text)
{
	struct buf whole = BUF_INIT;
	enum sc_status status = buf_add_string(&whole, json_string_value(*text));
	json_t *string;

	for (size_t i = 0; i < json_array_size(calls) && !status; i++) {
		const json_t *function = json_object_get(json_array_get(calls, i), "function");
		char *arguments = json_dumps(json_object_get(function, "arguments"), 0);

		status = arguments ? family_write_call(work->family, get(function, "name"),
						       arguments, &whole) : SC_E_NOMEM;
		free(arguments);
	}
	string = status ? NULL : json_stringn(whole.data, whole.length);
	buf_deinit(&whole);
	if (!string)
		return no_memory(work);
	json_decref(*text);
	*text = string;
	return SC_OK;
}

static enum sc_status normalize_body(struct normalizing *work, const json_t *from,
				     json_t *message, const char *where, bool is_last)
{
	json_t *calls = NULL, *text, *whole;
	bool has_content;
	enum sc_status status = normalize_content(json_object_get(from, "content"), where, &text,
						  work->err);

	if (status)
		return status;
	has_content = json_string_length(text);
	if (is_role(message, "assistant"))
		status = normalize_calls(&work->tmpl->abilities, from, where, &calls, work->err);
	if (!status)
		status = normalize_reasoning(work, from, message, is_last, has_content, calls);
	if (!status && calls && !work->tmpl->abilities.has_calls && work->family->suffix)
		status = write_calls(work, calls, &text);
	else if (!status && calls)
		status = json_object_set(message, "tool_calls", calls) ? no_memory(work) : SC_OK;
	if (!status && !has_content && calls && work->tmpl->abilities.needs_null_content) {
		status = set(work, message, "content", json_null());
	} else if (!status) {
		whole = is_last && work->ends_with && !work->in_reasoning
			? joined(text, work->ends_with) : json_incref(text);
		status = whole ? set_content(work, message, whole) : no_memory(work);
	}
	json_decref(calls);
	json_decref(text);
	return status;
}

static enum sc_status normalize_message(struct normalizing *work, const json_t *from, size_t i,
					bool is_last)
{
	char where[40];
	json_t *message;
	enum sc_status status;

	snprintf(where, sizeof where, "messages[%zu]", i);
	if (!json_is_object(from))
		return error_set(work->err, SC_E_INVALID, "%s: expected an object", where);
	if (!get(from, "role"))
		return error_set(work->err, SC_E_INVALID, "%s.role: expected a string", where);
	message = copy_message(from);
	status = message ? normalize_role(work, message) : no_memory(work);
	if (!status)
		status = normalize_body(work, from, message, where, is_last);
	if (!status && is_role(message, "tool"))
		status = normalize_result(work, message);
	if (!status && json_array_append(work->out, message))
		status = no_memory(work);
	json_decref(message);
	return status;
}

/* The text of a message that set_content wrote. */
static const char *content_of(const json_t *message)
{
	const json_t *content = json_object_get(message, "content");

	return json_is_array(content) ? get(json_array_get(content, 0), "text")
				      : json_string_value(content);
}

static enum sc_status add_system(const struct normalizing *work, struct buf *text, json_t *messages)
{
	json_t *message = json_pack("{s:s}", "role", "system");
	enum sc_status status = set_content(work, message, json_stringn(text->data, text->length));

	if (!status && json_array_insert(messages, 0, message))
		status = no_memory(work);
	json_decref(message);
	return status;
}

/* Puts system messages that are not the first into the first. */
static enum sc_status merge_system(struct normalizing *work)
{
	struct buf text = BUF_INIT;
	json_t *others = json_array();
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < json_array_size(work->out) && !status; i++) {
		json_t *message = json_array_get(work->out, i);

		if (!is_role(message, "system")) {
			status = json_array_append(others, message) ? no_memory(work) : SC_OK;
			continue;
		}
		if (buf_add_string(&text, text.length ? "\n\n" : "") ||
		    buf_add_string(&text, content_of(message)))
			status = no_memory(work);
	}
	if (!status)
		status = add_system(work, &text, others);
	buf_deinit(&text);
	json_decref(status ? others : work->out);
	if (!status)
		work->out = others;
	return status;
}

static bool has_late_system(const json_t *messages)
{
	for (size_t i = 1; i < json_array_size(messages); i++)
		if (is_role(json_array_get(messages, i), "system"))
			return true;
	return false;
}

/* --- arguments --- */

/* What the arguments of a call take when they are parsed. Arguments that are an object were parsed
 * and measured with the request. */
static size_t arguments_bytes(const json_t *function, unsigned *depth_in_out)
{
	const json_t *arguments = json_object_get(function, "arguments");
	unsigned depth;
	size_t n_bytes;

	if (!json_is_string(arguments))
		return 0;
	n_bytes = json_measure(json_string_value(arguments), json_string_length(arguments),
			       &depth);
	if (depth > *depth_in_out)
		*depth_in_out = depth;
	return n_bytes;
}

/* Of all calls together, because a request may have as many as it likes. */
static enum sc_status check_arguments(const json_t *messages, struct error *err)
{
	size_t n_bytes = 0;
	unsigned depth = 0;

	for (size_t i = 0; i < json_array_size(messages); i++) {
		const json_t *message = json_array_get(messages, i);
		const json_t *calls = json_object_get(message, "tool_calls");

		n_bytes += arguments_bytes(json_object_get(message, "function_call"), &depth);
		for (size_t k = 0; k < json_array_size(calls); k++)
			n_bytes += arguments_bytes(json_object_get(json_array_get(calls, k),
								   "function"), &depth);
	}
	if (n_bytes > JSON_MAX_PARSED)
		return error_set(err, SC_E_INVALID, "the arguments of tool calls have too many "
				 "values: parsed, they may take %zu MiB, and the limit is %zu MiB",
				 n_bytes >> 20, JSON_MAX_PARSED >> 20);
	if (depth > JSON_MAX_DEPTH)
		return error_set(err, SC_E_INVALID, "the arguments of a tool call have brackets in "
				 "%u levels, and the limit is %u", depth, JSON_MAX_DEPTH);
	return SC_OK;
}

enum sc_status normalize_messages(const struct chat_template *tmpl, const json_t *messages,
				  const struct chat_family *family, const char *ends_with,
				  json_t **messages_out,
				  bool *in_reasoning_out, struct error *err)
{
	struct normalizing work = {
		.tmpl = tmpl, .family = family, .ends_with = ends_with, .out = json_array(),
		.err = err,
	};
	const size_t n = json_array_size(messages);
	enum sc_status status = work.out ? SC_OK : no_memory(&work);

	if (!status && !n)
		status = error_set(err, SC_E_INVALID, "messages: expected a list of at least one "
				   "message");
	if (!status)
		status = check_arguments(messages, err);
	for (size_t i = 0; i < n && !status; i++)
		status = normalize_message(&work, json_array_get(messages, i), i, i + 1 == n);
	if (!status && !tmpl->abilities.has_late_system && has_late_system(work.out))
		status = merge_system(&work);
	if (status) {
		json_decref(work.out);
		return status;
	}
	*messages_out = work.out;
	*in_reasoning_out = work.in_reasoning;
	return SC_OK;
}
