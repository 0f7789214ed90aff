#ifndef REPO_MANIFEST_H
#define REPO_MANIFEST_H

/*
 * manifest: one backup.  A signed root (backups/<id>) over leaves of at most
 * 1,024 entries that lie in packs, over maps that lie in packs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "pg/pgmanifest.h"
#include "repo/filemap.h"
#include "repo/pack.h"
#include "repo/repo.h"

#define LEAF_ENTRIES_MAX 1024
/* A leaf is closed when it holds so many bytes. */
#define LEAF_BYTES_TARGET ((size_t)512 << 10)
/* A map of at most so many bytes lies in the leaf. */
#define LEAF_INLINE_MAP_MAX 256
#define LEAF_BYTES_MAX	    ((size_t)4 << 20)
#define LEAF_PATH_MAX	    1023
#define ROOT_BYTES_MAX	    ((size_t)256 << 20)

enum entry_kind {
	ENTRY_FILE = 0,
	ENTRY_DIRECTORY = 1,
	ENTRY_ATTACHMENT = 2 /* kept beside the data: "backup_manifest" */
};

struct entry {
	enum entry_kind kind;
	char path[LEAF_PATH_MAX + 1]; /* in PGDATA; pg_tblspc/<oid>/... */
	uint32_t mode;
	uint64_t size_bytes;
	int64_t mtime_s;
	uint32_t crc32c; /* of the whole file */
	/* Its map: inline bytes, or a META frame. */
	const uint8_t *map; /* NULL when in a frame; borrowed from the leaf */
	size_t map_len;
	uint32_t map_pack, map_frame;
};

/* Bytes of one leaf. */
struct leaf_encoder {
	struct buf bytes;
	size_t count;
};
void
leaf_add(struct leaf_encoder *l, struct packset *ps, const struct entry *entry);
/* Call fn for every entry; ERR_CORRUPT on any unsound byte or path. */
typedef int entry_fn(void *arg, const struct entry *entry, struct err *e);
int leaf_decode(const uint8_t *in, size_t len, struct packset *ps, entry_fn *fn,
    void *arg, struct err *e);

struct root_pack {
	char id[PACK_ID_BYTES];
	uint64_t bytes;
	uint64_t blocks; /* blocks in the pack */
	uint64_t live;	 /* of these in this backup */
	uint8_t sha256[SHA256_BYTES];
};
struct root_leaf {
	uint32_t pack; /* index into packs */
	uint32_t frame;
	uint32_t entries;
};
struct root_tablespace {
	uint32_t oid;
	char *path;
};
struct root_damage {
	char *path;
	uint32_t block;
	char *reason;
};

/* Everything that backups/<id> says.  Strings and arrays are owned. */
struct root {
	char id[BACKUP_ID_BYTES];
	char cluster[CLUSTER_NAME_BYTES];
	char lineage[LINEAGE_NAME_BYTES];
	char parent[BACKUP_ID_BYTES]; /* "" when none */
	struct cluster_facts facts;
	uint32_t catalog_version;
	bool from_standby;
	int64_t started_us, finished_us; /* our clock */
	int64_t consistent_us; /* time of the server at the stop, 0 unknown */
	uint64_t start_lsn, stop_lsn;
	uint32_t start_timeline, stop_timeline;
	struct pgmanifest_range *ranges;
	size_t range_count;
	int manifest_version;
	uint64_t files, bytes;			 /* of the restored directory */
	uint64_t new_blocks, new_bytes;		 /* plain */
	uint64_t stored_bytes;			 /* added to the repository */
	struct buf backup_label, tablespace_map; /* the server's */
	struct root_tablespace *tablespaces;
	size_t tablespace_count;
	struct root_damage *damage; /* the first 1,000 */
	size_t damage_count;
	uint64_t damaged_pages; /* all */
	struct strmap
	    *settings; /* SHOW values a server here will need: char * */
	struct root_pack *packs;
	size_t pack_count;
	struct root_leaf *leaves;
	size_t leaf_count;
};

void root_init(struct root *r);
void root_free(struct root *r);
#define AUTO_ROOT AUTO(root_free)

/* JSON, signed; stored as backups/<id>: this commits the backup. */
int root_commit(const struct lineage *l, const struct root *r, struct err *e);
int root_read(
    const struct lineage *l, const char *id, struct root *r, struct err *e);
/* Pure halves of these, for tests and fuzzing. */
void root_encode(const struct root *r, struct buf *out);
int root_decode(struct root *r, const void *text, size_t len, struct err *e);

/* Committed backups' ids, oldest first; free with store_names_free(). */
int
backup_list(const struct lineage *l, char ***ids, size_t *count, struct err *e);
/* An id from now and random digits. */
void backup_id_new(int64_t now_us, char out[BACKUP_ID_BYTES]);

/* Every entry of a backup in stored order; leaves are read one by one. */
int root_walk(const struct root *r, struct packset *ps, entry_fn *fn, void *arg,
    struct err *e);
/* The map of an entry handed out by root_walk(). */
int entry_map(const struct entry *entry, struct packset *ps,
    struct filemap *map, struct err *e);

static inline uint32_t
entry_blocks(uint64_t size_bytes)
{
	return (
	    uint32_t)((size_bytes + PACK_BLOCK_BYTES - 1) / PACK_BLOCK_BYTES);
}

/* ---- intents and leases: what expire must not touch ---- */

/* A running backup or reader: intents/<id>, a signed-nothing JSON with host,
 * pid, boot id, kind ("backup" with its id and parent; "read" with the backup
 * it reads; "recovery" with the backup that was restored, whose server may still
 * fetch WAL).  Removed by intent_end(); stale ones (process gone, or a recovery,
 * and older than expire_grace) by expire. */
#define INTENT_RECOVERY "recovery"
struct intent {
	char id[BACKUP_ID_BYTES];
	char kind[16];
	char backup[BACKUP_ID_BYTES]; /* parent, or what is read */
	char host[256];
	char boot_id[40];
	int pid;
	int64_t started_us;
};
int intent_begin(const struct lineage *l, struct intent *i, struct err *e);
int intent_end(const struct lineage *l, const struct intent *i, struct err *e);
int intent_list(const struct lineage *l, struct intent **intents, size_t *count,
    struct err *e);
/* 1 alive or unknown (other host), 0 its process is gone. */
int intent_is_alive(const struct intent *i);

#endif /* !REPO_MANIFEST_H */
