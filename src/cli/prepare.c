/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/prepare.h"

#include "base/descriptors.h"
#include "base/integers.h"
#include "base/log.h"
#include "chat/chat.h"
#include "cli/chat_template.h"
#include "cli/dial_in.h"
#include "cli/report.h"
#include "coordinator/fit.h"
#include "gateway/gateway.h"
#include "worker/sizes.h"

#include <string.h>

#define CLIENT_BYTES (UINT64_C(256) << 20)

/* A daemon without a prompt must have a door. */
static enum sc_status check_doors(const struct config *config, struct error *err)
{
	char listen[256];

	config_listen_address(config, listen, sizeof listen);
	if (config_has_prompt(config) || *listen || *config->socket)
		return SC_OK;
	return error_set(err, SC_E_CONFIG, "listen: none, and no socket: no client could reach "
			 "the server. Give --listen HOST:PORT or --socket PATH");
}

static bool is_role(const struct config *config, const char *role)
{
	return !strcmp(config->role, role);
}

/* A role is for processes that no launcher started. */
static enum sc_status check_role(const struct config *config, unsigned n_ranks, struct error *err)
{
	if (is_role(config, "auto")) {
		if (*config->coordinator_address)
			return error_set(err, SC_E_CONFIG, "coordinator: given, but this process "
					 "is no worker. Give --role worker");
		return SC_OK;
	}
	if (n_ranks > 1)
		return error_set(err, SC_E_CONFIG, "role: %s, but %u processes were launched "
				 "together, and the rank decides there. Leave --role out, or start "
				 "each process without a launcher", config->role, n_ranks);
	if (strcmp(config->transport, "ucx") != 0)
		return error_set(err, SC_E_CONFIG, "transport: %s needs a launcher or works inside "
				 "one process. --role %s needs --transport ucx", config->transport,
				 config->role);
	if (!*config->cluster_key_file)
		return error_set(err, SC_E_CONFIG, "cluster-key-file: none, but --role %s needs "
				 "one. Make a key with `openssl rand -hex 32 >FILE; chmod 600 FILE` "
				 "and copy the file to all machines", config->role);
	if (is_role(config, "worker") && !*config->coordinator_address)
		return error_set(err, SC_E_CONFIG, "coordinator: none. --role worker needs "
				 "--coordinator HOST");
	if (is_role(config, "worker") && config_has_prompt(config))
		return error_set(err, SC_E_CONFIG, "prompt: a worker takes none. Give it to the "
				 "coordinator");
	return SC_OK;
}

/* What was launched must be what was asked for. */
static enum sc_status check_launch(const struct config *config, unsigned n_ranks,
				   struct error *err)
{
	if (n_ranks > 1 && !strcmp(config->transport, "loopback"))
		return error_set(err, SC_E_CONFIG, "transport: loopback works only in one process, "
				 "but %u processes were launched: use ucx or mpi", n_ranks);
	if (n_ranks > 1 && config->stages != 1 && config->stages != n_ranks - 1)
		return error_set(err, SC_E_CONFIG, "stages: %u, but %u processes were launched, "
				 "a coordinator and %u stages", config->stages, n_ranks,
				 n_ranks - 1);
	return SC_OK;
}

enum sc_status prepare_settings(const struct config *config, unsigned n_ranks, struct error *err)
{
	enum sc_status status = check_role(config, n_ranks, err);

	if (status == SC_OK && !is_role(config, "worker"))
		status = check_doors(config, err);
	return status == SC_OK ? check_launch(config, n_ranks, err) : status;
}

enum sc_status prepare_descriptors(const struct config *config, unsigned n_ranks,
				   struct error *err)
{
	const unsigned n_own = n_ranks > 1 ? 64 + 8 * n_ranks : 12;
	const unsigned n_clients = config_has_prompt(config) ? 0 : config->max_connections;
	const uint64_t n_wanted = n_own + n_clients;
	uint64_t limit;

	/* Some clients must have a place. */
	if (descriptors_check(n_clients ? n_own + 4 : n_own, err) != SC_OK)
		return err->status;
	limit = descriptors_raise(n_wanted);
	if (limit < n_wanted)
		log_warning("the limit of open files is %llu: about %llu clients can be connected "
			    "at once, not %u (max-connections). Raise it: ulimit -n %llu",
			    (unsigned long long)limit, (unsigned long long)limit - n_own, n_clients,
			    (unsigned long long)n_wanted);
	return SC_OK;
}

unsigned prepare_n_stages(const struct config *config, unsigned n_ranks)
{
	if (n_ranks > 1)
		return n_ranks - 1;
	if (is_role(config, "coordinator"))
		return config->n_workers;
	return is_role(config, "worker") ? 1 : config->stages;
}

bool prepare_is_worker(const struct config *config, unsigned rank)
{
	return rank || is_role(config, "worker");
}

bool prepare_is_alone(const struct config *config, unsigned n_ranks)
{
	return n_ranks <= 1 && is_role(config, "auto");
}

size_t prepare_client_bytes(const struct config *config)
{
	const uint64_t least = config->max_message * GATEWAY_BUDGET_MESSAGES;

	return config_has_prompt(config) ? 0 : max_of(allowance_part(CLIENT_BYTES), least);
}

enum sc_status prepare_model(const struct config *config, unsigned n_ranks,
			     struct opened_model *opened, struct coordinator_config *coordinator,
			     struct error *err)
{
	const unsigned n_stages = prepare_n_stages(config, n_ranks);
	const struct allowance any = { .n_processors = 1, .n_sharers = 1 };
	uint32_t n_layers;
	struct worker_config worker;
	const struct model_choice choice = model_choice_of(config);
	enum sc_status status = opened_model_open(opened, &choice, err);

	if (status != SC_OK)
		return status;
	n_layers = opened->model->hparams.n_layers;
	if (!n_stages || n_stages > n_layers)
		return error_set(err, SC_E_INVALID,
				 "%u stages for a model with %u layers: use 1 to %u", n_stages,
				 n_layers, n_layers);
	status = wire_coordinator_config(config, opened, n_stages, coordinator, err);
	if (status == SC_OK)
		status = wire_worker_config(config, opened->model, &any, &worker, err);
	return status;
}

/* --- without starting --- */

/* Whether the stages would have room now, if they are all in this process. Free memory
 * changes, and a running server holds part of it: a lack of it is printed and refuses nothing. What
 * --memory says does not change. */
static enum sc_status find_room(const struct config *config,
				const struct coordinator_config *coordinator, struct fit *fit,
				struct error *err)
{
	const struct allowance allowance = allowance_inside(coordinator->n_stages,
		wire_coordinator_bytes(coordinator, false, prepare_client_bytes(config)));
	const struct stage_limits limits = coordinator_stage_limits(coordinator);
	struct fit_workers workers = { .has_links = false };
	struct worker_config worker;
	enum sc_status status = wire_worker_config(config, coordinator->model, &allowance, &worker,
						   err);

	if (status == SC_OK)
		status = worker_sizes_of(&worker, worker.isa, &limits, &workers.sizes, err);
	if (status != SC_OK)
		return status;
	workers.memory_bytes = worker.memory_bytes;
	workers.n_threads = worker.n_threads;
	status = fit_plan(coordinator, &workers, fit, err);
	if (status != SC_OK || fit->plan || !config->memory)
		return status;
	return error_set(err, report_fault(config, fit->why_not.status), "%s", fit->why_not.text);
}

static bool serves_clients(const struct config *config)
{
	return !config_has_prompt(config) && !is_role(config, "worker");
}

static void print_places(const struct config *config, const char *listen, FILE *out)
{
	fprintf(out, "  file:    %s\n", config->file_read ? config->file_read : "none");
	if (is_role(config, "coordinator"))
		fprintf(out, "  workers: connect to %s\n", config->cluster_listen);
	if (is_role(config, "worker"))
		fprintf(out, "  coordinator: %s\n", config->coordinator_address);
	if (!serves_clients(config))
		return;
	fprintf(out, "  TCP:     %s\n", *listen ? listen : "none");
	fprintf(out, "  socket:  %s\n", *config->socket ? config->socket : "none");
}

static void print_model(const struct config *config, const struct opened_model *opened,
			unsigned n_stages, FILE *out)
{
	fprintf(out, "  model:   %s, %u layers", config->model, opened->model->hparams.n_layers);
	if (!is_role(config, "worker"))
		fprintf(out, " in %u stage%s", n_stages, n_stages == 1 ? "" : "s");
	fputc('\n', out);
}

static void print_room(const struct fit *fit, bool is_alone, FILE *out)
{
	if (!is_alone)
		fputs("  memory:  not checked, because other processes hold stages\n", out);
	else if (fit->plan)
		fprintf(out, "  memory:  is enough now for a context of %u and %llu KV positions\n",
			fit->context, (unsigned long long)fit->n_positions);
	else
		fprintf(out, "  memory:  is not enough now: %s\n", fit->why_not.text);
	fputs("  not checked: whether another program uses the port or the socket\n", out);
}

/* Under a launcher, where a key file is not needed. */
static enum sc_status check_keys(const struct config *config, struct error *err)
{
	struct cluster_keys keys = { .n_keys = 0 };
	enum sc_status status = *config->cluster_key_file ?
				cluster_read_keys(config, &keys, err) : SC_OK;

	cluster_keys_wipe(&keys);
	return status;
}

static enum sc_status check_access(const struct config *config, struct error *err)
{
	const struct access_settings settings = access_settings_of(config);

	return access_check(&settings, err);
}

static enum sc_status check_chat(const struct config *config, const struct opened_model *opened,
				 struct error *err)
{
	struct chat_format *chat = NULL;
	enum sc_status status = chat_template_open(config, opened, &chat, err);

	chat_format_destroy(chat);
	return status;
}

enum sc_status prepare_check(const struct config *config, unsigned n_ranks, FILE *out,
			     struct error *err)
{
	struct coordinator_config coordinator;
	struct opened_model opened = { 0 };
	struct fit fit = { 0 };
	char listen[256] = "";
	enum sc_status status = SC_OK;

	if (serves_clients(config)) {
		config_listen_address(config, listen, sizeof listen);
		status = gateway_check_addresses(listen, config->socket, err);
		if (status == SC_OK)
			status = check_access(config, err);
	}
	if (status == SC_OK)
		status = prepare_model(config, n_ranks, &opened, &coordinator, err);
	if (status == SC_OK && serves_clients(config))
		status = check_chat(config, &opened, err);
	if (status == SC_OK && !is_role(config, "auto"))
		status = dial_in_check(config, err);
	else if (status == SC_OK && n_ranks > 1)
		status = check_keys(config, err);
	if (status == SC_OK && prepare_is_alone(config, n_ranks))
		status = find_room(config, &coordinator, &fit, err);
	if (status == SC_OK && out) {
		report_ignored_keys(opened.model->gguf, config->ignored_keys);
		fputs("The configuration is valid.\n", out);
		print_places(config, listen, out);
		print_model(config, &opened, coordinator.n_stages, out);
		print_room(&fit, prepare_is_alone(config, n_ranks), out);
	}
	fit_deinit(&fit);
	opened_model_close(&opened);
	return status;
}
