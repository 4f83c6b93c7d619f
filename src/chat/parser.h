/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_PARSER_H
#define STAGECOACH_CHAT_PARSER_H
/*
 * parser - reads a model's output piece by piece. Private to chat; chat.h has the public part.
 *
 * Output is collected in `pending`. A state looks at the text at `scan` and says whether it could
 * go on. It must decide the same way when more text is there, so that the pieces make no
 * difference.
 * Text between `at` and `scan` was looked at, but nothing was said of it yet: if it turns out to be
 * no tool call, parser_reject gives it back as content. parser_begin_call makes it a call for good.
 *
 * Rules for output that is not as it should be:
 * - What is no complete beginning of a call (mark, and name) is content, unchanged.
 * - A call that breaks off behind its name keeps the arguments so far; text behind a broken call is
 *   content.
 * - Without tools in the request, or with tool_choice none, calls are content. So they are after
 *   PARSER_MAX_REREAD bytes of beginnings that were no calls: an answer of nothing else would take
 *   time by the square of its length.
 */
#include "base/buf.h"
#include "chat/arguments.h"
#include "chat/chat.h"
#include "chat/family.h"
#include "chat/format.h"
#include "chat/json_scan.h"

#define PARSER_MAX_NAME 128
#define PARSER_MAX_CALLS 256
#define PARSER_MAX_HELD (1u << 20)	/* bytes that may wait for a decision */
#define PARSER_MAX_REREAD (4u << 20)	/* bytes of text that was no call and is read again */
#define PARSER_MAX_SPACE 4096		/* bytes of white space that may wait */

/* JSON objects with the name and the arguments of a call. */
struct json_calls {
	uint8_t state;
	bool is_array;
	bool is_bare;		/* no mark says that this is a call: the name must be a tool's */
	bool ends_fence;	/* Command-R: ``` is behind the array */
	enum mark_id close;	/* behind the object or array, or MARK_NONE */
	/* of the object that is being read */
	bool has_name, has_arguments, has_begun;
	bool is_silent;		/* what is read is no call after all, and is not shown */
	uint8_t n_nested;
	uint8_t key;
	char key_text[16];
	size_t n_key;
	size_t arguments_start, arguments_end;	/* from `at`, of arguments before the name */
	struct json_scan scan;
	struct json_unescape unescape;
};

/* Arguments that are marked one by one. */
struct tagged_arguments {
	const struct tag_style *style;
	unsigned types;		/* of the value's schema */
	bool is_first;		/* no argument was written yet */
	bool is_text;		/* the value is a string and is passed on as it comes */
	size_t n_searched;	/* bytes of the value without an end */
};

#define PYTHON_MAX_DEPTH 64

struct python_calls {
	uint8_t state;
	bool is_listed;		/* between [ and ] */
	bool has_begun;		/* a call has begun, now or earlier */
	bool needs_comma;	/* before the next value or key */
	char quote;		/* of the string that is being read */
	uint8_t n_hex;		/* digits of \x, \u or \U that are still to come */
	uint32_t code;
	uint32_t depth;		/* of lists and dictionaries within an argument */
	char closers[PYTHON_MAX_DEPTH];
	bool is_key[PYTHON_MAX_DEPTH];	/* of a dictionary: a key is being read */
	char word[PARSER_MAX_NAME];
	size_t n_word;
	enum mark_id close;
	size_t start;		/* from `at`: where the text behind the mark begins */
	const json_t *code_tool;	/* text that is no call is code for this tool; or NULL */
};

struct harmony {
	enum chat_delta_kind kind;	/* of the message that is being read */
	bool is_first;			/* nothing of the message came out yet */
	bool had[2];			/* content and reasoning: a message came before */
};

struct chat_parser {
	const struct chat_format *format;
	const json_t *tools;		/* NULL: calls are not looked for */
	chat_delta_fn *fn;
	void *arg;
	enum sc_status status;		/* the first failure */
	struct mark_filter filter;
	struct buf pending;
	size_t at, scan;
	size_t reject_to;		/* where content goes on after parser_reject */
	size_t n_reread;		/* bytes that parser_reject gave back to be read again */
	enum mark_id opened;		/* the mark before the call */
	parser_state *state;
	bool is_final;			/* no more output comes */
	bool may_reason;		/* nothing but white space came yet */
	bool follows_reasoning;
	bool is_in_call;		/* a call has begun and not ended */
	bool begins[256];		/* marks that matter in content begin with these bytes */
	uint64_t id_seed;
	uint32_t n_calls;
	char id[10];
	char name[PARSER_MAX_NAME + 1];
	size_t n_name;
	struct buf written;		/* arguments that the parser writes itself */
	struct json_calls json;
	struct json_scan value;		/* arguments that are one JSON value */
	bool value_is_fenced;
	enum mark_id value_close;
	struct tagged_arguments tagged;
	struct python_calls python;
	struct harmony harmony;
};

/* --- the text at hand --- */

static inline const char *parser_view(const struct chat_parser *parser, size_t *n_out)
{
	*n_out = parser->pending.length - parser->scan;
	return parser->pending.data + parser->scan;
}

/* Moves scan behind white space; false: there is nothing behind it yet. */
bool parser_skip_space(struct chat_parser *parser);
/* Compares the text at scan with a mark, and moves scan behind it if it matches. */
enum mark_match parser_match(struct chat_parser *parser, enum mark_id id);
/* The same for a text. */
enum mark_match parser_match_text(struct chat_parser *parser, const char *text);
/* Finds the first place at or behind scan where one of the marks `ids` is, or may begin; the end of
 * the text if there is none. id_out: which mark; NULL, or not set if there is none. */
size_t parser_find_mark(const struct chat_parser *parser, const enum mark_id *ids, size_t n_ids,
			enum mark_match *match_out, enum mark_id *id_out);
/* What was looked at is done with. */
void parser_commit(struct chat_parser *parser);

/* --- what comes out --- */

void parser_emit(struct chat_parser *parser, enum chat_delta_kind kind, const char *text,
		 size_t n);
/* Begins a call of the tool `name` of the parser (n_name bytes), and commits. Returns false, with
 * nothing done, if there are too many calls. */
bool parser_begin_call(struct chat_parser *parser);
/* Sets the name. false: longer than PARSER_MAX_NAME, or empty. */
bool parser_set_name(struct chat_parser *parser, const char *name, size_t n);
/* The tool of the request with the parser's name, or NULL. */
const json_t *parser_find_tool(const struct chat_parser *parser);
void parser_arguments(struct chat_parser *parser, const char *text, size_t n);
/* Arguments that are made piece by piece: what is in `written` comes out with parser_flush. */
void parser_write(struct chat_parser *parser, const char *text);
void parser_write_bytes(struct chat_parser *parser, const char *text, size_t n);
void parser_write_escaped(struct chat_parser *parser, const char *text, size_t n);
void parser_flush(struct chat_parser *parser);
/* Remembers the first failure. */
void parser_keep(struct chat_parser *parser, enum sc_status status);
/* Commits, and goes on with content. */
enum progress parser_end_call(struct chat_parser *parser);
/* The text since `at` is no call, up to reject_to; content goes on there. */
enum progress parser_reject(struct chat_parser *parser);
enum progress parser_go(struct chat_parser *parser, parser_state *state);

/* --- states --- */

parser_state parse_start, parse_content, parse_reasoning;
/* Calls in JSON: behind a mark, or without one. */
parser_state json_calls_open, json_calls_bare, json_calls_action, json_calls_run;
/* name, mark, JSON. */
parser_state deepseek_open, kimi_open, mistral_open, glm4_bare;
/* Calls with tags. */
parser_state qwen_coder_open, glm45_open;
/* Calls in Python. */
parser_state llama3_python_open, llama4_open, llama4_bare;
parser_state harmony_first;

/* Reads a JSON value as arguments: from scan on, then `close` (or MARK_NONE). */
enum progress parse_value_begin(struct chat_parser *parser, enum mark_id close);

#endif
