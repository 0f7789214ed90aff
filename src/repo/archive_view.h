#ifndef REPO_ARCHIVE_VIEW_H
#define REPO_ARCHIVE_VIEW_H

/*
 * archive_view: the backups, WAL spans and timelines of a lineage as they are
 * at one moment, read when they are asked for.  For target and windows.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/target_find.h"

/* What choosing needs of a backup's root. */
struct view_backup {
	char id[BACKUP_ID_BYTES];
	bool loaded;
	uint64_t start_lsn, stop_lsn;
	uint32_t start_timeline, stop_timeline;
	int64_t consistent_us; /* the server's time at the stop, or ours after
				  it */
};

struct archive_view {
	const struct lineage *lineage;
	struct view_backup *backups; /* oldest first */
	size_t backup_count;
	struct wal_span *spans;
	size_t span_count;
	uint32_t *timelines; /* all that are known, newest first */
	size_t timeline_count;
};

int archive_view_open(
    struct archive_view *v, const struct lineage *l, struct err *e);
void archive_view_close(struct archive_view *v);
#define AUTO_ARCHIVE_VIEW AUTO(archive_view_close)

/* Backup i with all its members. */
int archive_view_backup(struct archive_view *v, size_t i,
    const struct view_backup **backup, struct err *e);

/* The WAL of one history; free the history after use. */
int archive_view_path(const struct archive_view *v, uint32_t timeline,
    struct timeline_history *history, struct walpath *path, struct err *e);

/* What backup and its WAL on path reach.  false: the backup is not of this
 * history, or WAL that makes it consistent is missing. */
bool archive_view_range(const struct archive_view *v,
    const struct view_backup *backup, const struct walpath *path,
    struct find_range *range);

#endif /* !REPO_ARCHIVE_VIEW_H */
