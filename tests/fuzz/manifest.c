/*
 * Roots, leaves and maps must survive any bytes; what a map or a root decodes
 * to must encode to something that decodes to the same again.
 */

#include <stdlib.h>
#include <string.h>

#include "repo/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct lineage nowhere; /* no repository: packs are only numbered */

static int
take_entry(void *arg, const struct entry *entry, struct err *e)
{
	struct packset *ps = arg;
	AUTO_FILEMAP struct filemap map;

	(void)e;
	filemap_init(&map);
	if (entry->map != NULL)
		(void)filemap_decode(&map, ps, entry->map, entry->map_len,
		    entry_blocks(entry->size_bytes), NULL);
	return 0;
}

static void
try_map(const uint8_t *data, size_t len, struct packset *ps)
{
	AUTO_FILEMAP struct filemap map;
	AUTO_FILEMAP struct filemap again;
	AUTO_BUF struct buf bytes = BUF_INIT;
	uint32_t blocks;

	filemap_init(&map);
	filemap_init(&again);
	if (len < 4)
		return;
	(void)memcpy(&blocks, data, 4);
	if (filemap_decode(&map, ps, data + 4, len - 4, blocks, NULL) == -1)
		return;
	filemap_encode(&map, ps, &bytes);
	if (filemap_decode(&again, ps, bytes.data, bytes.len, blocks, NULL) ==
		-1 ||
	    again.count != map.count)
		abort();
}

static void
try_root(const uint8_t *data, size_t len)
{
	AUTO_ROOT struct root root;
	AUTO_ROOT struct root again;
	AUTO_BUF struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	root_init(&again);
	if (root_decode(&root, data, len, &e) == -1)
		return;
	root_encode(&root, &text);
	if (root_decode(&again, text.data, text.len, &e) == -1 ||
	    again.pack_count != root.pack_count)
		abort();
}

/* The first byte chooses. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_PACKSET struct packset *ps = packset_new(&nowhere, 0);
	struct err e = ERR_INIT;

	if (len == 0)
		return 0;
	if (data[0] % 3 == 0)
		(void)leaf_decode(data + 1, len - 1, ps, take_entry, ps, &e);
	else if (data[0] % 3 == 1)
		try_map(data + 1, len - 1, ps);
	else
		try_root(data + 1, len - 1);
	return 0;
}
