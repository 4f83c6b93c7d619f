/* SPDX-License-Identifier: Apache-2.0 */
/* For builds without libedit. */
#include "cli/edit_line.h"

struct edit_line *edit_line_create(struct key_input *input, FILE *screen, const char *path)
{
	(void)input;
	(void)screen;
	(void)path;
	return NULL;
}

void edit_line_destroy(struct edit_line *self)
{
	(void)self;
}

enum key_result edit_line_read(struct edit_line *self, const char *prompt, struct buf *line)
{
	(void)self;
	(void)prompt;
	(void)line;
	return KEY_FAILED;
}

void edit_line_remember(struct edit_line *self, const char *line)
{
	(void)self;
	(void)line;
}
