/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/hello.h"

#include "wire/control.h"

#include <stdio.h>
#include <string.h>

typedef Stagecoach__Cluster__V1__Hello hello_message;

void hello_identify(const hello_message *message, struct hello *out)
{
	*out = (struct hello){ .incarnation = message->incarnation, .pid = message->pid };
	snprintf(out->worker_id, sizeof out->worker_id, "%s", message->worker_id);
	snprintf(out->host, sizeof out->host, "%s", message->host);
	snprintf(out->version, sizeof out->version, "%s", message->version);
}

static uint32_t read_limits(Stagecoach__Cluster__V1__ResourceLimit *const *limits, size_t n,
			    struct resource_limit *out)
{
	if (n > RESOURCES_MAX_LIMITS)
		n = RESOURCES_MAX_LIMITS;
	for (size_t i = 0; i < n; i++)
		out[i] = (struct resource_limit){ limits[i]->id, limits[i]->amount };
	return (uint32_t)n;
}

static void read_resources(const Stagecoach__Cluster__V1__Resources *message,
			   struct resources *out)
{
	if (!message)
		return;
	out->n_memory = read_limits(message->memory, message->n_memory, out->memory);
	out->n_processors = read_limits(message->processors, message->n_processors,
					out->processors);
}

static enum sc_status check_identity(const hello_message *message, const struct hello *hello,
				     struct error *err)
{
	if (message->protocol_version != CONTROL_PROTOCOL_VERSION)
		return error_set(err, SC_E_PROTOCOL, "speaks protocol %u (version %.32s), expected "
				 "%u (version " PACKAGE_VERSION "): install the same stagecoach on "
				 "all machines", message->protocol_version, message->version,
				 CONTROL_PROTOCOL_VERSION);
	if (!*message->worker_id || strlen(message->worker_id) >= sizeof hello->worker_id)
		return error_set(err, SC_E_PROTOCOL, "its Hello has a worker id of %zu bytes, "
				 "expected 1 to %zu", strlen(message->worker_id),
				 sizeof hello->worker_id - 1);
	if (!message->incarnation)
		return error_set(err, SC_E_PROTOCOL, "its Hello has no incarnation: install the "
				 "same stagecoach on all machines");
	return SC_OK;
}

static enum sc_status check_wish(const hello_message *message, const struct hello_wish *wish,
				 struct error *err)
{
	if (message->model_fingerprint != wish->model_fingerprint)
		return error_set(err, SC_E_INVALID, "has opened another model file than the "
				 "coordinator, or rounds it to other types: copy the same file to "
				 "all machines, and give all processes the same --weight-type");
	if (message->model_samples != wish->model_samples)
		return error_set(err, SC_E_INVALID, "has opened a model file with the same header "
				 "as the coordinator's, but other tensor data: copy the same file "
				 "to all machines");
	if (strcmp(message->fabric, wish->fabric))
		return error_set(err, SC_E_CONFIG, "has data links of kind \"%.16s\", expected "
				 "\"%.16s\": give all processes the same --transport",
				 message->fabric, wish->fabric);
	return SC_OK;
}

enum sc_status hello_read(const hello_message *message, const struct hello_wish *wish,
			  struct hello *out, struct error *err)
{
	struct hello hello;
	enum sc_status status;

	hello_identify(message, &hello);
	status = check_identity(message, &hello, err);
	if (status == SC_OK)
		status = check_wish(message, wish, err);
	if (status == SC_OK)
		status = kernels_read(message->backend, message->instruction_set,
				      message->kernel_version, message->libm_fingerprint,
				      &hello.kernels, err);
	if (status != SC_OK)
		return status;
	hello.launch_rank = message->launch_rank;
	hello.memory_bytes = message->memory_bytes;
	hello.n_threads = message->n_threads;
	read_resources(message->resources, &hello.resources);
	hello.held_first_layer = message->held_first_layer;
	hello.held_n_layers = message->held_n_layers;
	*out = hello;
	return SC_OK;
}

void hello_name(const struct hello *hello, char *text, size_t n_bytes)
{
	snprintf(text, n_bytes, "worker %s (host %s, pid %u)", hello->worker_id, hello->host,
		 hello->pid);
}

int hello_compare(const struct hello *a, const struct hello *b)
{
	uint32_t rank_a = a->launch_rank ? a->launch_rank : UINT32_MAX;
	uint32_t rank_b = b->launch_rank ? b->launch_rank : UINT32_MAX;

	if (rank_a != rank_b)
		return rank_a < rank_b ? -1 : 1;
	return strverscmp(a->worker_id, b->worker_id);
}
