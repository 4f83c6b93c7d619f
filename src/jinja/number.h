/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_NUMBER_H
#define STAGECOACH_JINJA_NUMBER_H
/*
 * number - numbers as Python reads and writes them.
 */
#include "jinja/value.h"

enum { NUMBER_TEXT_MAX = 40 };

/* Value of a digit of any base up to 36, or -1. */
int number_digit(char c);
/* Of an integer as expressions have it: 12, 0x1f, 0o17, 0b1. False: over 64 bits. */
bool number_read_literal(const char *text, int64_t *value_out);
double number_read_float(const char *text);
/* int(text, base) and float(text) of Python: white space around, underscores between digits. */
bool number_parse_int(const char *text, size_t n_bytes, unsigned base, int64_t *value_out);
bool number_parse_float(const char *text, size_t n_bytes, double *value_out);
/* repr(real): the shortest text that is read as the same number. */
void number_write_float(double real, char text[NUMBER_TEXT_MAX]);

#endif
