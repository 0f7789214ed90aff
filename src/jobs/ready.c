#include "jobs/ready.h"

#include <string.h>

#include "base/child.h"
#include "jobs/ready_int.h"

static void
ready_free(struct ready *r)
{
	target_free(&r->target);
	root_free(&r->root);
	chain_free(&r->chain);
	repo_close(r->k.repo);
}

int
ready_run(const struct settings *s, const struct cluster_settings *c,
    struct check_result *result, struct err *e)
{
	AUTO(ready_free)
	struct ready r = {
		.k = { .settings = s, .cluster = c, .result = result }
	};

	(void)memset(result, 0, sizeof(*result));
	root_init(&r.root);
	ready_look_at_data(&r);
	ready_look_at_standby(&r);
	ready_look_at_machine(&r);
	ready_look_at_drill(&r);
	check_fence(&r.k, false);
	return child_check_stop(e);
}
