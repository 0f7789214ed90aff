/*
 * pack_verify: reading a whole pack against what its root says.
 */

#include <string.h>

#include "base/mem.h"
#include "repo/pack_format.h"

#define VERIFY_PIECE_BYTES ((size_t)1 << 20)

static int
digest_object(struct store_reader *r, uint8_t out[SHA256_BYTES], struct err *e)
{
	AUTO_FREE uint8_t *piece = mem_alloc(VERIFY_PIECE_BYTES);
	AUTO_SHA256 struct sha256 *digest = sha256_new();
	uint64_t at = 0, bytes = store_reader_bytes(r);
	size_t len;

	while (at < bytes) {
		len = bytes - at < VERIFY_PIECE_BYTES ? (size_t)(bytes - at)
						      : VERIFY_PIECE_BYTES;
		if (store_pread(r, piece, len, at, e) == -1)
			return -1;
		sha256_update(digest, piece, len);
		at += len;
	}
	sha256_peek(digest, out);
	return 0;
}

static int
decode_frames(const struct lineage *l, const char *pack_id, struct err *e)
{
	AUTO_PACKSET struct packset *ps = packset_new(l, 0);
	AUTO_ZCODEC struct zcodec *z = zcodec_new();
	AUTO_BUF struct buf plain = BUF_INIT;
	uint32_t pack = packset_intern(ps, pack_id), i, n;
	const struct pack_index *x = packset_index_get(ps, pack, e);
	int rc = 0;

	if (x == NULL)
		return -1;
	n = pack_index_frames(x);
	for (i = 0; rc == 0 && i < n; i++) {
		(void)buf_reserve(&plain, pack_index_frame(x, i)->raw_len);
		rc = packset_read_frame(ps, pack, i, z, plain.data, e);
	}
	packset_index_put(ps, x);
	return rc;
}

int
pack_digest(const struct lineage *l, const char *pack_id,
    uint8_t out[SHA256_BYTES], struct err *e)
{
	char key[STORE_KEY_BYTES];
	AUTO_STORE_READER struct store_reader *r =
	    store_read(repo_store(l->repo), pack_key(l, pack_id, key), e);

	if (r == NULL || digest_object(r, out, e) == -1)
		return err_ctx(e, "pack \"%s\"", pack_id);
	return 0;
}

int
pack_verify(const struct lineage *l, const char *pack_id, bool deep,
    const uint8_t sha256[SHA256_BYTES], struct err *e)
{
	uint8_t got[SHA256_BYTES];

	if (pack_digest(l, pack_id, got, e) == -1)
		return -1;
	if (memcmp(got, sha256, SHA256_BYTES) != 0)
		return err_set(e, ERR_CORRUPT,
		    "pack \"%s\": its bytes are not those that were written",
		    pack_id);
	return deep ? decode_frames(l, pack_id, e) : 0;
}
