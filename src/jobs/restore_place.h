#ifndef JOBS_RESTORE_PLACE_H
#define JOBS_RESTORE_PLACE_H

/*
 * restore_place: the directory into which a backup is restored, with the
 * folders of its tablespaces; whether that may be done, and who will own it.
 *
 * Until place_begin() nothing is changed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "jobs/jobs.h"
#include "repo/manifest.h"

/* Says in the directory what is going on there, until it is done. */
#define PLACE_MARKER "pgkura.restore"
/* pg_control until everything else is durable: no server starts without the
 * real one. */
#define PLACE_CONTROL_NEW "global/pg_control.pgkura"
#define PLACE_CONTROL	  "global/pg_control"

struct place_link {
	uint32_t oid;
	char *path;    /* where the tablespace goes; NULL: a plain folder of
			  pg_tblspc, as allow_in_place_tablespaces makes */
	bool was_ours; /* the old directory's link led there */
};

struct restore_place {
	char *path;  /* absolute */
	int fd;	     /* -1 until place_begin() */
	int *fs_fds; /* one descriptor a tablespace, for place_sync() */
	bool exists;
	bool delta;	    /* what is there is reused */
	bool has_control;   /* an old server was here ... */
	uint64_t system_id; /* ... of this cluster (or an unfinished restore) */
	bool set_owner;
	uid_t uid;
	gid_t gid;
	mode_t mode_mask; /* 0700, or 0750 for group access */
	struct place_link *links;
	size_t link_count;
};

/*
 * Look at the directory alone: is it free, or the stopped server of this
 * system identifier that may be reused?  ERR_REFUSED, ERR_CONFLICT (another
 * cluster's directory), ERR_USAGE.
 */
int place_look(struct restore_place *p, const struct restore_options *options,
    uint64_t system_id, struct err *e);
/* After place_look(), with the backup chosen: owner, tablespaces, space. */
int place_check(struct restore_place *p, const struct restore_options *options,
    const struct root *root, struct err *e);

/* Can the directory's owner read path, or enter it if it is a folder?  Asked by
 * root, for whom everything can be read.  Also true when that cannot be told. */
bool place_owner_reads(const struct restore_place *p, const char *path);

/* ---- restore_tablespaces.c ---- */
/* Fills links.  ERR_USAGE, ERR_REFUSED where something else is. */
int place_check_tablespaces(struct restore_place *p,
    const struct restore_options *options, const struct root *root,
    struct err *e);
/* 1 there is something in the folder, 0 not (or no folder), -1. */
int place_has_content(const char *path, struct err *e);

/*
 * Make the directory (or enter it), lock it, leave the marker, put an old
 * pg_control aside.  Links and folders of tablespaces are made by
 * place_link_tablespaces(), after what does not belong there is gone.
 */
int
place_begin(struct restore_place *p, const struct root *root, struct err *e);
int place_link_tablespaces(struct restore_place *p, struct err *e);

/* Everything written is durable, on all file systems. */
int place_sync(const struct restore_place *p, struct err *e);
/* The marker goes and pg_control gets its name: from now on a server starts. */
int place_finish(struct restore_place *p, struct err *e);
void place_close(struct restore_place *p);

/* A whole small file, durable, with owner and mode. */
int place_publish(const struct restore_place *p, const char *name,
    const void *data, size_t len, struct err *e);
/* Owner and mode of what fd has open; mode as the backup says. */
int place_own(const struct restore_place *p, int fd, const char *name,
    mode_t mode, struct err *e);
/* A folder with owner and mode, and those above it that are missing. */
int place_mkdirs(const struct restore_place *p, const char *path, mode_t mode,
    struct err *e);

#endif /* !JOBS_RESTORE_PLACE_H */
