/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CONFIG_ENVIRONMENT_H
#define STAGECOACH_CONFIG_ENVIRONMENT_H
/*
 * environment - the variables STAGECOACH_*: STAGECOACH_CTX_SIZE is --ctx-size, for every program
 * that has that flag. An empty one counts as unset.
 * Kubernetes sets variables of such names for a service called "stagecoach", or "stagecoach-...":
 * STAGECOACH_PORT=tcp://10.0.0.7:8080, STAGECOACH_SERVICE_HOST, STAGECOACH_PORT_8080_TCP_ADDR. They
 * are not meant for this program, which leaves a note. Other unknown names leave a warning.
 * Thread: one at a time; nobody may change the environment meanwhile.
 */
#include "config/config.h"

/* Sets what the variables say on top of config, but for the options that flags (a config that only
 * the command line was read into) gives: what a flag overrides may be nonsense. SC_E_CONFIG: err
 * names the variable. */
must_check enum sc_status config_read_environment(struct config *config, enum program program,
						  const struct config *flags, struct error *err);

#endif
