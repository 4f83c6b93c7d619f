/* SPDX-License-Identifier: Apache-2.0 */
#include "event/errand.h"

static void run(struct work *work)
{
	struct errand *errand = (struct errand *)work;

	errand->run(errand);
}

static void done(struct work *work)
{
	struct errand *errand = (struct errand *)work;

	if (!errand->is_abandoned && !work->is_cancelled)
		errand->answer(errand);
	errand->destroy(errand);
}

enum sc_status errand_start(struct work_pool *pool, struct errand *errand)
{
	errand->work.run = run;
	errand->work.done = done;
	errand->is_abandoned = false;
	return work_start(pool, &errand->work);
}

void errand_abandon(struct errand *errand)
{
	errand->is_abandoned = true;
	if (work_cancel(&errand->work))
		errand->destroy(errand);
}
