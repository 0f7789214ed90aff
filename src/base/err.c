#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int
err_vset(struct err *e, enum err_kind kind, const char *fmt, va_list ap)
{
	if (e == NULL)
		return -1;
	e->kind = kind;
	e->sys_errno = 0;
	e->hint[0] = '\0';
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	return -1;
}

int
err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)err_vset(e, kind, fmt, ap);
	va_end(ap);
	return -1;
}

int
err_sys(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	size_t len;
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	(void)err_vset(e, ERR_IO, fmt, ap);
	va_end(ap);
	e->sys_errno = saved;
	len = strlen(e->text);
	(void)snprintf(
	    e->text + len, sizeof(e->text) - len, ": %s", strerror(saved));
	errno = saved;
	return -1;
}

int
err_ctx(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->text)];
	size_t len;
	va_list ap;

	if (e == NULL)
		return -1;
	(void)memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	len = strlen(e->text);
	(void)snprintf(e->text + len, sizeof(e->text) - len, ": %s", old);
	return -1;
}

int
err_hint(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
	return -1;
}

void
err_clear(struct err *e)
{
	e->kind = ERR_NONE;
	e->sys_errno = 0;
	e->text[0] = '\0';
	e->hint[0] = '\0';
}

int
err_exit_status(const struct err *e)
{
	switch (e->kind) {
	case ERR_NONE:
		return 0;
	case ERR_USAGE:
		return 2;
	case ERR_CORRUPT:
		return 3;
	case ERR_CONFLICT:
		return 4;
	case ERR_TRANSIENT:
		return 75;
	case ERR_IO:
	case ERR_NOT_FOUND:
	case ERR_REFUSED:
	case ERR_CANCELED:
	case ERR_BUG:
		break;
	}
	return 1;
}

const char *
err_kind_name(enum err_kind kind)
{
	switch (kind) {
	case ERR_NONE:
		return "none";
	case ERR_USAGE:
		return "usage";
	case ERR_TRANSIENT:
		return "transient";
	case ERR_IO:
		return "io";
	case ERR_CORRUPT:
		return "corrupt";
	case ERR_CONFLICT:
		return "conflict";
	case ERR_NOT_FOUND:
		return "not_found";
	case ERR_REFUSED:
		return "refused";
	case ERR_CANCELED:
		return "canceled";
	case ERR_BUG:
		break;
	}
	return "bug";
}
