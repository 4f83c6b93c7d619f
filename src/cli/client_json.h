/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLIENT_JSON_H
#define STAGECOACH_CLI_CLIENT_JSON_H
/*
 * client_json - any protobuf message as a line of JSON: the .proto files are the schema of --json.
 * Field names as they are written there; enumerators in lower case without their type's prefix
 * ("running"); integers beyond 2^63 as strings; bytes in hexadecimal; what is not set is left out.
 * Thread: any.
 */
#include "base/buf.h"
#include "base/status.h"

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

/* NULL: out of memory. Caller calls json_decref. */
json_t *client_json(const ProtobufCMessage *message);

/* One line, flushed. SC_E_IO: the file takes no more. */
must_check enum sc_status client_json_print(const ProtobufCMessage *message, FILE *file);

/* Append one line. SC_E_NOMEM. */
must_check enum sc_status client_json_add(const ProtobufCMessage *message, struct buf *line);

/* An enumerator's word, "running" for JOB_STATE_RUNNING; "?" for numbers without one. out has room
 * for n_bytes. */
const char *client_json_word(const ProtobufCEnumDescriptor *type, int value, char *out,
			     size_t n_bytes);

#endif
