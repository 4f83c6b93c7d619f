/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/prompt_queue.h"

void prompt_queue_init(struct prompt_queue *queue)
{
	list_init(&queue->clients);
}

static struct share_client *first_client(const struct prompt_queue *queue)
{
	if (list_is_empty(&queue->clients))
		return NULL;
	return list_entry(queue->clients.next, struct share_client, prompt_node);
}

static struct sequence *first_prompt(const struct share_client *client)
{
	return list_entry(client->prompts.next, struct sequence, node);
}

/* Behind all other clients, if it has more prompts. */
static void end_turn(struct prompt_queue *queue, struct share_client *client)
{
	client->n_turn_rows = 0;
	list_remove(&client->prompt_node);
	if (!list_is_empty(&client->prompts))
		list_append(&queue->clients, &client->prompt_node);
}

void prompt_queue_add(struct prompt_queue *queue, struct sequence *sequence)
{
	struct share_client *client = sequence->share->client;

	if (list_is_empty(&client->prompts))
		list_append(&queue->clients, &client->prompt_node);
	sequence_insert_by_ticket(&client->prompts, sequence);
}

void prompt_queue_remove(struct prompt_queue *queue, struct sequence *sequence)
{
	struct share_client *client = sequence->share->client;
	bool is_turn_over = client == first_client(queue) && sequence == first_prompt(client);

	list_remove(&sequence->node);
	if (is_turn_over || list_is_empty(&client->prompts))
		end_turn(queue, client);
}

struct sequence *prompt_queue_first(const struct prompt_queue *queue)
{
	const struct share_client *client = first_client(queue);

	return client ? first_prompt(client) : NULL;
}

static bool has_others(const struct prompt_queue *queue)
{
	return queue->clients.next != queue->clients.prev;
}

uint32_t prompt_queue_turn_left(const struct prompt_queue *queue)
{
	return has_others(queue) ? PROMPT_TURN - first_client(queue)->n_turn_rows : UINT32_MAX;
}

void prompt_queue_note_rows(struct prompt_queue *queue, uint32_t n_rows)
{
	struct share_client *client = first_client(queue);

	if (!has_others(queue))
		return;
	client->n_turn_rows += n_rows;
	if (client->n_turn_rows >= PROMPT_TURN)
		end_turn(queue, client);
}

uint64_t prompt_queue_count_rows(const struct prompt_queue *queue)
{
	uint64_t n = 0;

	list_for_each(node, &queue->clients) {
		const struct share_client *client =
			list_entry(node, struct share_client, prompt_node);

		list_for_each(prompt, &client->prompts) {
			const struct sequence *sequence =
				list_entry(prompt, struct sequence, node);

			n += sequence->n_tokens - sequence->n_issued;
		}
	}
	return n;
}
