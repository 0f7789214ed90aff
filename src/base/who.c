#include "base/who.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
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

/* It is set once, by the login, and stays through su and sudo. */
static unsigned long
login_user(void)
{
	AUTO_BUF struct buf text = BUF_INIT;
	unsigned long uid;
	char *end;

	if (file_slurp_at(AT_FDCWD, "/proc/self/loginuid", 32, &text, NULL) ==
	    -1)
		return NOBODY;
	uid = strtoul(buf_str(&text), &end, 10);
	return end == buf_str(&text) ? NOBODY : uid;
}

char *
who_orders(void)
{
	AUTO_BUF struct buf out = BUF_INIT;
	unsigned long login = login_user();
	char host[256] = "?";

	(void)gethostname(host, sizeof(host) - 1);
	put_user(&out, (unsigned long)geteuid());
	buf_printf(&out, " on %s", host);
	if (login != NOBODY && login != (unsigned long)geteuid()) {
		buf_printf(&out, ", logged in as ");
		put_user(&out, login);
	}
	return mem_strdup(buf_str(&out));
}
