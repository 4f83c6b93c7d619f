/* SPDX-License-Identifier: Apache-2.0 */
/* What metrics observe of the coordinator's sequences and jobs. */
#include "coordinator/coordinator_private.h"

static uint64_t now_ns(const struct coordinator *c)
{
	return loop_now_ns(c->config.loop);
}

static struct metrics_request request_of(const struct job *job, uint32_t i)
{
	return (struct metrics_request){
		.submitted_ns = job->submitted_ns,
		.n_prompt = job->n_prompt_tokens,
		.max_tokens = job->streams[i].writer.max_tokens,
	};
}

static struct metrics_times *times_of(const struct sequence *sequence)
{
	return &sequence->job->streams[sequence->index].times;
}

void coordinator_measure_start(const struct coordinator *c, struct sequence *sequence)
{
	metrics_note_started(times_of(sequence), now_ns(c));
}

void coordinator_measure_token(struct coordinator *c, struct sequence *sequence)
{
	const struct metrics_request request = request_of(sequence->job, sequence->index);

	metrics_note_token(&c->metrics, times_of(sequence), &request, now_ns(c));
}

void coordinator_measure_end(struct coordinator *c, struct job *job, uint32_t i)
{
	struct job_stream *stream = &job->streams[i];
	const struct metrics_request request = request_of(job, i);

	metrics_note_end(&c->metrics, &stream->times, &request, stream->writer.output.finish,
			 now_ns(c));
}

void coordinator_measure_done(struct coordinator *c, const struct job *job)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < job->n_streams; i++)
		if (job->streams[i].times.n_tokens > most)
			most = job->streams[i].times.n_tokens;
	metrics_note_done(&c->metrics, job->n_streams, most);
}
