#include "pg/server_words.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

void
server_words_fini(struct server_words *w)
{
	size_t i;

	for (i = 0; i < w->count; i++)
		free(w->words[i]);
	free(w->words);
	w->words = NULL;
	w->count = 0;
}

void
server_words_add(struct server_words *w, const char *word)
{
	w->words = mem_rearray(w->words, w->count + 2, sizeof(*w->words));
	w->words[w->count++] = mem_strdup(word);
	w->words[w->count] = NULL;
}

static int
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

int
server_words_split(struct server_words *w, const char *text, struct err *e)
{
	AUTO_BUF struct buf word = BUF_INIT;
	const char *p = text;
	char quote;

	for (;;) {
		while (is_blank(*p))
			p++;
		if (*p == '\0')
			return 0;
		buf_clear(&word);
		for (quote = '\0'; *p != '\0'; p++) {
			if (quote == '\0' && is_blank(*p))
				break;
			if (quote == '\0' && (*p == '\'' || *p == '"'))
				quote = *p;
			else if (quote != '\0' && *p == quote)
				quote = '\0';
			else if (*p == '\\' && quote != '\'' && p[1] != '\0')
				buf_put_u8(&word, (uint8_t) * ++p);
			else
				buf_put_u8(&word, (uint8_t)*p);
		}
		if (quote != '\0')
			return err_set(e, ERR_USAGE,
			    "a quote (%c) is not closed in: %s", quote, text);
		server_words_add(w, buf_str(&word));
	}
}

const char *const *
server_words_argv(const struct server_words *w)
{
	return (const char *const *)w->words;
}
