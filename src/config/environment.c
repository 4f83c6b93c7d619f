/* SPDX-License-Identifier: Apache-2.0 */
#include "config/environment.h"

#include "config/names.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "STAGECOACH_"
#define CONFIG_VARIABLE PREFIX "CONFIG"

/* Append to warnings or notes. */
static enum sc_status say(struct text_list *list, struct error *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static enum sc_status say(struct text_list *list, struct error *err, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return text_list_add(list, text) == SC_OK ? SC_OK : error_set(err, SC_E_NOMEM,
								       "out of memory");
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), n_end = strlen(end);

	return n >= n_end && !strcmp(text + n - n_end, end);
}

/* "8080_TCP", "8080_TCP_ADDR": what stands behind _PORT_. */
static bool is_port_detail(const char *text)
{
	static const char *const ends[] = {
		"TCP", "TCP_ADDR", "TCP_PORT", "TCP_PROTO", "UDP", "UDP_ADDR", "UDP_PORT",
		"UDP_PROTO", "SCTP", "SCTP_ADDR", "SCTP_PORT", "SCTP_PROTO",
	};
	size_t n_digits = strspn(text, "0123456789");

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		if (n_digits && text[n_digits] == '_' && !strcmp(text + n_digits + 1, ends[i]))
			return true;
	return false;
}

/* "tcp://10.0.0.7:8080" */
static bool is_service_url(const char *value)
{
	return !strncmp(value, "tcp://", 6) || !strncmp(value, "udp://", 6) ||
	       !strncmp(value, "sctp://", 7);
}

/* Of a service whose name is, or begins with, this program's. */
static bool is_of_kubernetes(const char *name, const char *value)
{
	if (ends_with(name, "_SERVICE_HOST") || ends_with(name, "_SERVICE_PORT") ||
	    strstr(name, "_SERVICE_PORT_"))
		return true;
	if (ends_with(name, "_PORT") && is_service_url(value))
		return true;
	for (const char *port = strstr(name, "_PORT_"); port; port = strstr(port + 1, "_PORT_"))
		if (is_port_detail(port + strlen("_PORT_")))
			return true;
	return false;
}

/* The program's own row, or else another program's; NULL: no option has this variable. */
static const struct option_info *find_option(const char *name, enum program program)
{
	const struct option_info *found = NULL;
	char variable[OPTION_NAME_MAX];

	for (unsigned i = 0; i < n_options; i++) {
		if (options[i].flags & OPTION_FLAG_ONLY)
			continue;
		option_variable(&options[i], variable);
		if (!strcmp(variable, name) && (!found || options[i].programs & program))
			found = &options[i];
	}
	return found;
}

/* An unknown name: of a flag that no variable sets, near to a known one, or neither. */
static enum sc_status warn(struct config *config, const char *name, struct error *err)
{
	const char *rest = name + strlen(PREFIX);
	const struct option_info *flag = option_nearest(rest, ~0u, 0, NULL);
	const struct option_info *near = option_nearest(rest, ~0u, OPTION_FLAG_ONLY, NULL);
	char variable[OPTION_NAME_MAX];

	if (flag)
		option_variable(flag, variable);
	if (flag && !strcmp(variable, name))
		return say(&config->warnings, err, "%s is ignored: this setting has no variable, "
			   "only the flag --%s", name, flag->name);
	if (near)
		option_variable(near, variable);
	return say(&config->warnings, err, "%s is ignored: there is no such variable%s%s%s", name,
		   near ? "; did you mean " : "", near ? variable : "", near ? "?" : "");
}

static enum sc_status apply(struct config *config, enum program program,
			    const struct config *flags, const char *name, const char *value,
			    struct error *err)
{
	const struct option_info *option = find_option(name, program);
	enum sc_status status;

	if (!*value || !strcmp(name, CONFIG_VARIABLE))
		return SC_OK;
	if (is_of_kubernetes(name, value))
		return say(&config->notes, err, "%s is ignored: Kubernetes sets it for a service",
			   name);
	if (!option)
		return warn(config, name, err);
	if (!(option->programs & program) || flags->sources[option - options] == CONFIG_FLAG)
		return SC_OK;
	status = option_set_in(option, config, value, name, err);
	if (status != SC_OK)
		error_prefix(err, "environment");
	else
		config->sources[option - options] = CONFIG_ENVIRONMENT;
	return status;
}

enum sc_status config_read_environment(struct config *config, enum program program,
				       const struct config *flags, struct error *err)
{
	enum sc_status status = SC_OK;

	for (char **entry = environ; entry && *entry && status == SC_OK; entry++) {
		const char *equals = strchr(*entry, '=');
		char name[256];

		if (strncmp(*entry, PREFIX, strlen(PREFIX)) || !equals)
			continue;
		snprintf(name, sizeof name, "%.*s", (int)(equals - *entry), *entry);
		status = apply(config, program, flags, name, equals + 1, err);
	}
	return status;
}
