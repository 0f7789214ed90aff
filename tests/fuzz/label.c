/*
 * backup_label, tablespace_map and history files: the parsers must survive any
 * bytes, and what they accept holds together.
 */

#include "pg/label.h"

#include <stdlib.h>
#include <string.h>

#include "pg/lsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
try_label(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf effective = BUF_INIT;
	struct backup_label l, full;
	struct err e = ERR_INIT;

	backup_label_effective(data, len, &effective);
	must(effective.len <= len);
	if (backup_label_parse(&l, data, len, &e) == -1)
		return;
	must(l.timeline != 0 && strlen(l.start_wal_name) == 24);
	must(backup_label_parse(&full, effective.data, effective.len, &e) == 0);
	must(!full.incremental && full.start_lsn == l.start_lsn &&
	    strcmp(full.label, l.label) == 0);
	must((effective.len < len) == l.incremental);
}

/* What is read and written is read as the same. */
static void
try_map(const uint8_t *data, size_t len, int major)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct tablespace_link *links = NULL, *again = NULL;
	size_t count = 0, count_again = 0, i;
	struct err e = ERR_INIT;

	if (tablespace_map_parse(data, len, major, &links, &count, &e) == -1)
		return;
	tablespace_map_format(links, count, major, &text);
	must(tablespace_map_parse(
		 text.data, text.len, major, &again, &count_again, &e) == 0);
	must(count == count_again);
	for (i = 0; i < count; i++)
		must(links[i].oid == again[i].oid &&
		    strcmp(links[i].path, again[i].path) == 0);
	tablespace_map_free(links, count);
	tablespace_map_free(again, count_again);
}

static void
try_history(const uint8_t *data, size_t len, uint32_t timeline)
{
	struct timeline_history h;
	struct err e = ERR_INIT;
	size_t i;

	if (timeline_history_parse(&h, timeline, data, len, &e) == -1)
		return;
	must(h.count > 0 && h.entries[h.count - 1].timeline == timeline);
	for (i = 0; i < h.count; i++) {
		const struct timeline_entry *t = &h.entries[i];

		must(t->begin_lsn <= t->end_lsn);
		must(timeline_contains(&h, t->timeline, t->begin_lsn));
		must(t->begin_lsn == t->end_lsn ||
		    timeline_at(&h, t->begin_lsn) == t->timeline);
	}
	timeline_history_free(&h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	try_label(data, len);
	try_map(data, len, 13);
	try_map(data, len, 18);
	try_history(data, len, 3);
	try_history(data, len, UINT32_MAX);
	return 0;
}
