/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_SYMBOLS_H
#define STAGECOACH_GATEWAY_SYMBOLS_H
/*
 * symbols - the names that the .proto files of the served methods declare. The build puts the
 * files, as descriptors, into the program.
 * Thread: any; one at a time.
 */
#include "base/status.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct symbols;

/* SC_E_NOMEM. */
must_check enum sc_status symbols_create(struct symbols **symbols_out);
/* Accepts NULL. */
void symbols_destroy(struct symbols *symbols);

/* The file of this name ("stagecoach/v1/stagecoach.proto"), or the one that declares this name, as
 * a serialized FileDescriptorProto; borrowed until destroy. NULL: there is none. */
const ProtobufCBinaryData *symbols_file(const struct symbols *symbols, const char *name);
const ProtobufCBinaryData *symbols_file_of(const struct symbols *symbols, const char *symbol);
/* Is it a message's name? */
bool symbols_has_message(const struct symbols *symbols, const char *name);

/* Writes the full names of all services, at most max of them, and returns their number. They are
 * borrowed until destroy. */
#define SYMBOLS_MAX_SERVICES 16
size_t symbols_services(const struct symbols *symbols, const char **names_out, size_t max);

#endif
