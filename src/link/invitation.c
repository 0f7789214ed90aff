#include "link/invitation.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/file.h"
#include "codec/digest.h"
#include "link/keys.h"

#define CRC_LINE ((size_t)13) /* "crc 89abcdef\n" */

void
invitation_encode(const struct invitation *i, struct buf *out)
{
	size_t start = out->len;

	buf_printf(out,
	    "pgkura pairing 1\ncode %s\nfor %s\nuntil %" PRId64 "\ntries %u\n",
	    i->code, i->site, i->until_us, i->tries);
	buf_printf(out, "crc %08" PRIx32 "\n",
	    crc32c(0, out->data + start, out->len - start));
	(void)buf_str(out);
}

int
invitation_decode(
    struct invitation *i, const void *data, size_t len, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT, again = BUF_INIT;
	struct invitation made = { .tries = 0 };
	int n = 0;

	if (len > INVITATION_FILE_MAX || len <= CRC_LINE ||
	    memchr(data, '\0', len) != NULL)
		return err_set(
		    e, ERR_CORRUPT, "an invitation has %zu bytes", len);
	buf_put(&text, data, len);
	/* Fields are read loosely; that there is one spelling is seen below. */
	if (sscanf(buf_str(&text), "pgkura pairing 1\ncode %23[^\n]\nfor%n",
		made.code, &n) == 1 &&
	    n > 0) {
		const char *at = (const char *)text.data + n;

		if (at[0] == ' ' && at[1] != '\n')
			(void)sscanf(at + 1, "%63[^\n]", made.site);
		at += strcspn(at, "\n");
		if (sscanf(at, "\nuntil %19" SCNd64 "\ntries %9u",
			&made.until_us, &made.tries) == 2)
			invitation_encode(&made, &again);
	}
	if (again.len != len || memcmp(again.data, data, len) != 0 ||
	    pair_code_parse(made.code, made.code, e) == -1 ||
	    (made.site[0] != '\0' && !peer_name_valid(made.site)))
		return err_set(
		    e, ERR_CORRUPT, "an invitation is not as it is written");
	*i = made;
	return 0;
}

bool
invitation_is_open(const struct invitation *i, int64_t now_us)
{
	return i->tries < INVITATION_TRIES && now_us < i->until_us &&
	    i->until_us - now_us <= INVITATION_US;
}

static char *
path_of(const char *state_dir)
{
	return file_join(state_dir, "pairing");
}

int
invitation_read(const char *state_dir, struct invitation *i, struct err *e)
{
	AUTO_FREE char *path = path_of(state_dir);
	AUTO_BUF struct buf text = BUF_INIT;
	int rc;

	if (file_slurp_at(AT_FDCWD, path, INVITATION_FILE_MAX, &text, e) == -1)
		return -1;
	rc = invitation_decode(i, text.data, text.len, e);
	if (text.len > 0)
		OPENSSL_cleanse(text.data, text.len);
	return rc == -1 ? err_ctx(e, "\"%s\"", path) : 0;
}

int
invitation_write(
    const char *state_dir, const struct invitation *i, struct err *e)
{
	AUTO_FREE char *path = path_of(state_dir);
	AUTO_BUF struct buf text = BUF_INIT;
	int rc;

	invitation_encode(i, &text);
	rc = key_publish(path, text.data, text.len, e);
	OPENSSL_cleanse(text.data, text.len);
	return rc;
}

int
invitation_remove(const char *state_dir, const char *code, struct err *e)
{
	AUTO_FREE char *path = path_of(state_dir);
	struct invitation there;
	struct err why = ERR_INIT;

	if (invitation_read(state_dir, &there, &why) == 0 &&
	    strcmp(there.code, code) != 0)
		return 0; /* a newer one */
	OPENSSL_cleanse(there.code, sizeof(there.code));
	return file_unlink_at(AT_FDCWD, path, e);
}
