/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoachd - the daemon. Started by mpirun or srun, rank 0 coordinates and the others are
 * stages; started alone, it holds all stages itself. */
#include "cli/report.h"
#include "cli/serve.h"
#include "cli/streams.h"

#include "base/console.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "event/loop.h"
#include "transport/fabrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EARLY_WAIT_US 500000
/* How long the end waits for whoever reads the log, to tell why it ends. */
#define LAST_WORDS_MS 1000

static const char usage[] =
	"usage: stagecoachd -m FILE [OPTION...]\n"
	"       mpirun -n N stagecoachd -m FILE [OPTION...]\n\n"
	"Serve a transformer model in pipeline stages. Under a launcher, rank 0 coordinates\n"
	"and the other ranks are the stages; alone, --stages says how many to make here.\n"
	"Flags override STAGECOACH_* variables, which override the configuration file.\n";

/* Of many processes that fail alike, one speaks. */
static void complain(unsigned rank, const struct error *err)
{
	if (!rank)
		console_printf(CONSOLE_LAST_WORDS, "stagecoachd: error: %s\n", err->text);
}

/* Before the processes know of each other, one of each machine speaks. The others wait a little:
 * a launcher kills the rest once one process is gone. */
static void complain_early(const struct error *err)
{
	const char *local_rank = getenv("OMPI_COMM_WORLD_LOCAL_RANK");

	if (!local_rank)
		local_rank = getenv("SLURM_LOCALID");
	if (local_rank && atoi(local_rank))
		usleep(EARLY_WAIT_US);
	else
		complain(0, err);
}

static bool handle_questions(const struct config *config, unsigned rank)
{
	bool is_asked = config->is_help || config->is_version || config->is_print_config ||
			config->is_print_defaults || config->is_print_options ||
			config->is_print_flags || config->is_print_limits;

	if (rank)
		return is_asked;	/* rank 0 answers for all */
	if (config->is_help)
		config_print_help(stdout, PROGRAM_DAEMON, usage);
	else if (config->is_version)
		printf("stagecoachd %s\n", PACKAGE_VERSION);
	else if (config->is_print_config)
		config_print_effective(stdout, PROGRAM_DAEMON, config);
	else if (config->is_print_defaults)
		config_print_example(stdout);
	else if (config->is_print_options)
		config_print_man(stdout, PROGRAM_DAEMON);
	else if (config->is_print_flags)
		config_print_flags(stdout, PROGRAM_DAEMON);
	else if (config->is_print_limits)
		config_print_limits(stdout);
	return is_asked;
}

/* Everything that can be checked without the other processes. */
static enum sc_status prepare(const struct config *config, unsigned n_stages,
			      struct opened_model *opened, struct coordinator_config *coordinator,
			      struct error *err)
{
	const struct allowance any = { .n_processors = 1, .n_sharers = 1 };
	uint32_t n_layers;
	struct worker_config worker;
	enum sc_status status = opened_model_open(opened, config->model,
						  config->ignored_keys, err);

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

/* A daemon without a prompt must have a door. */
static enum sc_status check_doors(const struct config *config, struct error *err)
{
	char listen[256];

	config_listen_address(config, listen, sizeof listen);
	if (config_has_prompt(config) || *listen || *config->socket)
		return SC_OK;
	return error_set(err, SC_E_CONFIG, "listen: none, and no socket: nobody could reach the "
			 "server. Give --listen HOST:PORT or --socket PATH");
}

/* What was launched must be what was asked for. */
static enum sc_status check_launch(const struct config *config, unsigned n_ranks,
				   struct error *err)
{
	if (n_ranks > 1 && !strcmp(config->transport, "loopback"))
		return error_set(err, SC_E_CONFIG, "transport: loopback joins the stages of one "
				 "process, but %u were launched: use ucx or mpi", n_ranks);
	if (n_ranks > 1 && config->stages != 1 && config->stages != n_ranks - 1)
		return error_set(err, SC_E_CONFIG, "stages: %u, but %u processes were launched, "
				 "a coordinator and %u stages", config->stages, n_ranks,
				 n_ranks - 1);
	return SC_OK;
}

static void start_log(const struct config *config, unsigned rank, bool is_cluster)
{
	char name[32] = "";

	if (is_cluster && rank)
		snprintf(name, sizeof name, "stage %u", rank);
	log_init((enum log_level)config_log_level(config), name);
}

/* Collective, also with trouble. */
static enum sc_status join_cluster(struct serve_config *serve, struct cluster *cluster,
				   unsigned rank, const struct error *trouble, struct error *err)
{
	const struct config *config = serve->config;
	struct fabric_config fabric = { 0 };
	uint64_t own_bytes = 0;

	if (!trouble) {
		fabric = wire_fabric_config(config, serve->coordinator, rank);
		own_bytes = wire_coordinator_bytes(serve->coordinator, fabric_link_bytes(&fabric),
						   serve->client_bytes);
	}
	serve->cluster = cluster;
	return cluster_open(cluster, serve->loop, config, &fabric, own_bytes, trouble, err);
}

static int run(struct config *config, int argc, char **argv, unsigned rank, unsigned n_ranks,
	       struct launcher *launcher)
{
	bool is_cluster = n_ranks > 1, is_closed;
	struct coordinator_config coordinator;
	struct opened_model opened = { 0 };
	struct cluster cluster = { 0 };
	struct serve_config serve = {
		.config = config, .argc = argc, .argv = argv, .opened = &opened,
		.coordinator = &coordinator, .launcher = launcher,
	};
	struct error trouble, err;
	enum sc_status status;
	int exit_code;

	if (loop_open(&serve.loop, &err) != SC_OK) {
		complain(rank, &err);
		return sc_status_exit_code(err.status);
	}
	status = prepare(config, is_cluster ? n_ranks - 1 : config->stages, &opened, &coordinator,
			 &trouble);
	if (status == SC_OK && !rank)
		wire_warn_ignored(opened.model->gguf, config->ignored_keys);
	err = trouble;
	serve.client_bytes = config_has_prompt(config) ? 0 : wire_client_bytes(config);
	if (is_cluster)
		status = join_cluster(&serve, &cluster, rank, status == SC_OK ? NULL : &trouble,
				      &err);
	if (status != SC_OK) {
		complain(rank, &err);
		exit_code = sc_status_exit_code(status);
	} else if (is_cluster && rank) {
		exit_code = serve_worker(&serve);
	} else {
		exit_code = serve_coordinator(&serve);
	}
	is_closed = cluster_close(&cluster);
	fflush(NULL);
	if (cluster.is_lost)
		launcher_end(launcher);
	if (!is_closed) {
		console_flush(LAST_WORDS_MS);
		_exit(exit_code);
	}
	loop_destroy(serve.loop);
	opened_model_close(&opened);
	return exit_code;
}

/* Without these the daemon cannot run, and libraries abort. */
static enum sc_status check_descriptors(const struct config *config, unsigned n_ranks,
					struct error *err)
{
	const unsigned n_own = n_ranks > 1 ? 64 + 8 * n_ranks : 12;
	const unsigned n_clients = config->prompt ? 0 : config->max_connections;
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

/* A launcher's processes end with it, from here on. */
static int serve(struct config *config, int argc, char **argv, bool is_launched, unsigned rank,
		 unsigned n_ranks)
{
	struct launcher *launcher = NULL;
	struct error err;
	int exit_code;

	if (check_descriptors(config, n_ranks, &err) != SC_OK ||
	    (is_launched && launcher_watch(&launcher, &err) != SC_OK)) {
		complain_early(&err);
		return sc_status_exit_code(err.status);
	}
	exit_code = run(config, argc, argv, rank, n_ranks, launcher);
	launcher_destroy(launcher);
	return exit_code;
}

int main(int argc, char **argv)
{
	unsigned rank = 0, n_ranks = 1;
	struct config config = { 0 };
	struct error err;
	bool is_launched, is_cluster;
	int exit_code = 0;

	streams_reserve();
	is_launched = mpi_world_is_launched(&rank, &n_ranks);
	is_cluster = n_ranks > 1;
	if (config_load(&config, PROGRAM_DAEMON, default_config_file, argc, argv, &err) != SC_OK ||
	    check_doors(&config, &err) != SC_OK || check_launch(&config, n_ranks, &err) != SC_OK) {
		complain_early(&err);
		config_deinit(&config);
		console_flush(LAST_WORDS_MS);
		return sc_status_exit_code(err.status);
	}
	if (is_cluster && !strcmp(config.transport, "ucx"))
		ucx_env_prepare(argv);
	start_log(&config, rank, is_cluster);
	if (!rank)
		report_warnings(&config);
	if (handle_questions(&config, rank))
		exit_code = report_flush();
	else if (config.check_config)
		fprintf(stderr, "stagecoachd: configuration is valid\n");
	else
		exit_code = serve(&config, argc, argv, is_launched, rank, n_ranks);
	config_deinit(&config);
	console_flush(LAST_WORDS_MS);
	return exit_code;
}

const char default_config_file[] = SYSCONFDIR "/stagecoach/stagecoach.conf";
