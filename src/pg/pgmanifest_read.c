#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/le.h"
#include "codec/digest.h"
#include "pg/mjson.h"
#include "pg/pgmanifest.h"
#include "pg/pgmanifest_text.h"
#include "pg/scan.h"

#define CHECKSUM_KEY	   "Manifest-Checksum"
#define CHECKSUM_BYTES_MAX 64 /* SHA-512 */

/* Keys of one object that were there, a bit for each. */
enum {
	PATH = 1,
	ENCODED_PATH = 2,
	SIZE = 4,
	LAST_MODIFIED = 8,
	ALGORITHM = 16,
	CHECKSUM = 32
};
enum { TIMELINE = 1, START_LSN = 2, END_LSN = 4 };
enum {
	VERSION = 1,
	SYSTEM_ID = 2,
	FILES = 4,
	RANGES = 8,
	MANIFEST_CHECKSUM = 16
};

struct key {
	const char *name;
	unsigned int bit;
};

struct reader {
	const struct pgmanifest_reader_ops *ops;
	void *arg;
	unsigned int seen;
	uint64_t version;
};

struct file_parts {
	unsigned int seen;
	char path[2 * PGMANIFEST_PATH_BYTES_MAX + 1];
	uint64_t size_bytes;
	int64_t mtime_s;
	char algorithm[16];
	char checksum[2 * CHECKSUM_BYTES_MAX + 1];
};

struct range_parts {
	unsigned int seen;
	struct pgmanifest_range range;
};

/* The bit of key, which must not be in *seen yet; 0 with *e set if not. */
static unsigned int
key_bit(const struct mjson *j, const struct key *keys, size_t count,
    const char *key, unsigned int *seen, struct err *e)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(keys[i].name, key) == 0)
			break;
	if (i == count) {
		(void)mjson_bad(j, e, "unknown key \"%s\"", key);
		return 0;
	}
	if ((*seen & keys[i].bit) != 0) {
		(void)mjson_bad(j, e, "key \"%s\" is there twice", key);
		return 0;
	}
	*seen |= keys[i].bit;
	return keys[i].bit;
}

/* ---- one file ---- */

static int
take_time(struct mjson *j, int64_t *seconds, struct err *e)
{
	char text[64];

	if (mjson_string(j, text, sizeof(text), e) == -1)
		return -1;
	if (!pgmanifest_time_parse(text, seconds))
		return mjson_bad(j, e, "\"%s\" is not a time in GMT", text);
	return 0;
}

static int
take_file_key(struct mjson *j, const char *key, void *arg, struct err *e)
{
	static const struct key keys[] = { { "Path", PATH },
		{ "Encoded-Path", ENCODED_PATH }, { "Size", SIZE },
		{ "Last-Modified", LAST_MODIFIED },
		{ "Checksum-Algorithm", ALGORITHM }, { "Checksum", CHECKSUM } };
	struct file_parts *f = arg;

	switch (key_bit(j, keys, COUNT_OF(keys), key, &f->seen, e)) {
	case PATH:
	case ENCODED_PATH:
		return mjson_string(j, f->path, sizeof(f->path), e);
	case SIZE:
		return mjson_u64(j, &f->size_bytes, e);
	case LAST_MODIFIED:
		return take_time(j, &f->mtime_s, e);
	case ALGORITHM:
		return mjson_string(j, f->algorithm, sizeof(f->algorithm), e);
	case CHECKSUM:
		return mjson_string(j, f->checksum, sizeof(f->checksum), e);
	default:
		return -1;
	}
}

static int
check_path(const struct mjson *j, struct file_parts *f, struct err *e)
{
	size_t len = strlen(f->path);

	if ((f->seen & PATH) != 0 && (f->seen & ENCODED_PATH) != 0)
		return mjson_bad(j, e, "both path and encoded path of a file");
	if ((f->seen & (PATH | ENCODED_PATH)) == 0 || len == 0)
		return mjson_bad(j, e, "missing path of a file");
	if ((f->seen & ENCODED_PATH) != 0) {
		/* Each byte is written behind the two digits it is read from. */
		if (len % 2 != 0 ||
		    hex_decode(f->path, (uint8_t *)f->path, len / 2) == -1 ||
		    memchr(f->path, '\0', len / 2) != NULL)
			return mjson_bad(j, e, "could not decode a path");
		len /= 2;
		f->path[len] = '\0';
	}
	if (len > PGMANIFEST_PATH_BYTES_MAX)
		return mjson_bad(j, e, "path is too long");
	return 0;
}

/* The sum of each known algorithm has its length; only CRC-32C is kept. */
static int
check_sum(const struct mjson *j, const struct file_parts *parts,
    struct pgmanifest_file *f, struct err *e)
{
	static const struct {
		const char *name;
		size_t bytes;
	} known[] = { { "NONE", 0 }, { "CRC32C", 4 }, { "SHA224", 28 },
		{ "SHA256", 32 }, { "SHA384", 48 }, { "SHA512", 64 } };
	uint8_t sum[CHECKSUM_BYTES_MAX];
	size_t i;

	f->has_crc32c = false;
	f->crc32c = 0;
	if ((parts->seen & ALGORITHM) == 0)
		return (parts->seen & CHECKSUM) == 0
		    ? 0
		    : mjson_bad(j, e, "checksum without algorithm");
	for (i = 0; i < COUNT_OF(known); i++)
		if (strcasecmp(known[i].name, parts->algorithm) == 0)
			break;
	if (i == COUNT_OF(known))
		return mjson_bad(j, e, "unknown checksum algorithm \"%s\"",
		    parts->algorithm);
	if (strlen(parts->checksum) != 2 * known[i].bytes ||
	    hex_decode(parts->checksum, sum, known[i].bytes) == -1)
		return mjson_bad(j, e, "\"%s\" is not a checksum of %s",
		    parts->checksum, known[i].name);
	if (known[i].bytes == 4) {
		/* The bytes as the server has them in memory. */
		f->crc32c = le32_get(sum);
		f->has_crc32c = true;
	}
	return 0;
}

static int
take_file(struct mjson *j, void *arg, struct err *e)
{
	const struct reader *r = arg;
	struct file_parts parts;
	struct pgmanifest_file f;

	parts.seen = 0;
	parts.mtime_s = 0;
	parts.path[0] = '\0';
	parts.checksum[0] = '\0';
	if (mjson_object(j, take_file_key, &parts, e) == -1 ||
	    check_path(j, &parts, e) == -1)
		return -1;
	if ((parts.seen & SIZE) == 0)
		return mjson_bad(j, e, "missing size of a file");
	if (check_sum(j, &parts, &f, e) == -1)
		return -1;
	f.path = parts.path;
	f.size_bytes = parts.size_bytes;
	f.mtime_s = parts.mtime_s;
	return r->ops->file == NULL ? 0 : r->ops->file(r->arg, &f, e);
}

/* ---- one range of WAL ---- */

static int
take_lsn(struct mjson *j, uint64_t *lsn, struct err *e)
{
	char text[32];
	struct scan s;

	if (mjson_string(j, text, sizeof(text), e) == -1)
		return -1;
	s = (struct scan){ text, strlen(text) };
	if (!scan_lsn(&s, lsn) || s.left > 0)
		return mjson_bad(j, e, "\"%s\" is not a WAL position", text);
	return 0;
}

static int
take_timeline(struct mjson *j, uint32_t *timeline, struct err *e)
{
	uint64_t v;

	if (mjson_u64(j, &v, e) == -1)
		return -1;
	if (v == 0 || v > UINT32_MAX)
		return mjson_bad(j, e, "not a timeline");
	*timeline = (uint32_t)v;
	return 0;
}

static int
take_range_key(struct mjson *j, const char *key, void *arg, struct err *e)
{
	static const struct key keys[] = { { "Timeline", TIMELINE },
		{ "Start-LSN", START_LSN }, { "End-LSN", END_LSN } };
	struct range_parts *r = arg;

	switch (key_bit(j, keys, COUNT_OF(keys), key, &r->seen, e)) {
	case TIMELINE:
		return take_timeline(j, &r->range.timeline, e);
	case START_LSN:
		return take_lsn(j, &r->range.start_lsn, e);
	case END_LSN:
		return take_lsn(j, &r->range.end_lsn, e);
	default:
		return -1;
	}
}

static int
take_range(struct mjson *j, void *arg, struct err *e)
{
	const struct reader *r = arg;
	struct range_parts parts = { 0 };

	if (mjson_object(j, take_range_key, &parts, e) == -1)
		return -1;
	if (parts.seen != (TIMELINE | START_LSN | END_LSN))
		return mjson_bad(
		    j, e, "missing timeline, start or end of a WAL range");
	return r->ops->range == NULL ? 0
				     : r->ops->range(r->arg, &parts.range, e);
}

/* ---- the whole ---- */

static int
take_version(struct mjson *j, struct reader *r, struct err *e)
{
	if (mjson_u64(j, &r->version, e) == -1)
		return -1;
	if (r->version != 1 && r->version != 2)
		return mjson_bad(j, e, "version is not supported");
	return 0;
}

static int
take_system_id(struct mjson *j, struct reader *r, struct err *e)
{
	uint64_t system_id;

	if (r->version != 2)
		return mjson_bad(j, e, "version 1 has no system identifier");
	if (mjson_u64(j, &system_id, e) == -1)
		return -1;
	return r->ops->system_id == NULL
	    ? 0
	    : r->ops->system_id(r->arg, system_id, e);
}

static int
take_top_key(struct mjson *j, const char *key, void *arg, struct err *e)
{
	static const struct key keys[] = {
		{ "PostgreSQL-Backup-Manifest-Version", VERSION },
		{ "System-Identifier", SYSTEM_ID }, { "Files", FILES },
		{ "WAL-Ranges", RANGES }, { CHECKSUM_KEY, MANIFEST_CHECKSUM }
	};
	struct reader *r = arg;
	char checksum[SHA256_HEX_BYTES];
	unsigned int before = r->seen, bit;

	bit = key_bit(j, keys, COUNT_OF(keys), key, &r->seen, e);
	if (bit == 0)
		return -1;
	if (before == 0 && bit != VERSION)
		return mjson_bad(j, e, "expected the version first");
	if ((before & MANIFEST_CHECKSUM) != 0)
		return mjson_bad(j, e, "expected the end");
	switch (bit) {
	case VERSION:
		return take_version(j, r, e);
	case SYSTEM_ID:
		return take_system_id(j, r, e);
	case FILES:
		return mjson_array(j, take_file, r, e);
	case RANGES:
		return mjson_array(j, take_range, r, e);
	default:
		return mjson_string(j, checksum, sizeof(checksum), e);
	}
}

/*
 * The last line is the checksum of all lines before it.  Seen to before the
 * rest is read, so that nobody is told of a file that was never there.
 */
static int
check_manifest_sum(const char *text, size_t len, struct err *e)
{
	char key[MJSON_KEY_BYTES], want[SHA256_HEX_BYTES];
	uint8_t wanted[SHA256_BYTES], sum[SHA256_BYTES];
	struct mjson j;
	const char *last;

	if (len == 0 || text[len - 1] != '\n')
		return err_set(e, ERR_CORRUPT,
		    "backup manifest: last line is not complete");
	last = memrchr(text, '\n', len - 1);
	if (last == NULL)
		return err_set(e, ERR_CORRUPT,
		    "backup manifest: expected at least 2 lines");
	last++;
	mjson_init(&j, text, len);
	j.p = last;
	if (mjson_string(&j, key, sizeof(key), e) == -1 ||
	    mjson_expect(&j, ':', e) == -1)
		return -1;
	if (strcmp(key, CHECKSUM_KEY) != 0)
		return mjson_bad(&j, e, "expected the manifest checksum");
	if (mjson_string(&j, want, sizeof(want), e) == -1 ||
	    mjson_expect(&j, '}', e) == -1 || mjson_end(&j, e) == -1)
		return -1;
	if (strlen(want) != 2 * SHA256_BYTES ||
	    hex_decode(want, wanted, SHA256_BYTES) == -1)
		return mjson_bad(&j, e, "invalid manifest checksum");
	sha256_of(text, (size_t)(last - text), sum);
	if (memcmp(sum, wanted, sizeof(sum)) != 0)
		return err_set(
		    e, ERR_CORRUPT, "backup manifest checksum does not match");
	return 0;
}

int
pgmanifest_parse(const void *text, size_t len,
    const struct pgmanifest_reader_ops *ops, void *arg, struct err *e)
{
	struct reader r = { ops, arg, 0, 0 };
	unsigned int need = VERSION | FILES | RANGES | MANIFEST_CHECKSUM;
	struct mjson j;

	if (len > PGMANIFEST_BYTES_MAX)
		return err_set(e, ERR_CORRUPT,
		    "backup manifest is %zu bytes, at most %zu are read", len,
		    PGMANIFEST_BYTES_MAX);
	if (check_manifest_sum(text, len, e) == -1)
		return -1;
	mjson_init(&j, text, len);
	if (mjson_object(&j, take_top_key, &r, e) == -1 ||
	    mjson_end(&j, e) == -1)
		return -1;
	if (r.version == 2)
		need |= SYSTEM_ID;
	if ((r.seen & need) != need)
		return mjson_bad(&j, e,
		    "missing files, WAL ranges, checksum or system identifier");
	return 0;
}
