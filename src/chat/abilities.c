/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each question is a small conversation. Words that occur in no template show whether a part of it
 * came out.
 */
#include "chat/abilities.h"

#include "chat/template.h"

#include <stdlib.h>
#include <string.h>

#define NEEDLE "needle-4711"
#define KEY "probe_key"
#define VALUE "probe-value-4711"
#define ARGUMENTS "{\"" KEY "\": \"" VALUE "\"}"
#define PLAIN_ID "abcdef123"

/* A template that needs more for a few words is of no use. */
static const struct jinja_limits probe_limits = {
	.max_steps = 2 * 1000 * 1000, .max_output = 1 << 20, .max_memory = 32 << 20,
	.max_depth = 500,
};

struct probe {
	const struct chat_template *tmpl;
	struct jinja_output output;
	bool needs_tool_list;
	enum sc_status status;		/* SC_E_NOMEM ends it all */
};

/* Renders. Returns false if the template refuses. Takes messages and tools (which may be NULL). */
static bool render(struct probe *probe, json_t *messages, json_t *tools)
{
	json_t *none = probe->needs_tool_list ? json_array() : json_null();
	json_t *variables = json_pack("{s:o, s:o, s:b}", "messages", messages, "tools",
				      tools ? tools : none, "add_generation_prompt", 1);
	struct error err;
	enum sc_status status;

	if (tools)
		json_decref(none);
	jinja_output_deinit(&probe->output);
	probe->output = (struct jinja_output){ .text = BUF_INIT, .from_template = BUF_INIT };
	if (!variables) {
		probe->status = SC_E_NOMEM;
		return false;
	}
	status = chat_template_render(probe->tmpl, variables, 0, &probe_limits,
				      &probe->output, &err);
	json_decref(variables);
	if (status == SC_E_NOMEM)
		probe->status = status;
	return !status;
}

static bool has(const struct probe *probe, const char *text)
{
	return memmem(probe->output.text.data, probe->output.text.length, text, strlen(text));
}

static json_t *string_message(const char *role, const char *content)
{
	return json_pack("{s:s, s:s}", "role", role, "content", content);
}

static json_t *message(const struct chat_abilities *abilities, const char *role,
		       const char *content)
{
	if (abilities->takes_strings || !abilities->takes_parts)
		return string_message(role, content);
	return json_pack("{s:s, s:[{s:s, s:s}]}", "role", role, "content", "type", "text", "text",
			 content);
}

static void find_content(struct probe *probe, struct chat_abilities *abilities)
{
	json_t *parts = json_pack("[{s:s, s:[{s:s, s:s}]}]", "role", "user", "content", "type",
				  "text", "text", NEEDLE);

	abilities->takes_strings = render(probe, json_pack("[o]", string_message("user", NEEDLE)),
					  NULL) && has(probe, NEEDLE);
	/* A list that is written as such is no list of parts. */
	abilities->takes_parts = render(probe, parts, NULL) && has(probe, NEEDLE) &&
				 !has(probe, "'type'") && !has(probe, "\"type\"");
}

static void find_roles(struct probe *probe, struct chat_abilities *abilities)
{
	abilities->has_system =
		render(probe, json_pack("[o, o]", message(abilities, "system", NEEDLE),
					message(abilities, "user", "a")), NULL) &&
		has(probe, NEEDLE);
	abilities->has_late_system = abilities->has_system &&
		render(probe, json_pack("[o, o, o, o, o]", message(abilities, "system", "s"),
					message(abilities, "user", "a"),
					message(abilities, "assistant", "b"),
					message(abilities, "system", NEEDLE),
					message(abilities, "user", "c")), NULL) &&
		has(probe, NEEDLE);
	/* Templates that write any role's name would write this one, too. */
	abilities->has_developer = strstr(probe->tmpl->text, "developer") &&
		render(probe, json_pack("[o, o]", message(abilities, "developer", NEEDLE),
					message(abilities, "user", "a")), NULL) &&
		has(probe, NEEDLE);
}

static json_t *probe_tools(void)
{
	return json_pack("[{s:s, s:{s:s, s:s, s:{s:s, s:{s:{s:s, s:s}}, s:[s]}}}]", "type",
			 "function", "function", "name", NEEDLE, "description", "d", "parameters",
			 "type", "object", "properties", KEY, "type", "string", "description", "k",
			 "required", KEY);
}

static json_t *probe_call(const char *id, bool as_text)
{
	json_t *arguments = as_text ? json_string(ARGUMENTS) : json_pack("{s:s}", KEY, VALUE);

	return json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", id, "type", "function", "function",
			 "name", NEEDLE, "arguments", arguments);
}

/* A call and its result. */
static bool render_call(struct probe *probe, const struct chat_abilities *abilities,
			const char *id, bool as_text, bool is_null)
{
	json_t *content = is_null ? json_null() : json_string("");
	json_t *call = json_pack("{s:s, s:o, s:[o]}", "role", "assistant", "content", content,
				 "tool_calls", probe_call(id, as_text));
	json_t *result = message(abilities, "tool", "r");

	if (json_object_set_new(result, "tool_call_id", json_string(id)) ||
	    json_object_set_new(result, "name", json_string(NEEDLE)))
		probe->status = SC_E_NOMEM;
	return render(probe, json_pack("[o, o, o]", message(abilities, "user", "a"), call, result),
		      probe_tools());
}

static bool takes_call(struct probe *probe, const struct chat_abilities *abilities, bool as_text,
		       bool is_null)
{
	if (!render_call(probe, abilities, PLAIN_ID, as_text, is_null))
		return false;
	if (as_text)
		return has(probe, ARGUMENTS);
	return has(probe, VALUE) && !has(probe, "{'" KEY "'");
}

static bool takes_tools(struct probe *probe, const struct chat_abilities *abilities,
			enum tool_place place)
{
	json_t *system = message(abilities, "system", ""), *tools = probe_tools();
	json_t *user = message(abilities, "user", "a");
	char *text = json_dumps(tools, 0);
	bool takes;

	if (place == TOOLS_VARIABLE) {
		takes = render(probe, json_pack("[o]", user), json_incref(tools));
		json_decref(system);
	} else {
		if (!text || json_object_set_new(system, "tools", place == TOOLS_IN_SYSTEM
						 ? json_incref(tools) : json_string(text)))
			probe->status = SC_E_NOMEM;
		takes = render(probe, json_pack("[o, o]", system, user), NULL);
	}
	json_decref(tools);
	free(text);
	return takes && has(probe, NEEDLE);
}

static void find_tools(struct probe *probe, struct chat_abilities *abilities)
{
	static const enum tool_place places[] = {
		TOOLS_VARIABLE, TOOLS_IN_SYSTEM, TOOLS_IN_SYSTEM_TEXT,
	};

	for (size_t i = 0; i < 3 && abilities->tools == TOOLS_NOWHERE; i++)
		if (takes_tools(probe, abilities, places[i]))
			abilities->tools = places[i];
}

static void find_calls(struct probe *probe, struct chat_abilities *abilities)
{
	for (int is_null = 0; is_null < 2 && !abilities->has_calls; is_null++) {
		bool as_text = takes_call(probe, abilities, true, is_null);

		if (!as_text && !takes_call(probe, abilities, false, is_null))
			continue;
		abilities->has_calls = true;
		abilities->takes_argument_text = as_text;
		abilities->needs_null_content = is_null;
		abilities->needs_plain_ids =
			!render_call(probe, abilities, "call_12345678", as_text, is_null);
	}
}

enum sc_status abilities_find(const struct chat_template *tmpl, struct chat_abilities *abilities)
{
	struct probe probe = {
		.tmpl = tmpl, .output = { .text = BUF_INIT, .from_template = BUF_INIT },
	};

	*abilities = (struct chat_abilities){ 0 };
	find_content(&probe, abilities);
	if (!abilities->takes_strings && !abilities->takes_parts) {
		probe.needs_tool_list = true;
		find_content(&probe, abilities);
		abilities->needs_tool_list = abilities->takes_strings || abilities->takes_parts;
	}
	find_roles(&probe, abilities);
	find_tools(&probe, abilities);
	find_calls(&probe, abilities);
	jinja_output_deinit(&probe.output);
	return probe.status;
}
