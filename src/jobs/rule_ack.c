#include "jobs/rule_ack.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "jobs/rule.h"

#define BYTES sizeof(int64_t)

static char *
path_of(const struct settings *s, const struct cluster_settings *c)
{
	return mem_printf("%s/ack.%s", s->runtime_dir, c->name);
}

static void *
map(const char *path, bool write)
{
	AUTO_FD int fd = file_open_at(
	    AT_FDCWD, path, write ? O_RDWR | O_CREAT : O_RDONLY, 0600, NULL);
	void *p;

	if (fd == -1 || (write && ftruncate(fd, BYTES) == -1) ||
	    lseek(fd, 0, SEEK_END) != (off_t)BYTES)
		return NULL;
	p = mmap(NULL, BYTES, write ? PROT_READ | PROT_WRITE : PROT_READ,
	    MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

int
rule_ack_write(const struct settings *s, const struct cluster_settings *c,
    int64_t until_us)
{
	AUTO_FREE char *path = path_of(s, c);
	int64_t *p = map(path, true);

	if (p == NULL)
		return -1;
	__atomic_store_n(p, until_us, __ATOMIC_SEQ_CST);
	return munmap(p, BYTES);
}

void
rule_ack_open(struct rule_ack *a, const struct settings *s,
    const struct cluster_settings *c)
{
	AUTO_FREE char *path = path_of(s, c);

	a->needed = rule_wanted(c) && c->fence == FENCE_KIND_LEASE;
	a->until_us = rule_wanted(c) ? map(path, false) : NULL;
}

void
rule_ack_close(struct rule_ack *a)
{
	if (a->until_us != NULL)
		(void)munmap((void *)(uintptr_t)a->until_us, BYTES);
	a->until_us = NULL;
}

bool
rule_ack_allowed(const struct rule_ack *a)
{
	int64_t until_us;

	if (a->until_us == NULL)
		return !a->needed;
	until_us = __atomic_load_n(a->until_us, __ATOMIC_SEQ_CST);
	return until_us == INT64_MAX || clock_boot_us() < until_us;
}
