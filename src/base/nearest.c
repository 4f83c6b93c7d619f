/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

void nearest_init(struct nearest *nearest, const char *word)
{
	*nearest = (struct nearest){ .word = word, .n_slips = strlen(word) / 3 + 1 };
}

static int folded(char c)
{
	return c == '_' ? '-' : tolower((unsigned char)c);
}

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment distance, row by row: rows[i % 3][j] slips turn the first i characters
 * of a into the first j of b. */
static size_t count_slips(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t rows[3][NEAREST_MAX_LENGTH + 1];

	for (size_t j = 0; j <= n_b; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3];

		row[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			bool is_same = folded(a[i - 1]) == folded(b[j - 1]);

			row[j] = min(above[j - 1] + !is_same, min(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
			    folded(a[i - 2]) == folded(b[j - 1]))
				row[j] = min(row[j], rows[(i + 1) % 3][j - 2] + 1);
		}
	}
	return rows[n_a % 3][n_b];
}

void nearest_offer(struct nearest *nearest, const char *known)
{
	size_t n_word = strlen(nearest->word), n_known = strlen(known), n_slips;

	if (n_word > NEAREST_MAX_LENGTH || n_known > NEAREST_MAX_LENGTH)
		return;
	n_slips = count_slips(nearest->word, n_word, known, n_known);
	if (n_slips >= nearest->n_slips)
		return;
	nearest->n_slips = n_slips;
	nearest->best = known;
}
