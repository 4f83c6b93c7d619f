/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/service.h"

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
	{ "/grpc.health.v1.Health/Check", &service_health_check },
	{ "/grpc.health.v1.Health/Watch", &service_health_watch },
};
const size_t service_n_methods = sizeof service_methods / sizeof service_methods[0];

void service_init(struct service *service, struct engine *engine)
{
	*service = (struct service){ .engine = engine };
	list_init(&service->health_watchers);
}
