#ifndef BASE_AUTO_H
#define BASE_AUTO_H

/*
 * auto: locals that give back what they own when they go out of scope.
 *
 * Every local that owns something is declared AUTO_..., initialised, and
 * handed on with steal_ptr() or steal_fd().
 */

#include <stdlib.h>
#include <unistd.h>

/* Some are there only to be cleaned up: to clang too, that is a use. */
#define AUTO(fn) __attribute__((__cleanup__(fn), __unused__))

static inline void
auto_close_(const int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
}

/* A descriptor, -1 when none.  Where a close can fail, close it by hand. */
#define AUTO_FD AUTO(auto_close_)

static inline void
auto_free_(void *pp)
{
	free(*(void **)pp);
}

/* Memory from malloc() and friends. */
#define AUTO_FREE AUTO(auto_free_)

/* Give AUTO() the by-address form of "void foo_free(struct foo *)". */
#define AUTO_DEFINE(type, fn)                   \
	static inline void fn##_auto(type **pp) \
	{                                       \
		fn(*pp);                        \
	}                                       \
	struct auto_semicolon_

#define steal_ptr(pp)                         \
	__extension__({                       \
		__typeof__(*(pp)) p_ = *(pp); \
		*(pp) = NULL;                 \
		p_;                           \
	})

static inline int
steal_fd(int *fd)
{
	int f = *fd;

	*fd = -1;
	return f;
}

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#endif /* !BASE_AUTO_H */
