#include "repo/walknown.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "pg/lsn.h"

#define LINE_BYTES_MAX ((size_t)128)

/* Path of the line; NULL when the repository is no directory here. */
static char *
line_path(const struct lineage *l)
{
	const char *root = store_local_path(repo_store(l->repo));
	char key[STORE_KEY_BYTES];

	return root == NULL ? NULL
			    : file_join(root, lineage_key(l, key, "wal/known"));
}

int
wal_known_write(
    const struct lineage *l, const struct wal_known *k, struct err *e)
{
	AUTO_FREE char *path = line_path(l);
	AUTO_FREE char *tmp = path == NULL ? NULL : mem_printf("%s.tmp", path);
	AUTO_BUF struct buf line = BUF_INIT;
	AUTO_FD int fd = -1;
	char lsn[LSN_TEXT_BYTES];

	if (path == NULL)
		return 0;
	buf_printf(&line, "%" PRIu32 " %s %" PRId64, k->timeline,
	    lsn_text(k->lsn, lsn), k->server_us);
	repo_seal_text(&line);
	fd = file_open_at(AT_FDCWD, tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600, e);
	if (fd == -1 || file_write_all(fd, line.data, line.len, tmp, e) == -1)
		return -1;
	if (close(steal_fd(&fd)) == -1 || rename(tmp, path) == -1)
		return err_sys(e, "could not write \"%s\"", path);
	return 0;
}

void
wal_known_read(const struct lineage *l, struct wal_known *k)
{
	AUTO_FREE char *path = line_path(l);
	AUTO_BUF struct buf text = BUF_INIT;
	struct wal_known found;
	char lsn[LSN_TEXT_BYTES];

	(void)memset(k, 0, sizeof(*k));
	if (path == NULL ||
	    file_slurp_at(AT_FDCWD, path, LINE_BYTES_MAX, &text, NULL) == -1 ||
	    repo_check_seal(&text, "wal/known", NULL) == -1 ||
	    sscanf(buf_str(&text), "%" SCNu32 " %19s %" SCNd64, &found.timeline,
		lsn, &found.server_us) != 3 ||
	    lsn_parse(lsn, &found.lsn, NULL) == -1)
		return;
	*k = found;
}
