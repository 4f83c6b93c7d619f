/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HTTP_REQUEST_ID_H
#define STAGECOACH_HTTP_REQUEST_ID_H
/*
 * request_id - the name that a client gives a request in a header field "x-request-id". The name
 * goes into logs and back to the client, so only short ids of harmless characters are taken.
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>

#define REQUEST_ID_MAX 64

/* Copies the id and a NUL. Returns false, and copies nothing, if it is empty, longer than
 * REQUEST_ID_MAX, or has white space, control characters, or one of "\,;<> and its like. */
bool request_id_copy(char out[REQUEST_ID_MAX + 1], const char *value, size_t n_bytes);

#endif
