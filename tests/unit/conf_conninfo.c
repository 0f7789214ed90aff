/*
 * Passwords in connection settings are not shown, and nothing else is lost.
 */

#include "conf/conninfo.h"
#include "tap.h"

static const struct {
	const char *text, *want;
} cases[] = {
	{ "", "" },
	{ "host=db1 user=pgkura", "host=db1 user=pgkura" },
	{ "host=db1 password=geheim user=x", "host=db1 password=*** user=x" },
	{ "password = 'a b\\' c' user=x", "password = *** user=x" },
	{ "password=a\\ b user=x", "password=*** user=x" },
	{ "sslpassword=y  host=a", "sslpassword=***  host=a" },
	{ "PASSWORD=x", "PASSWORD=***" },
	{ "user='password=x' host=a", "user='password=x' host=a" },
	{ "passfile=/a/b host=a", "passfile=/a/b host=a" },
	{ "password=", "password=***" },
	{ "password", "password***" },
	{ "host=a password='open", "host=a password=***" },
	{ "postgresql://u:secret@h/db", "postgresql://u:***@h/db" },
	{ "postgres://u@h:5432/db", "postgres://u@h:5432/db" },
	{ "postgresql://h/db?user=u&password=s&port=1",
	    "postgresql://h/db?user=u&password=***&port=1" },
	{ "postgresql://", "postgresql://" },
};

int
main(void)
{
	size_t i;

	for (i = 0; i < COUNT_OF(cases); i++) {
		AUTO_BUF struct buf out = BUF_INIT;

		conninfo_mask(cases[i].text, &out);
		tap_str(buf_str(&out), cases[i].want, "\"%s\"", cases[i].text);
	}
	return tap_done();
}
