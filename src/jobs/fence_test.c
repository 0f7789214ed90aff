#include "jobs/fence_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/child.h"
#include "base/file.h"

#define HOOK_BYTES_MAX ((size_t)64 << 20)

static int
knows_test(const char *path, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;

	if (file_slurp_at(AT_FDCWD, path, HOOK_BYTES_MAX, &text, e) == -1)
		return -1;
	if (memmem(text.data, text.len, FENCE_TEST_VARIABLE,
		strlen(FENCE_TEST_VARIABLE)) != NULL)
		return 0;
	(void)err_set(e, ERR_USAGE,
	    "fence_hook \"%s\" has no test: nothing in it names "
	    "$" FENCE_TEST_VARIABLE,
	    path);
	return err_hint(e,
	    "Let it do all but the deed, and return 0, when "
	    "$" FENCE_TEST_VARIABLE " is \"test\"; "
	    "doc/roles.md has an example.");
}

int
fence_test_file(const struct cluster_settings *c, struct err *e)
{
	struct stat st;

	if (c->fence_hook == NULL) {
		(void)err_set(e, ERR_USAGE, "fence_hook is not set");
		return err_hint(
		    e, "Set it in [cluster %s], or fence = lease.", c->name);
	}
	if (stat(c->fence_hook, &st) == -1) {
		(void)err_sys(
		    e, "could not look at fence_hook \"%s\"", c->fence_hook);
		return err_hint(e, "Install it here, or correct the setting.");
	}
	if (!S_ISREG(st.st_mode) || access(c->fence_hook, X_OK) == -1) {
		(void)err_set(e, ERR_USAGE,
		    "fence_hook \"%s\" is not executable", c->fence_hook);
		return err_hint(e, "Run \"chmod +x %s\".", c->fence_hook);
	}
	return knows_test(c->fence_hook, e);
}

int
fence_hook_run(const struct cluster_settings *c, const char *peer, bool test,
    struct err *e)
{
	const char *argv[] = { c->fence_hook, c->name, peer, NULL };
	AUTO_BUF struct buf out = BUF_INIT;
	int status;

	if (c->fence_hook == NULL)
		return err_set(e, ERR_USAGE, "fence_hook is not set");
	if (test && fence_test_file(c, e) == -1)
		return -1;
	if (setenv(FENCE_TEST_VARIABLE, test ? "test" : "fence", 1) == -1)
		return err_sys(e, "could not set " FENCE_TEST_VARIABLE);
	status =
	    child_run(argv, (int)(c->fence_hook_timeout_us / 1000), &out, e);
	(void)unsetenv(FENCE_TEST_VARIABLE);
	if (status == 0)
		return 0;
	if (status == -1)
		return err_ctx(
		    e, test ? "the test of fence_hook" : "fence_hook");
	(void)err_set(e, ERR_TRANSIENT, "%s returned %d: %.200s",
	    test ? "the test of fence_hook" : "fence_hook", status,
	    buf_str(&out));
	return test ? err_hint(e, "It must return 0 when it could fence.") : -1;
}
