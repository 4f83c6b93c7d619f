/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_verbs.h"

#include "cli/client_json.h"
#include "cli/client_signal.h"

#include <errno.h>
#include <stdio.h>

/* 128 + SIGPIPE: what a program that the signal killed would have ended with. */
#define EXIT_NO_READER 141

static bool has_reader = true;

enum sc_status client_begin(const struct config *config, struct client **client_out,
			    struct error *err)
{
	struct client_target target;
	enum sc_status status;

	client_target_init(&target, config);
	status = client_target_choose(&target, err);
	if (status != SC_OK)
		return status;
	client_signal_catch();
	return client_open(&target, client_out, err);
}

void client_complain(const struct error *err)
{
	fprintf(stderr, "stagecoach: error: %s\n", err->text);
}

void client_warn(char *const *warnings, size_t n_warnings)
{
	for (size_t i = 0; i < n_warnings; i++)
		fprintf(stderr, "stagecoach: warning: %s\n", warnings[i]);
}

int client_end(enum sc_status status, const struct error *err)
{
	if (client_signal_caught())
		return 128 + client_signal_caught();
	if (!has_reader)
		return EXIT_NO_READER;
	if (status == SC_OK)
		return 0;
	client_complain(err);
	return sc_status_exit_code(status);
}

enum sc_status client_flush(struct error *err)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return SC_OK;
	if (errno == EPIPE)
		has_reader = false;
	return error_errno(err, SC_E_IO, errno, "standard output");
}

enum sc_status client_print_json(const ProtobufCMessage *message, struct error *err)
{
	enum sc_status status = client_json_print(message, stdout);

	if (status == SC_E_IO)
		return client_flush(err);
	return status == SC_OK ? SC_OK : error_set(err, status, "out of memory");
}
