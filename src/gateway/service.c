/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/service.h"

#include "engine/engine.h"

const struct grpc_method service_methods[] = {
	{ "/stagecoach.v1.Stagecoach/Generate", &service_generate },
	{ "/stagecoach.v1.Stagecoach/Submit", &service_submit },
	{ "/stagecoach.v1.Stagecoach/Get", &service_get },
	{ "/stagecoach.v1.Stagecoach/Watch", &service_watch },
	{ "/stagecoach.v1.Stagecoach/List", &service_list },
	{ "/stagecoach.v1.Stagecoach/Cancel", &service_cancel },
	{ "/stagecoach.v1.Stagecoach/Tokenize", &service_tokenize },
	{ "/stagecoach.v1.Stagecoach/Detokenize", &service_detokenize },
	{ "/stagecoach.v1.Stagecoach/GetModel", &service_get_model },
	{ "/stagecoach.v1.Stagecoach/GetStatus", &service_get_status },
	{ "/stagecoach.v1.Stagecoach/ListWorkers", &service_list_workers },
	{ "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &service_reflection },
	{ "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &service_reflection },
	{ "/grpc.health.v1.Health/Check", &service_health_check },
	{ "/grpc.health.v1.Health/Watch", &service_health_watch },
};
const size_t service_n_methods = sizeof service_methods / sizeof service_methods[0];

void service_init(struct service *service, struct engine *engine)
{
	*service = (struct service){ .engine = engine };
	list_init(&service->health_watchers);
}

enum sc_status service_find_job(struct grpc_call *call, const char *id, struct job **job_out,
				struct error *err)
{
	struct service *service = grpc_call_context(call);
	struct job *job;
	enum sc_status status = engine_find(service->engine, id, &job, err);

	if (status != SC_OK)
		return status;
	if (!grpc_call_may_see(call, job_client_id(job))) {
		job_release(job);
		return error_set(err, SC_E_NOT_FOUND, "this API key has no job %s", id);
	}
	*job_out = job;
	return SC_OK;
}
