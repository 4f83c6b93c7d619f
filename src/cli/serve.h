/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_SERVE_H
#define STAGECOACH_CLI_SERVE_H
/*
 * serve - the two lives of stagecoachd: as coordinator with its doors, and as worker.
 * Each runs the loop until the end and returns the exit code.
 */
#include "cli/cluster.h"
#include "engine/engine.h"
#include "transport/launcher.h"

struct serve_config {
	struct config *config;			/* changes on SIGHUP */
	int argc;				/* to read it again */
	char **argv;
	const struct opened_model *opened;
	struct loop *loop;
	struct launcher *launcher;		/* NULL: started alone */
	struct cluster *cluster;		/* NULL: all stages in this process */
	const struct coordinator_config *coordinator;
	size_t client_bytes;			/* of all clients; 0: there are none */
};

int serve_coordinator(const struct serve_config *serve);
int serve_worker(const struct serve_config *serve);

extern const char default_config_file[];

#endif
