#include "base/who.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

#define NOBODY 4294967295UL /* proc(5), loginuid: nobody has logged in */

static void
put_user(struct buf *out, unsigned long uid)
{
	const struct passwd *pw = getpwuid((uid_t)uid);

	buf_printf(out, "%s (user %lu)", pw == NULL ? "?" : pw->pw_name, uid);
}

/* It is set once, by the login, and stays through su and sudo.  process: a folder
 * of /proc. */
static unsigned long
login_user(const char *process)
{
	AUTO_FREE char *path = mem_printf("%s/loginuid", process);
	AUTO_BUF struct buf text = BUF_INIT;
	unsigned long uid;
	char *end;

	if (file_slurp_at(AT_FDCWD, path, 32, &text, NULL) == -1)
		return NOBODY;
	uid = strtoul(buf_str(&text), &end, 10);
	return end == buf_str(&text) ? NOBODY : uid;
}

static char *
who(uid_t uid, unsigned long login)
{
	AUTO_BUF struct buf out = BUF_INIT;
	char host[256] = "?";

	(void)gethostname(host, sizeof(host) - 1);
	put_user(&out, (unsigned long)uid);
	buf_printf(&out, " on %s", host);
	if (login != NOBODY && login != (unsigned long)uid) {
		buf_printf(&out, ", logged in as ");
		put_user(&out, login);
	}
	return mem_strdup(buf_str(&out));
}

char *
who_orders(void)
{
	return who(geteuid(), login_user("/proc/self"));
}

char *
who_asks(uid_t uid, pid_t pid)
{
	AUTO_FREE char *process = mem_printf("/proc/%ld", (long)pid);
	struct stat st;

	if (stat(process, &st) == -1 || st.st_uid != uid)
		return who(uid, NOBODY);
	return who(uid, login_user(process));
}
