/*
 * common: messages, names, and becoming pgkura.
 */

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wal-client/client.h"

#define WORDS_MAX 24

void
complain(int error, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "pgkura-wal: %s%s%s\n", text,
	    error == 0 ? "" : ": ", error == 0 ? "" : strerror(error));
}

const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

bool
folder_of(const char *path, char *out, size_t bytes)
{
	size_t len = (size_t)(base_name(path) - path);

	if (len == 0) {
		path = ".";
		len = 1;
	} else if (len > 1) {
		len--; /* the slash */
	}
	if (len >= bytes)
		return false;
	(void)memcpy(out, path, len);
	out[len] = '\0';
	return true;
}

bool
is_segment(const char *name)
{
	return strspn(name, "0123456789ABCDEF") == 24 && name[24] == '\0';
}

/* ---- pgkura ---- */

struct words {
	const char *list[WORDS_MAX];
	unsigned int count;
};

static void
add(struct words *w, const char *option, const char *value)
{
	if (option != NULL && value == NULL)
		return;
	if (option != NULL)
		w->list[w->count++] = option;
	w->list[w->count++] = value;
}

/* "pgkura" in the folder of our own program, if it is there. */
static bool
find_beside(char out[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 8);

	if (len <= 0)
		return false;
	self[len] = '\0';
	(void)strcpy(self + (base_name(self) - self), "pgkura");
	(void)strcpy(out, self);
	return access(out, X_OK) == 0;
}

void
become_pgkura(const struct options *o, const char *what)
{
	struct words w = { .count = 0 };
	char beside[PATH_MAX];
	const char *program = o->pgkura;
	int i;

	add(&w, NULL, "pgkura");
	add(&w, NULL, "wal");
	add(&w, NULL, what);
	add(&w, "--config", o->config);
	add(&w, "--cluster", o->cluster);
	add(&w, "--lineage", o->lineage);
	add(&w, "--ahead", o->ahead);
	add(&w, "--wait", o->wait);
	if (o->standby)
		add(&w, NULL, "--standby");
	add(&w, NULL, "--");
	for (i = 0; i < o->count; i++)
		add(&w, NULL, o->args[i]);
	w.list[w.count] = NULL;

	if (program == NULL && find_beside(beside))
		program = beside;
	if (program == NULL)
		program = "pgkura";
	(void)execvp(program, (char *const *)(void *)w.list);
	complain(errno, "could not run \"%s\"", program);
}
