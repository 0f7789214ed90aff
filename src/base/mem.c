#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void
out_of_memory(size_t bytes)
{
	(void)fprintf(
	    stderr, "pgkura: out of memory (asked for %zu bytes)\n", bytes);
	abort();
}

static size_t
product(size_t count, size_t bytes_each)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, bytes_each, &bytes))
		out_of_memory(SIZE_MAX);
	return bytes;
}

void *
mem_alloc(size_t bytes)
{
	void *p = malloc(bytes == 0 ? 1 : bytes);

	if (p == NULL)
		out_of_memory(bytes);
	return p;
}

void *
mem_zalloc(size_t bytes)
{
	void *p = calloc(1, bytes == 0 ? 1 : bytes);

	if (p == NULL)
		out_of_memory(bytes);
	return p;
}

void *
mem_array(size_t count, size_t bytes_each)
{
	return mem_alloc(product(count, bytes_each));
}

void *
mem_zarray(size_t count, size_t bytes_each)
{
	return mem_zalloc(product(count, bytes_each));
}

void *
mem_realloc(void *p, size_t bytes)
{
	void *q = realloc(p, bytes == 0 ? 1 : bytes);

	if (q == NULL)
		out_of_memory(bytes);
	return q;
}

void *
mem_rearray(void *p, size_t count, size_t bytes_each)
{
	return mem_realloc(p, product(count, bytes_each));
}

void *
mem_pages(size_t bytes)
{
	void *p = NULL;

	if (posix_memalign(&p, 4096, bytes == 0 ? 1 : bytes) != 0)
		out_of_memory(bytes);
	return p;
}

char *
mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

char *
mem_strndup(const char *s, size_t len)
{
	char *p = mem_alloc(len + 1);

	(void)memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *
mem_vprintf(const char *fmt, va_list ap)
{
	char *p = NULL;

	if (vasprintf(&p, fmt, ap) == -1)
		out_of_memory(0);
	return p;
}

char *
mem_printf(const char *fmt, ...)
{
	char *p;
	va_list ap;

	va_start(ap, fmt);
	p = mem_vprintf(fmt, ap);
	va_end(ap);
	return p;
}
