#include "link/mail.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
mail_add(struct mail *m, const void *data, size_t len)
{
	struct mail_item *i = mem_alloc(sizeof(*i) + len);

	i->next = NULL;
	i->number = ++m->added;
	i->len = len;
	if (len > 0)
		(void)memcpy(i->data, data, len);
	if (m->last != NULL)
		m->last->next = i;
	else
		m->first = i;
	m->last = i;
	if (m->unsent == NULL)
		m->unsent = i;
	m->bytes += len;
}

const struct mail_item *
mail_next(struct mail *m)
{
	struct mail_item *i = m->unsent;

	if (i == NULL)
		return NULL;
	m->unsent = i->next;
	if (i->number > m->sent)
		m->sent = i->number;
	return i;
}

void
mail_rewind(struct mail *m)
{
	m->unsent = m->first;
}

int
mail_acked(struct mail *m, uint64_t number)
{
	struct mail_item *i;

	if (number > m->sent)
		return -1;
	while ((i = m->first) != NULL && i->number <= number) {
		m->first = i->next;
		if (m->first == NULL)
			m->last = NULL;
		/* Being sent again when an old acknowledgement came. */
		if (m->unsent == i)
			m->unsent = i->next;
		m->bytes -= i->len;
		free(i);
	}
	return 0;
}

void
mail_clear(struct mail *m)
{
	struct mail_item *i;

	while ((i = m->first) != NULL) {
		m->first = i->next;
		free(i);
	}
	(void)memset(m, 0, sizeof(*m));
}
