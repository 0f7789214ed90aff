/*
 * intake: the caller's side: files cut into chunks, threads started and ended.
 */

#include "repo/intake.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repo/intake_int.h"

/* Chunks in flight beside one for each encoder. */
#define CHUNKS_SPARE 6

void
intake_fail(struct intake *in, const struct err *e)
{
	(void)pthread_mutex_lock(&in->lock);
	if (in->failure.kind == ERR_NONE)
		in->failure = *e;
	(void)pthread_mutex_unlock(&in->lock);
	queue_fail(in->free_chunks);
	queue_fail(in->work);
	queue_fail(in->order);
}

static int
failure(struct intake *in, struct err *e)
{
	(void)pthread_mutex_lock(&in->lock);
	*e = in->failure;
	(void)pthread_mutex_unlock(&in->lock);
	if (e->kind == ERR_NONE)
		return err_set(e, ERR_BUG, "backup stopped without a reason");
	return -1;
}

void
intake_file_free(struct intake_file *f)
{
	if (f == NULL)
		return;
	parent_file_free(f->parent);
	filemap_free(&f->map);
	free(f);
}

static int
start_threads(struct intake *in, struct err *e)
{
	unsigned int i;

	in->encoders = mem_zarray(in->options.workers, sizeof(in->encoders[0]));
	if (pthread_create(&in->writer, NULL, intake_writer_main, in) != 0)
		return err_set(e, ERR_IO, "could not start a thread");
	in->started = true;
	for (i = 0; i < in->options.workers; i++) {
		if (pthread_create(
			&in->encoders[i], NULL, intake_encoder_main, in) != 0)
			return err_set(e, ERR_IO, "could not start a thread");
		in->encoder_count++;
	}
	return 0;
}

struct intake *
intake_new(const struct lineage *l, struct packset *ps, struct parent *parent,
    const struct intake_options *options, struct err *e)
{
	AUTO_INTAKE struct intake *in = mem_zalloc(sizeof(*in));
	size_t i, bound = zcodec_bound(CHUNK_RAW_BYTES);

	in->lineage = l;
	in->ps = ps;
	in->parent = parent;
	in->options = *options;
	in->block_key = l->block_key;
	in->chunk_count = options->workers + CHUNKS_SPARE;
	in->free_chunks = queue_new(in->chunk_count);
	in->work = queue_new(in->chunk_count);
	in->order = queue_new(in->chunk_count);
	(void)pthread_mutex_init(&in->lock, NULL);
	in->chunks = mem_zarray(in->chunk_count, sizeof(in->chunks[0]));
	for (i = 0; i < in->chunk_count; i++) {
		in->chunks[i].raw = mem_pages(CHUNK_RAW_BYTES);
		in->chunks[i].encoded = mem_alloc(bound);
		(void)pthread_mutex_init(&in->chunks[i].lock, NULL);
		(void)pthread_cond_init(&in->chunks[i].ready_cond, NULL);
		(void)queue_put(in->free_chunks, &in->chunks[i]);
	}
	if (start_threads(in, e) == -1)
		return NULL;
	return steal_ptr(&in);
}

static void
stop_threads(struct intake *in)
{
	unsigned int i;

	if (!in->started)
		return;
	queue_fail(in->free_chunks);
	queue_fail(in->work);
	queue_fail(in->order);
	for (i = 0; i < in->encoder_count; i++)
		(void)pthread_join(in->encoders[i], NULL);
	/* The writer may wait for a chunk that no encoder will finish. */
	for (i = 0; i < in->chunk_count; i++) {
		(void)pthread_mutex_lock(&in->chunks[i].lock);
		in->chunks[i].ready = true;
		(void)pthread_cond_broadcast(&in->chunks[i].ready_cond);
		(void)pthread_mutex_unlock(&in->chunks[i].lock);
	}
	(void)pthread_join(in->writer, NULL);
	in->started = false;
}

void
intake_free(struct intake *in)
{
	size_t i;

	if (in == NULL)
		return;
	stop_threads(in);
	intake_writer_free(in);
	intake_file_free(in->file);
	for (i = 0; i < in->chunk_count; i++) {
		/* Files whose last chunk never reached the writer. */
		if (in->chunks[i].ends_file)
			intake_file_free(in->chunks[i].file);
		free(in->chunks[i].raw);
		free(in->chunks[i].encoded);
		(void)pthread_mutex_destroy(&in->chunks[i].lock);
		(void)pthread_cond_destroy(&in->chunks[i].ready_cond);
	}
	free(in->chunks);
	free(in->encoders);
	free(in->suspects);
	queue_free(in->free_chunks);
	queue_free(in->work);
	queue_free(in->order);
	(void)pthread_mutex_destroy(&in->lock);
	free(in);
}

int
intake_begin(struct intake *in, enum entry_kind kind, const char *path,
    uint32_t mode, int64_t mtime_s, uint64_t size_bytes, struct err *e)
{
	struct intake_file *f;

	if (strlen(path) >= PACK_PATH_BYTES)
		return err_set(e, ERR_CORRUPT, "path \"%s\" is too long", path);
	if (size_bytes > (uint64_t)UINT32_MAX * PACK_BLOCK_BYTES)
		return err_set(
		    e, ERR_REFUSED, "file \"%s\" is too large", path);
	f = mem_zalloc(sizeof(*f));
	f->kind = kind;
	(void)strcpy(f->path, path);
	f->mode = mode;
	f->mtime_s = mtime_s;
	f->size_bytes = size_bytes;
	f->is_relation =
	    kind == ENTRY_FILE && relpath_parse(path, &f->relation);
	in->file = f;
	in->file_done = 0;
	if (kind == ENTRY_FILE && size_bytes > 0) {
		err_clear(e);
		f->parent = parent_find(in->parent, path, e);
		if (f->parent == NULL && e->kind != ERR_NONE)
			return -1;
	}
	return 0;
}

/* An empty chunk for the current file. */
static int
take_chunk(struct intake *in, struct err *e)
{
	struct chunk *c = queue_get(in->free_chunks);

	if (c == NULL)
		return failure(in, e);
	c->file = in->file;
	c->first_block = (uint32_t)(in->file_done / PACK_BLOCK_BYTES);
	c->count = 0;
	c->raw_len = 0;
	c->ends_file = false;
	c->known_count = 0;
	c->new_count = 0;
	c->encoded_len = c->encoded_raw_len = 0;
	c->ready = false;
	in->chunk = c;
	return 0;
}

/* What the parent has at the places of this chunk. */
static int
look_up_known(struct intake *in, struct chunk *c, struct err *e)
{
	const struct parent_file *p = c->file->parent;
	uint32_t n;

	if (p == NULL || c->first_block >= p->map.blocks)
		return 0;
	n = p->map.blocks - c->first_block;
	if (n > c->count)
		n = c->count;
	if (filemap_places(&p->map, in->ps, c->first_block, n, c->known, e) ==
		-1 ||
	    filemap_place_sums(c->known, in->ps, in->block_key,
		p->in_parent && !p->interrupted ? p->size_bytes
						: c->file->size_bytes,
		c->first_block, n, c->known_sums, e) == -1)
		return err_ctx(e, "\"%s\" in the backup before", c->file->path);
	c->known_count = n;
	return 0;
}

static int
pass_on(struct intake *in, bool ends_file, struct err *e)
{
	struct chunk *c = steal_ptr(&in->chunk);

	c->count = entry_blocks(c->raw_len);
	if (look_up_known(in, c, e) == -1) {
		(void)queue_put(in->free_chunks, c);
		return -1;
	}
	c->ends_file = ends_file;
	if (ends_file)
		in->file = NULL; /* the chunk's now */
	if (!queue_put(in->order, c) || !queue_put(in->work, c))
		return failure(in, e);
	return 0;
}

int
intake_data(struct intake *in, const void *data, size_t len, struct err *e)
{
	const uint8_t *p = data;
	size_t n;

	if (len > in->file->size_bytes - in->file_done)
		return err_set(
		    e, ERR_CORRUPT, "file \"%s\" is too long", in->file->path);
	while (len > 0) {
		if (in->chunk == NULL && take_chunk(in, e) == -1)
			return -1;
		n = CHUNK_RAW_BYTES - in->chunk->raw_len;
		if (n > len)
			n = len;
		(void)memcpy(in->chunk->raw + in->chunk->raw_len, p, n);
		in->chunk->raw_len += n;
		in->file_done += n;
		p += n;
		len -= n;
		if (in->chunk->raw_len == CHUNK_RAW_BYTES &&
		    in->file_done < in->file->size_bytes &&
		    pass_on(in, false, e) == -1)
			return -1;
	}
	return 0;
}

int
intake_end(struct intake *in, struct err *e)
{
	if (in->file_done != in->file->size_bytes)
		return err_set(e, ERR_CORRUPT,
		    "file \"%s\" ended after %llu of %llu bytes",
		    in->file->path, (unsigned long long)in->file_done,
		    (unsigned long long)in->file->size_bytes);
	if (in->chunk == NULL && take_chunk(in, e) == -1)
		return -1;
	return pass_on(in, true, e);
}

/* Wait for the threads after the last chunk. */
static int
drain(struct intake *in, struct err *e)
{
	unsigned int i;

	queue_close(in->work);
	for (i = 0; i < in->encoder_count; i++)
		(void)pthread_join(in->encoders[i], NULL);
	queue_close(in->order);
	(void)pthread_join(in->writer, NULL);
	in->started = false;
	(void)pthread_mutex_lock(&in->lock);
	if (in->failure.kind != ERR_NONE)
		*e = in->failure;
	(void)pthread_mutex_unlock(&in->lock);
	return in->failure.kind == ERR_NONE ? 0 : -1;
}

/* The packs that this backup needs, ours and older ones, as the root's. */
static int
fill_packs(
    struct intake *in, struct root *root, uint32_t *index_of, struct err *e)
{
	uint32_t n;
	size_t i;

	root->packs = mem_zarray(in->live_count, sizeof(root->packs[0]));
	for (n = 0; n < in->live_count; n++) {
		struct root_pack *k = &root->packs[root->pack_count];
		const struct root_pack *older;

		if (in->live[n] == 0)
			continue;
		for (i = 0; i < in->pack_count; i++)
			if (in->pack_numbers[i] == n)
				break;
		older = i < in->pack_count ? NULL : parent_pack(in->parent, n);
		if (i == in->pack_count && older == NULL)
			return err_set(e, ERR_BUG, "pack \"%s\" is unknown",
			    packset_id(in->ps, n));
		if (older != NULL) {
			*k = *older;
		} else {
			(void)memcpy(k->id, in->packs[i].id, sizeof(k->id));
			k->bytes = in->packs[i].bytes;
			k->blocks = in->packs[i].blocks;
			(void)memcpy(
			    k->sha256, in->packs[i].sha256, SHA256_BYTES);
		}
		k->live = in->live[n];
		index_of[n] = (uint32_t)root->pack_count++;
	}
	return 0;
}

int
intake_finish(struct intake *in, struct root *root, struct err *e)
{
	AUTO_FREE uint32_t *index_of = NULL;
	size_t i;

	if (drain(in, e) == -1 || intake_write_finish(in, e) == -1)
		return -1;
	index_of = mem_zarray(in->live_count, sizeof(index_of[0]));
	if (fill_packs(in, root, index_of, e) == -1)
		return -1;
	root->leaves = steal_ptr(&in->leaves);
	root->leaf_count = in->leaf_count;
	for (i = 0; i < root->leaf_count; i++)
		root->leaves[i].pack = index_of[root->leaves[i].pack];
	for (i = 0; i < in->pack_count; i++)
		root->stored_bytes += in->packs[i].bytes;
	root->files = in->files;
	root->bytes = in->bytes;
	root->new_blocks = in->new_blocks;
	root->new_bytes = in->new_bytes;
	return 0;
}

const struct intake_suspect *
intake_suspects(const struct intake *in, size_t *count, uint64_t *all)
{
	*count = in->suspect_count;
	*all = in->suspects_all;
	return in->suspects;
}

static int
by_path_hash(const void *a, const void *b)
{
	const struct known_file *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

bool
intake_known(const struct intake *in, const char *path, uint64_t *bytes,
    uint32_t *crc32c)
{
	struct known_file want = { xxh3_keyed(0, path, strlen(path)), 0, 0 };
	const struct known_file *k = in->known_count == 0
	    ? NULL
	    : bsearch(&want, in->known, in->known_count, sizeof(want),
		  by_path_hash);

	if (k == NULL)
		return false;
	*bytes = k->bytes;
	*crc32c = k->crc32c;
	return true;
}
