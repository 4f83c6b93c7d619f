/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CONFIG_FILE_H
#define STAGECOACH_CONFIG_FILE_H
/* file - the configuration file, in libconfig's language: `ctx_size = 4096;` */
#include "config/config.h"

/* Sets what the file says on top of config. Keys of the other program are accepted and ignored.
 * SC_E_CONFIG: err begins with "FILE:LINE: ". */
must_check enum sc_status config_file_read(struct config *config, enum program program,
					   const char *path, struct error *err);

#endif
