/*
 * output: JSON and tables.
 */

#include <stdarg.h>
#include <string.h>
#include <wchar.h>

#include "base/mem.h"
#include "cli/cli.h"

void
cli_print_json(const struct cli *cli, json_t *object)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = json_object();

	json_set_u64(j, "version", CLI_JSON_VERSION);
	json_set_str(j, "command", cli->cmd->name);
	(void)json_object_update(j, object);
	json_decref(object);
	json_write_pretty(j, &text);
	(void)printf("%s\n", buf_str(&text));
}

struct table {
	size_t columns, cells;
	bool *right;
	char **text; /* heads first */
};

struct table *
table_new(const char *const *heads, size_t columns)
{
	struct table *t = mem_zalloc(sizeof(*t));
	size_t i;

	t->columns = columns;
	t->right = mem_zarray(columns, sizeof(t->right[0]));
	for (i = 0; i < columns; i++) {
		t->right[i] = heads[i][0] == '>';
		table_cell(t, "%s", heads[i] + (t->right[i] ? 1 : 0));
	}
	return t;
}

void
table_free(struct table *t)
{
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; i < t->cells; i++)
		free(t->text[i]);
	free(t->text);
	free(t->right);
	free(t);
}

void
table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;

	t->text = mem_rearray(t->text, t->cells + 1, sizeof(char *));
	va_start(ap, fmt);
	t->text[t->cells++] = mem_vprintf(fmt, ap);
	va_end(ap);
}

/* The last column of a row that has text; blanks behind it are not printed. */
static size_t
row_end(const struct table *t, size_t row)
{
	size_t end = t->columns;

	while (end > 1 && t->text[row * t->columns + end - 1][0] == '\0')
		end--;
	return end;
}

void
table_print(struct table *t, FILE *out)
{
	AUTO_FREE size_t *widths = mem_zarray(t->columns, sizeof(size_t));
	size_t i, len;

	for (i = 0; i < t->cells; i++) {
		len = strlen(t->text[i]);
		if (len > widths[i % t->columns])
			widths[i % t->columns] = len;
	}
	for (i = 0; i < t->cells; i++) {
		size_t column = i % t->columns;
		size_t end = row_end(t, i / t->columns);
		bool last = column + 1 == end;

		if (column >= end)
			continue;
		if (t->right[column])
			(void)fprintf(
			    out, "%*s", (int)widths[column], t->text[i]);
		else
			(void)fprintf(out, "%-*s",
			    last ? 0 : (int)widths[column], t->text[i]);
		(void)fputs(last ? "\n" : "  ", out);
	}
}
