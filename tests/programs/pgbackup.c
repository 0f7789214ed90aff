/*
 * pgbackup: src/pg/basebackup.h and tarstream.h for test scripts; see driver.h.
 *
 *	pgbackup null CONNINFO [RATE_KIB_S]	receive, do nothing with it
 *	pgbackup parse CONNINFO [RATE_KIB_S]	receive and parse
 *	pgbackup unpack CONNINFO FOLDER [RATE_KIB_S]
 *			make a data directory, with its manifest beside it as
 *			FOLDER.manifest and tablespaces as FOLDER/pg_tblspc/OID
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "pg/basebackup.h"
#include "pg/tarstream.h"
#include "programs/driver.h"

struct backup {
	struct tarstream *tar;
	const char *folder; /* NULL: nowhere */
	char prefix[64];    /* of the archive's members, below folder */
	bool parse;
	int fd, manifest;
	uint64_t bytes, members, manifest_bytes, archive_bytes;
};

/* ---- members ---- */

static int
member(void *arg, const struct tar_member *m, struct err *e)
{
	struct backup *b = arg;
	AUTO_FREE char *path = NULL;

	b->members++;
	if (b->folder == NULL)
		return 0;
	path = mem_printf("%s/%s%s", b->folder, b->prefix, m->path);
	switch (m->kind) {
	case TAR_DIRECTORY:
		if (mkdir(path, 0700) == -1 && errno != EEXIST)
			return err_sys(e, "could not make \"%s\"", path);
		return 0;
	case TAR_FILE:
		b->fd = file_open_at(
		    AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, m->mode, e);
		return b->fd == -1 ? -1 : 0;
	case TAR_SYMLINK:
		break;
	}
	return err_set(e, ERR_BUG, "there is a link \"%s\"", path);
}

static int
data(void *arg, const void *p, size_t len, struct err *e)
{
	struct backup *b = arg;

	b->bytes += len;
	if (b->fd == -1)
		return 0;
	return file_write_all(b->fd, p, len, "a member", e);
}

static int
member_end(void *arg, struct err *e)
{
	struct backup *b = arg;

	if (b->fd != -1 && close(steal_fd(&b->fd)) == -1)
		return err_sys(e, "could not close a member");
	return 0;
}

static const struct tarstream_ops tar_ops = { member, data, member_end };

/* ---- archives ---- */

static int
started(void *arg, const struct basebackup_start *start, struct err *e)
{
	char lsn[LSN_TEXT_BYTES];
	size_t i;

	(void)arg;
	(void)e;
	(void)printf("start_lsn %s\nstart_timeline %" PRIu32
		     "\ntotal_bytes %" PRIu64 "\n",
	    lsn_text(start->start_lsn, lsn), start->timeline,
	    start->total_bytes);
	for (i = 0; i < start->tablespace_count; i++)
		(void)printf("tablespace %" PRIu32 " %s\n",
		    start->tablespaces[i].oid, start->tablespaces[i].location);
	return 0;
}

static int
archive_begin(void *arg, const struct basebackup_tablespace *t, struct err *e)
{
	struct backup *b = arg;
	AUTO_FREE char *path = NULL;

	(void)printf("archive %" PRIu32 "\n", t->oid);
	if (b->parse)
		b->tar = tarstream_new(&tar_ops, b);
	b->prefix[0] = '\0';
	if (t->oid == 0 || b->folder == NULL)
		return 0;
	(void)snprintf(
	    b->prefix, sizeof(b->prefix), "pg_tblspc/%" PRIu32 "/", t->oid);
	path = mem_printf("%s/%s", b->folder, b->prefix);
	return file_mkdirs_at(AT_FDCWD, path, 0700, e);
}

static int
archive_data(void *arg, const void *p, size_t len, struct err *e)
{
	struct backup *b = arg;

	b->archive_bytes += len;
	return b->tar == NULL ? 0 : tarstream_write(b->tar, p, len, e);
}

static int
archive_end(void *arg, struct err *e)
{
	struct backup *b = arg;
	int rc = b->tar == NULL ? 0 : tarstream_finish(b->tar, e);

	tarstream_free(b->tar);
	b->tar = NULL;
	return rc;
}

static int
manifest(void *arg, const void *p, size_t len, struct err *e)
{
	struct backup *b = arg;

	b->manifest_bytes += len;
	if (b->manifest == -1)
		return 0;
	return file_write_all(b->manifest, p, len, "the manifest", e);
}

static void
notice(void *arg, const char *severity, const char *text)
{
	(void)arg;
	(void)printf("notice %s %s\n", severity, text);
}

/* ---- */

static int
run(struct backup *b, const char *conninfo, const char *rate, struct err *e)
{
	static const struct basebackup_ops ops = { started, archive_begin,
		archive_data, archive_end, manifest, notice };
	const struct basebackup_options options = { .label = "it's a \\test",
		.fast_checkpoint = true,
		.max_rate_kib_s =
		    rate == NULL ? 0 : (uint32_t)strtoul(rate, NULL, 10),
		.verify_checksums = true };
	AUTO_SESSION struct session *s =
	    session_open(conninfo, SESSION_REPLICATION, NULL, e);
	struct basebackup_end end = { 0 };
	char lsn[LSN_TEXT_BYTES];
	int64_t begun_us = clock_boot_us();
	int rc;

	rc = s == NULL ? -1 : basebackup_run(s, &options, &ops, b, &end, e);
	tarstream_free(b->tar);
	if (rc == -1)
		return -1;
	(void)printf("stop_lsn %s\ntimeline %" PRIu32
		     "\nchecksum_failures %d\n",
	    lsn_text(end.stop_lsn, lsn), end.timeline, end.checksum_failures);
	(void)printf("members %" PRIu64 "\nbytes %" PRIu64
		     "\narchive_bytes %" PRIu64 "\nmanifest_bytes %" PRIu64
		     "\nseconds %.3f\n",
	    b->members, b->bytes, b->archive_bytes, b->manifest_bytes,
	    (double)(clock_boot_us() - begun_us) / 1e6);
	return 0;
}

static int
run_null(int argc, char *argv[], struct err *e)
{
	struct backup b = { .fd = -1, .manifest = -1 };

	return run(&b, argv[0], argc > 1 ? argv[1] : NULL, e);
}

static int
run_parse(int argc, char *argv[], struct err *e)
{
	struct backup b = { .fd = -1, .manifest = -1, .parse = true };

	return run(&b, argv[0], argc > 1 ? argv[1] : NULL, e);
}

static int
run_unpack(int argc, char *argv[], struct err *e)
{
	struct backup b = {
		.fd = -1, .manifest = -1, .parse = true, .folder = argv[1]
	};
	AUTO_FREE char *path = mem_printf("%s.manifest", argv[1]);
	int rc;

	if (file_mkdirs_at(AT_FDCWD, argv[1], 0700, e) == -1)
		return -1;
	b.manifest =
	    file_open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, e);
	if (b.manifest == -1)
		return -1;
	rc = run(&b, argv[0], argc > 2 ? argv[2] : NULL, e);
	if (close(b.manifest) == -1 && rc == 0)
		return err_sys(e, "could not close the manifest");
	return rc;
}

int
main(int argc, char *argv[])
{
	static const struct driver_command commands[] = { { "null", 1,
							      run_null },
		{ "parse", 1, run_parse }, { "unpack", 2, run_unpack } };

	return driver_main(argc, argv, commands, COUNT_OF(commands));
}
