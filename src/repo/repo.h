#ifndef REPO_REPO_H
#define REPO_REPO_H

/*
 * repo: the repository of one site, open; and lineages: one history of one
 * cluster inside it ("<cluster>/<system id>-<n>").
 *
 *	repo			version, uuid, block key
 *	keys/N			public signing keys, write-once (keyset.h)
 *	incoming/<peer>/...	objects on their way from another site
 *	<cluster>/<lineage>/...	see lineage_key()
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/sign.h"
#include "store/store.h"

struct repo;

#define REPO_FORMAT	   1
#define CLUSTER_NAME_BYTES 64
#define LINEAGE_NAME_BYTES 40
#define BACKUP_ID_BYTES	   24 /* "20261121T030405Z-7f3a" */

/* Make a new repository at url.  ERR_CONFLICT when one is there. */
int repo_init(const char *url, struct err *e);
/* state_dir holds this site's signing key ("sign.key"); it is made, and its
 * public half added to keys/, when it is missing and for_writing is true. */
struct repo *repo_open(
    const char *url, const char *state_dir, bool for_writing, struct err *e);
void repo_close(struct repo *r);
AUTO_DEFINE(struct repo, repo_close);
#define AUTO_REPO AUTO(repo_close_auto)

struct store *repo_store(const struct repo *r);
const char *repo_url(const struct repo *r);
const char *repo_uuid(const struct repo *r);
uint64_t repo_block_key(const struct repo *r); /* of new lineages */
/* Public keys of this site: their signatures are trusted for all that is here;
 * borrowed. */
struct keyset;
const struct keyset *repo_keys(const struct repo *r);
/* Signed text: document, "\n", "ed25519 <key name> <hex>\n"; a key's name is
 * the first 16 hex digits of its SHA-256. */
int repo_sign(const struct repo *r, struct buf *document, struct err *e);
/* Checks the last line, by a key of this site, and cuts it off.  ERR_CORRUPT.
 * What belongs to a lineage: lineage_check_signature(). */
int repo_check_signature(const struct repo *r, struct buf *document,
    const char *name, struct err *e);

/*
 * Small texts of the repository itself ("repo", keys/N, cluster/N, intents/N):
 * document, "\n", "crc32c <8 hex digits>\n".  Checking cuts the last line off.
 */
void repo_seal_text(struct buf *document);
int repo_check_seal(struct buf *document, const char *name, struct err *e);

bool cluster_name_valid(const char *name); /* [a-z0-9][a-z0-9_.-]{0,62} */
/* Names of all clusters that have a lineage; free with store_names_free(). */
int repo_clusters(
    const struct repo *r, char ***names, size_t *count, struct err *e);

/* What identifies a cluster and must not change within a lineage, and what may
 * (recorded anew as cluster/N). */
struct cluster_facts {
	uint64_t system_id;
	int major;
	int version_num;
	uint32_t segment_bytes;
	uint32_t block_bytes;
	bool checksums;
};

struct lineage {
	const struct repo *repo;
	char cluster[CLUSTER_NAME_BYTES];
	char name[LINEAGE_NAME_BYTES];
	struct cluster_facts facts; /* newest record */
	uint64_t block_key; /* of xxh3_keyed(); the same at every site */
};

/* The lineage of this system identifier, or a new one; facts are recorded when
 * they are new.  ERR_CONFLICT when major or sizes differ from the record. */
int lineage_open_for(const struct repo *r, const char *cluster,
    const struct cluster_facts *facts, struct lineage *l, struct err *e);
/* name NULL: the one with the newest backup or WAL.  ERR_NOT_FOUND. */
int lineage_open(const struct repo *r, const char *cluster, const char *name,
    struct lineage *l, struct err *e);
int lineage_list(const struct repo *r, const char *cluster, char ***names,
    size_t *count, struct err *e);
/* The record of the cluster, as it is stored: for lineage_adopt() elsewhere. */
int lineage_facts_text(const struct lineage *l, struct buf *out, struct err *e);
/* The same lineage as another site has: made from its record when it is not
 * here.  Its bytes are not trusted: ERR_CORRUPT, ERR_USAGE; ERR_CONFLICT when
 * another of that name is here. */
int lineage_adopt(const struct repo *r, const char *cluster, const char *name,
    const struct buf *facts, struct lineage *l, struct err *e);
/*
 * Keys of another site that came with the lineage: they vouch for what is in it
 * and for nothing else, so that who breaks into that site cannot sign for other
 * clusters.  At most LINEAGE_KEYS_MAX: ERR_REFUSED.
 */
#define LINEAGE_KEYS_MAX 64
int lineage_add_key(const struct lineage *l,
    const uint8_t public_key[SIGN_PUBLIC_BYTES], const char *whose,
    struct err *e);
/* Those that it has; without the site's own. */
int lineage_keys(const struct lineage *l, struct keyset *out, struct err *e);
/* As repo_check_signature(), by a key of the site or of the lineage. */
int lineage_check_signature(const struct lineage *l, struct buf *document,
    const char *name, struct err *e);
/* A new lineage for the server of the newest one: from now on its WAL and
 * backups go there, and what was stored before stays as it is.  The operator's
 * way out when WAL conflicts.  ERR_NOT_FOUND. */
int lineage_fork(const struct repo *r, const char *cluster, struct lineage *l,
    struct err *e);

/*
 * Key of an object of this lineage:
 *	packs/xx/<pack id>	backups/<id>	intents/<id>	marks/<id>/N	keys/N
 *	wal/<timeline>/<log>/<segment>	wal/<N>.history	 wal/open/...
 * fmt is what stands behind the lineage's prefix.
 */
const char *lineage_key(const struct lineage *l, char out[STORE_KEY_BYTES],
    const char *fmt, ...) __attribute__((__format__(__printf__, 3, 4)));

/* Lock of one duty ("backup", "receive", "expire") of a cluster at this site, or
 * of its packs, which no two of backup and expire may be about:
 * a file in state_dir/locks.  Returns the descriptor or -1: ERR_TRANSIENT when
 * it is held, naming the holder's pid. */
int cluster_lock(const char *state_dir, const char *cluster, const char *duty,
    struct err *e);
/* Pid of the holder, 0 when nobody holds it, -1 on error. */
int cluster_lock_holder(const char *state_dir, const char *cluster,
    const char *duty, struct err *e);

#endif /* !REPO_REPO_H */
