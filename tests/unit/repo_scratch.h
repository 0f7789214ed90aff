#ifndef REPO_SCRATCH_H
#define REPO_SCRATCH_H

/*
 * repo_scratch: an empty repository with one lineage in a directory that goes
 * with the test.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "repo/repo.h"
#include "tap.h"

struct repo_scratch {
	char dir[64];
	char url[80], state[80];
	struct repo *repo;
	struct lineage lineage;
};

static inline void
repo_scratch_init(struct repo_scratch *s)
{
	struct cluster_facts facts = { 7361234567890123456u, 15, 150018,
		1u << 20, 8192, true };
	struct err e = ERR_INIT;

	(void)strcpy(s->dir, "/tmp/pgkura-test-XXXXXX");
	if (mkdtemp(s->dir) == NULL)
		tap_bail("no scratch directory");
	(void)snprintf(s->url, sizeof(s->url), "%s/repo", s->dir);
	(void)snprintf(s->state, sizeof(s->state), "%s/state", s->dir);
	if (repo_init(s->url, &e) == -1 ||
	    (s->repo = repo_open(s->url, s->state, true, &e)) == NULL ||
	    lineage_open_for(s->repo, "main", &facts, &s->lineage, &e) == -1)
		tap_bail("no scratch repository: %s", e.text);
}

static inline void
repo_scratch_fini(struct repo_scratch *s)
{
	struct err e = ERR_INIT;

	repo_close(s->repo);
	if (file_rmtree_at(AT_FDCWD, s->dir, &e) == -1)
		tap_diag("%s", e.text);
}

#endif /* !REPO_SCRATCH_H */
