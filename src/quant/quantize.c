/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/quantize.h"

#include "base/integers.h"
#include "model/gguf_head.h"
#include "model/tensor_source.h"
#include "quant/output.h"
#include "quant/range.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* Elements per work item of a thread: a multiple of every block length. For matrices whose elements
 * are made when they are read, about as many, in whole rows. */
#define CHUNK ((uint64_t)1 << 18)
#define PROGRESS_MS 100

/* A tensor that is being converted. */
struct passage {
	const struct tensor *from;
	struct tensor to;	/* data is not set */
	uint64_t offset;	/* in the output */
	uint64_t n_elements;
	uint64_t chunk;		/* elements per work item */
};

struct task {
	const struct gguf *gguf;
	const struct quantize_options *options;
	struct passage *passages;	/* [n_passages], owned */
	size_t n_passages;
	struct output *output;
	uint64_t total_bytes;		/* of the input's tensors */
	uint64_t max_chunk;		/* of all passages */

	pthread_mutex_t lock;		/* guards all members below */
	pthread_cond_t change;
	size_t next;			/* the next passage and element to be taken by a thread */
	uint64_t next_element;
	uint64_t done_bytes;
	unsigned n_running;
	enum sc_status status;		/* status of the first failure; all threads stop then */
	struct error err;
};

static uint64_t bytes_of(enum tensor_type type, uint64_t n_elements)
{
	const struct tensor_type_info *info = tensor_type_info(type);

	return n_elements / info->block_length * info->block_bytes;
}

static bool is_float(enum tensor_type type)
{
	return tensor_type_info(type)->block_length == 1;
}

static uint64_t chunk_of(const struct tensor *tensor)
{
	if (tensor->data || tensor->n_dims < 2)
		return CHUNK;
	return max_of(CHUNK / tensor->dims[0], 1) * tensor->dims[0];
}

static enum sc_status plan_passage(struct task *task, const struct quant_facts *facts, size_t i,
				   struct gguf_head *head, struct quantize_result *result,
				   struct error *err)
{
	struct passage *passage = &task->passages[i];
	const struct tensor *from = gguf_tensor(task->gguf, i);
	bool is_fallback = false;

	passage->from = from;
	passage->to = *from;
	if (task->options->mix)
		passage->to.type = quant_mix_type(task->options->mix, facts, from, &is_fallback);
	passage->n_elements = from->dims[0] * from->dims[1] * from->dims[2] * from->dims[3];
	passage->chunk = chunk_of(from);
	task->max_chunk = max_of(task->max_chunk, passage->chunk);
	passage->to.n_bytes = bytes_of(passage->to.type, passage->n_elements);
	if (passage->to.type != from->type && !is_float(from->type) &&
	    !task->options->allows_requantize)
		return error_set(err, SC_E_UNSUPPORTED, "%s: tensor '%s' is %s already: quantize "
				 "the file in F32, F16 or BF16 that it was made from, or give "
				 "--allow-requantize, which loses more", gguf_path(task->gguf),
				 from->name, tensor_type_info(from->type)->name);
	task->total_bytes += from->n_bytes;
	result->n_elements += passage->n_elements;
	result->tensor_bytes += passage->to.n_bytes;
	result->n_fallbacks += is_fallback;
	if (gguf_head_add_tensor(head, &passage->to, &passage->offset))
		return error_set(err, SC_E_NOMEM, "no memory for the tensor directory");
	return SC_OK;
}

static enum sc_status plan(struct task *task, struct gguf_head *head,
			   struct quantize_result *result, struct error *err)
{
	const struct quant_facts facts = quant_facts_of(task->gguf);

	task->n_passages = gguf_n_tensors(task->gguf);
	if (!task->n_passages)
		return error_set(err, SC_E_FORMAT, "%s: expected a model, found a file without "
				 "tensors (a vocabulary alone?): nothing to quantize",
				 gguf_path(task->gguf));
	task->passages = calloc(task->n_passages + 1, sizeof *task->passages);
	if (!task->passages || quant_mix_put_metadata(task->options->mix, task->gguf, head))
		return error_set(err, SC_E_NOMEM, "no memory for the metadata");
	for (size_t i = 0; i < task->n_passages; i++) {
		enum sc_status status = plan_passage(task, &facts, i, head, result, err);

		if (status)
			return status;
	}
	return SC_OK;
}

static enum sc_status begin_output(struct task *task, const struct gguf_head *head,
				   struct quantize_result *result, struct error *err)
{
	const char *to = task->options->to;
	struct buf bytes = BUF_INIT;
	enum sc_status status;

	if (gguf_is_at(task->gguf, to))
		return error_set(err, SC_E_INVALID, "%s: expected another file than the input", to);
	if (gguf_head_finish(head, &bytes)) {
		buf_deinit(&bytes);
		return error_set(err, SC_E_NOMEM, "no memory for the metadata");
	}
	result->file_bytes = bytes.length + head->data_bytes;
	for (size_t i = 0; i < task->n_passages; i++)
		task->passages[i].offset += bytes.length;
	status = output_create(to, result->file_bytes, &task->output, err);
	if (!status)
		status = output_write(task->output, 0, bytes.data, bytes.length, err);
	buf_deinit(&bytes);
	return status;
}

struct worker {
	struct task *task;
	float *floats;		/* [max_chunk], owned */
	uint8_t *blocks;	/* [4 * max_chunk], owned: of the output; before that, elements of
				 * the input that were made */
	pthread_t thread;
};

static enum sc_status refuse_value(const struct task *task, const struct passage *passage,
				   uint64_t element, float value, struct error *err)
{
	const uint64_t n_columns = passage->from->dims[0];

	if (isfinite(value))
		error_set(err, SC_E_FORMAT, "too large for %s: choose a TYPE that holds more, such "
			  "as BF16", tensor_type_info(passage->to.type)->name);
	else
		error_set(err, SC_E_FORMAT, "expected a finite number: the file is damaged, or was "
			  "converted wrongly");
	error_prefix(err, "%s: tensor '%s' has the value %g in row %llu, column %llu",
		     gguf_path(task->gguf), passage->from->name, (double)value,
		     (unsigned long long)(element / n_columns),
		     (unsigned long long)(element % n_columns));
	return SC_E_FORMAT;
}

/* The stored elements: in the file, or made in the worker's memory. */
static enum sc_status get_stored(struct worker *worker, const struct tensor *tensor,
				 uint64_t first, uint64_t n, const uint8_t **stored_out,
				 struct error *err)
{
	enum sc_status status;
	uint8_t *to;

	if (tensor->data) {
		*stored_out = (const uint8_t *)tensor->data + bytes_of(tensor->type, first);
		return SC_OK;
	}
	to = tensor->type == TENSOR_F32 ? (uint8_t *)worker->floats : worker->blocks;
	status = tensor_read(tensor, first, n, to, err);
	if (status)
		error_prefix(err, "%s", gguf_path(worker->task->gguf));
	*stored_out = to;
	return status;
}

static enum sc_status convert(struct worker *worker, const struct passage *passage, uint64_t first,
			      uint64_t n, struct error *err)
{
	const struct quant_kernels *kernels = worker->task->options->kernels;
	const enum tensor_type from_type = passage->from->type, to_type = passage->to.type;
	const uint64_t to = passage->offset + bytes_of(to_type, first);
	const float *floats = worker->floats;
	const uint8_t *from;
	size_t misfit;

	if (get_stored(worker, passage->from, first, n, &from, err))
		return err->status;
	if (from_type == to_type)
		return output_write(worker->task->output, to, from, bytes_of(to_type, n), err);
	if (from_type == TENSOR_F32)
		floats = (const float *)(const void *)from;
	else
		quant_decode(kernels, from_type, from, n, worker->floats);
	misfit = quant_find_misfit(kernels, to_type, floats, n);
	if (misfit < n)
		return refuse_value(worker->task, passage, first + misfit, floats[misfit], err);
	quant_encode(kernels, to_type, floats, n, worker->blocks);
	return output_write(worker->task->output, to, worker->blocks, bytes_of(to_type, n), err);
}

/* Takes the next work item. Returns false if none is left or a thread failed. */
static bool take_chunk(struct task *task, const struct passage **passage_out, uint64_t *first_out,
		       uint64_t *n_out)
{
	const struct passage *passage = &task->passages[task->next];
	uint64_t left;

	if (task->status || task->next == task->n_passages)
		return false;
	left = passage->n_elements - task->next_element;
	*passage_out = passage;
	*first_out = task->next_element;
	*n_out = min_of(left, passage->chunk);
	task->next_element += *n_out;
	if (task->next_element == passage->n_elements) {
		task->next++;
		task->next_element = 0;
	}
	return true;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct task *task = worker->task;
	const struct passage *passage;
	uint64_t first, n;

	pthread_mutex_lock(&task->lock);
	while (take_chunk(task, &passage, &first, &n)) {
		enum sc_status status;
		struct error err;

		pthread_mutex_unlock(&task->lock);
		status = convert(worker, passage, first, n, &err);
		tensor_release(passage->from, bytes_of(passage->from->type, first),
			       bytes_of(passage->from->type, n));
		pthread_mutex_lock(&task->lock);
		task->done_bytes += bytes_of(passage->from->type, n);
		if (status && !task->status) {
			task->status = status;
			task->err = err;
		}
	}
	task->n_running--;
	pthread_cond_signal(&task->change);
	pthread_mutex_unlock(&task->lock);
	return NULL;
}

/* Waits until all threads have ended. Called with the lock held. */
static void watch(struct task *task)
{
	const struct quantize_options *options = task->options;
	struct timespec until;

	while (task->n_running > 0) {
		const uint64_t done_bytes = task->done_bytes;
		bool goes_on = true;

		if (options->on_progress && !task->status) {
			pthread_mutex_unlock(&task->lock);
			goes_on = options->on_progress(options->arg, done_bytes,
						       task->total_bytes);
			pthread_mutex_lock(&task->lock);
		}
		if (!goes_on && !task->status)
			task->status = error_set(&task->err, SC_E_CANCELLED, "interrupted");
		if (task->n_running == 0)
			return;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += PROGRESS_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&task->change, &task->lock, &until);
	}
}

static enum sc_status start_worker(struct worker *worker, struct task *task, struct error *err)
{
	worker->task = task;
	worker->floats = malloc(task->max_chunk * sizeof *worker->floats);
	worker->blocks = malloc(task->max_chunk * sizeof *worker->floats);
	if (!worker->floats || !worker->blocks ||
	    pthread_create(&worker->thread, NULL, work, worker))
		return error_set(err, SC_E_NOMEM, "no memory for a thread");
	task->n_running++;
	return SC_OK;
}

static enum sc_status run(struct task *task, struct error *err)
{
	const unsigned n_threads = task->options->n_threads;
	struct worker *workers = calloc(n_threads, sizeof *workers);
	enum sc_status status = SC_OK;
	unsigned n = 0;

	if (!workers)
		return error_set(err, SC_E_NOMEM, "no memory for threads");
	pthread_mutex_lock(&task->lock);
	for (; n < n_threads && !status; n++)
		status = start_worker(&workers[n], task, &task->err);
	if (status)
		task->status = status;
	watch(task);
	pthread_mutex_unlock(&task->lock);
	for (unsigned i = 0; i < n; i++) {
		if (i + 1 < n || !status)
			pthread_join(workers[i].thread, NULL);
		free(workers[i].floats);
		free(workers[i].blocks);
	}
	free(workers);
	if (task->status && err)
		*err = task->err;
	return task->status;
}

enum sc_status quantize(const struct gguf *from, const struct quantize_options *options,
			struct quantize_result *result_out, struct error *err)
{
	struct task task = {
		.gguf = from, .options = options, .lock = PTHREAD_MUTEX_INITIALIZER,
		.change = PTHREAD_COND_INITIALIZER,
	};
	struct quantize_result result = { 0 };
	struct gguf_head head;
	enum sc_status status;

	assert(options->n_threads > 0);
	gguf_head_init(&head, from);
	status = plan(&task, &head, &result, err);
	if (!status)
		status = begin_output(&task, &head, &result, err);
	gguf_head_deinit(&head);
	if (!status)
		status = run(&task, err);
	if (!status) {
		status = output_commit(task.output, err);
		task.output = NULL;
	}
	output_abandon(task.output);
	free(task.passages);
	if (!status)
		*result_out = result;
	return status;
}
