/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoachd - the daemon. Started by mpirun or srun, rank 0 coordinates and the others are
 * stages; started alone, it holds all stages itself. */
#include "cli/dial_in.h"
#include "cli/prepare.h"
#include "cli/report.h"
#include "cli/serve.h"
#include "cli/streams.h"

#include "base/console.h"
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
	"       mpirun --enable-recovery -n N stagecoachd -m FILE [OPTION...]\n"
	"       stagecoachd --role coordinator --workers N --cluster-key-file FILE -m FILE\n"
	"       stagecoachd --role worker --coordinator HOST --cluster-key-file FILE -m FILE\n\n"
	"Serve a transformer model in pipeline stages. Under a launcher such as mpirun, rank 0\n"
	"is the coordinator and every other rank is one stage. Without a launcher, all stages run\n"
	"in this process, and --stages sets their number. With --role, workers connect to the\n"
	"coordinator over the network, at any time, and replace one that is lost.\n"
	"Flags override STAGECOACH_* variables. Variables override the configuration file. The\n"
	"default file is " SYSCONFDIR "/stagecoach/stagecoach.conf. --config names another one.\n";

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

static void start_log(const struct config *config, unsigned rank)
{
	char name[32] = "";

	if (rank)
		snprintf(name, sizeof name, "worker %u", rank);
	log_init((enum log_level)config_log_level(config), name);
	log_set_format(config_logs_json(config) ? LOG_JSON : LOG_TEXT);
}

static int run(struct config *config, int argc, char **argv, unsigned rank, unsigned n_ranks,
	       struct launcher *launcher)
{
	const bool is_alone = prepare_is_alone(config, n_ranks);
	bool is_closed;
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
	status = prepare_model(config, n_ranks, &opened, &coordinator, &trouble);
	if (status == SC_OK && !rank)
		report_ignored_keys(opened.model->gguf, config->ignored_keys);
	err = trouble;
	serve.client_bytes = prepare_client_bytes(config);
	if (!is_alone)
		serve.cluster = &cluster;
	if (n_ranks > 1)
		status = cluster_open(&cluster, serve.loop, config,
				      status == SC_OK ? NULL : &trouble, &err);
	else if (!is_alone && status == SC_OK)
		status = dial_in_open(&cluster, serve.loop, config, &err);
	if (status != SC_OK) {
		complain(rank, &err);
		exit_code = sc_status_exit_code(status);
	} else if (prepare_is_worker(config, rank)) {
		exit_code = serve_worker(&serve);
	} else {
		exit_code = serve_coordinator(&serve);
	}
	is_closed = cluster_close(&cluster);
	fflush(NULL);
	if (cluster.is_lost)
		launcher_end(launcher, !rank);
	if (!is_closed) {
		console_flush(LAST_WORDS_MS);
		_exit(exit_code);
	}
	loop_destroy(serve.loop);
	opened_model_close(&opened);
	return exit_code;
}

/* A launcher's processes end with it, from here on. */
static int serve(struct config *config, int argc, char **argv, bool is_launched, unsigned rank,
		 unsigned n_ranks)
{
	struct launcher *launcher = NULL;
	struct error err;
	int exit_code;

	if (is_launched && launcher_watch(&launcher, &err) != SC_OK) {
		complain_early(&err);
		return sc_status_exit_code(err.status);
	}
	exit_code = run(config, argc, argv, rank, n_ranks, launcher);
	launcher_destroy(launcher);
	return exit_code;
}

/* --check-config: every process checks its own machine, the first one tells. */
static int check(const struct config *config, unsigned rank, unsigned n_ranks)
{
	struct error err;

	if (prepare_check(config, n_ranks, rank ? NULL : stdout, &err) == SC_OK)
		return report_flush();
	complain_early(&err);
	return sc_status_exit_code(err.status);
}

/* With the settings loaded. */
static int act(struct config *config, int argc, char **argv, bool is_launched, unsigned rank,
	       unsigned n_ranks)
{
	struct error err;

	if (config->is_print_config && !rank)
		report_warnings(config);	/* of variables that are not among the settings */
	if (handle_questions(config, rank))
		return report_flush();
	if (prepare_settings(config, n_ranks, &err) != SC_OK ||
	    prepare_descriptors(config, n_ranks, &err) != SC_OK) {
		complain_early(&err);
		return sc_status_exit_code(err.status);
	}
	if (!rank)
		report_warnings(config);
	if (config->check_config)
		return check(config, rank, n_ranks);
	return serve(config, argc, argv, is_launched, rank, n_ranks);
}

int main(int argc, char **argv)
{
	unsigned rank = 0, n_ranks = 1;
	struct config config = { 0 };
	struct error err;
	bool is_launched;
	int exit_code;

	streams_reserve();
	is_launched = mpi_world_is_launched(&rank, &n_ranks);
	if (config_load(&config, PROGRAM_DAEMON, default_config_file, argc, argv, &err) == SC_OK) {
		if (!prepare_is_alone(&config, n_ranks) && !strcmp(config.transport, "ucx"))
			ucx_env_prepare(argv);
		start_log(&config, rank);
		exit_code = act(&config, argc, argv, is_launched, rank, n_ranks);
	} else {
		complain_early(&err);
		exit_code = sc_status_exit_code(err.status);
	}
	config_deinit(&config);
	console_flush(LAST_WORDS_MS);
	return exit_code;
}

const char default_config_file[] = SYSCONFDIR "/stagecoach/stagecoach.conf";
