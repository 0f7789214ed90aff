/*
 * label: backup_label of servers 13 to 18, and labels that were changed.
 */

#include "pg/label.h"

#include <string.h>

#include "pg_data.h"

static const struct {
	const char *name;
	uint64_t checkpoint_lsn;
	const char *time;
} servers[] = {
	{ "13", 0x3000060, "2026-11-21 05:11:11 UTC" },
	{ "14", 0x3000060, "2026-11-21 05:11:18 UTC" },
	{ "15", 0x3000060, "2026-11-21 05:11:22 UTC" },
	{ "16", 0x3000060, "2026-11-21 05:11:26 UTC" },
	{ "17", 0x3000080, "2026-11-21 05:11:33 UTC" },
	{ "18", 0x3000080, "2026-11-21 05:11:38 UTC" },
};

static void
check_server(size_t i)
{
	AUTO_BUF struct buf file = BUF_INIT, effective = BUF_INIT;
	struct backup_label l;
	struct err e = ERR_INIT;

	data_read(&file, "label/%s", servers[i].name);
	tap_ok(backup_label_parse(&l, file.data, file.len, &e) == 0, "%s %s",
	    servers[i].name, e.text);
	tap_u64(l.start_lsn, 0x3000028, "start");
	tap_u64(l.checkpoint_lsn, servers[i].checkpoint_lsn, "checkpoint");
	tap_u64(l.timeline, 1, "timeline");
	tap_ok(!l.from_standby, "from a primary");
	tap_str(l.start_wal_name, "000000010000000000000003", "segment");
	tap_str(l.start_time, servers[i].time, "time");
	tap_str(l.label, "odd \"label\" x", "label");
	tap_ok(!l.incremental, "not incremental");
	backup_label_effective(file.data, file.len, &effective);
	tap_str(buf_str(&effective), buf_str(&file), "is as it is");
}

static void
check_incremental(const char *name)
{
	AUTO_BUF struct buf file = BUF_INIT, effective = BUF_INIT;
	struct backup_label l;
	struct err e = ERR_INIT;

	data_read(&file, "label/%s", name);
	tap_ok(backup_label_parse(&l, file.data, file.len, &e) == 0, "%s %s",
	    name, e.text);
	tap_ok(l.incremental, "incremental");
	tap_u64(l.incremental_from_lsn, 0x2000028, "from");
	tap_u64(l.incremental_from_timeline, 1, "on timeline");
	backup_label_effective(file.data, file.len, &effective);
	tap_ok(strstr(buf_str(&effective), "INCREMENTAL") == NULL &&
		effective.len == file.len - 56 &&
		memcmp(effective.data, file.data, effective.len) == 0,
	    "without two lines");
	tap_ok(backup_label_parse(&l, effective.data, effective.len, &e) == 0 &&
		!l.incremental,
	    "it is that of a full backup");
}

#define START	"START WAL LOCATION: A/3000028 (file 0000000B0000000A00000003)\n"
#define CHECK	"CHECKPOINT LOCATION: A/3000060\n"
#define METHOD	"BACKUP METHOD: streamed\n"
#define FROM	"BACKUP FROM: standby\n"
#define TIME	"START TIME: 2026-11-21 05:11:11 UTC\n"
#define LABEL	"LABEL: x\n"
#define TLI	"START TIMELINE: 11\n"
#define TO_FROM START CHECK METHOD FROM
#define FULL	TO_FROM TIME LABEL TLI
#define REWOUND                                   \
	START CHECK "BACKUP METHOD: pg_rewound\n" \
		    "BACKUP FROM: primary\n" TIME LABEL TLI
#define INCR "INCREMENTAL FROM LSN: 0/2000028\n"

#define NAME(n)	   "START WAL LOCATION: A/3000028 (file " n
#define REST	   CHECK METHOD FROM TIME LABEL TLI
#define WITH(line) TO_FROM TIME LABEL line

static const char *const wrong[] = { "", "\n", "x\n", START,
	CHECK START METHOD FROM TIME LABEL TLI, "x" FULL, FULL "\n", FULL "x\n",
	/* the first line */
	NAME("0000000B0000000B00000003)\n") REST,
	NAME("0000000B0000000A0000000G)\n") REST,
	NAME("0000000B0000000G00000003)\n") REST,
	NAME("0000000B0000000/00000003)\n") REST,
	NAME("0000000G0000000A00000003)\n") REST,
	NAME("000000B/0000000A00000003)\n") REST,
	NAME("0000000B0000000A00000003\n") REST,
	NAME("0000000B0000000A00000003x\n") REST,
	NAME("0000000B0000000A000000003)\n") REST,
	NAME("0000000B0000000A00000003)x\n") REST,
	"START WAL LOCATION: A/3000028\n" REST,
	"START WAL LOCATION: A3000028 (file 0000000B0000000A00000003)\n" REST,
	"START WAL LOCATION: A/3000028 [file 0000000B0000000A00000003)\n" REST,
	/* where and how */
	START "CHECKPOINT LOCATION: 3000060\n" METHOD FROM TIME LABEL TLI,
	START "CHECKPOINT LOCATION: A/3000060x\n" METHOD FROM TIME LABEL TLI,
	START CHECK "BACKUP METHOD: by hand\n" FROM TIME LABEL TLI,
	START CHECK "BACKUP METHOD: streamedx\n" FROM TIME LABEL TLI,
	START CHECK "BACKUP METHOD: x\n" FROM TIME LABEL TLI,
	START CHECK METHOD "BACKUP FROM: nowhere\n" TIME LABEL TLI,
	START CHECK METHOD "BACKUP FROM: standbyx\n" TIME LABEL TLI,
	START CHECK METHOD "BACKUP FROM: \n" TIME LABEL TLI,
	/* names */
	TO_FROM LABEL TIME TLI, TO_FROM TIME LABEL,
	TO_FROM TIME "LABEL: x\ny\n" TLI,
	/* timelines */
	WITH("START TIMELINE: 0\n"), WITH("START TIMELINE: 10\n"),
	WITH("START TIMELINE: 4294967307\n"), WITH("START TIMELINE: 11 \n"),
	WITH("START TIMELINE: 11\r\n"), WITH("START TIMELINE: x\n"),
	/* incremental */
	FULL INCR, FULL "INCREMENTAL FROM TLI: 1\n" INCR,
	FULL INCR "INCREMENTAL FROM TLI: x\n",
	FULL INCR "INCREMENTAL FROM TLI: 1x\n",
	FULL INCR "INCREMENTAL FROM TLI: 1\nmore\n",
	FULL INCR "INCREMENTAL FROM TLI: 1\n\n",
	FULL "INCREMENTAL FROM LSN: 2\nINCREMENTAL FROM TLI: 1\n",
	FULL "INCREMENTAL FROM LSN: 0/2x\nINCREMENTAL FROM TLI: 1\n" };

static void
check_changed(void)
{
	struct backup_label l = { 0 };
	struct err e = ERR_INIT;
	char text[4096];
	size_t i, cut;

	tap_ok(backup_label_parse(&l, FULL, strlen(FULL), &e) == 0, "standby");
	tap_ok(l.from_standby, "is one");
	tap_u64(l.start_lsn, 0xa03000028, "start");
	tap_u64(l.timeline, 11, "timeline");

	tap_ok(backup_label_parse(&l, REWOUND, strlen(REWOUND), &e) == 0 &&
		!l.from_standby,
	    "rewound");

	l.timeline = 77;
	for (i = 0; i < COUNT_OF(wrong); i++) {
		e.kind = ERR_NONE;
		tap_ok(backup_label_parse(&l, wrong[i], strlen(wrong[i]), &e) ==
			    -1 &&
			e.kind == ERR_CORRUPT,
		    "label %zu: %s", i, e.text);
	}
	for (cut = 0; cut < strlen(FULL); cut++)
		if (backup_label_parse(&l, FULL, cut, &e) == 0)
			break;
	tap_u64(cut, strlen(FULL), "no label that was cut passes");
	tap_ok(backup_label_parse(&l, FULL, strlen(FULL) + 1, &e) == -1,
	    "nor with a NUL");

	for (i = 1023; i <= 1024; i++) {
		(void)snprintf(text, sizeof(text), "%sLABEL: %0*d\n%s",
		    TO_FROM TIME, (int)i, 1, TLI);
		tap_ok((backup_label_parse(&l, text, strlen(text), &e) == 0) ==
			(i == 1023),
		    "a label of %zu bytes", i);
	}
	tap_u64(strlen(l.label), 1023, "the longest there is");
}

int
main(void)
{
	size_t i;

	for (i = 0; i < COUNT_OF(servers); i++)
		check_server(i);
	check_incremental("17-incremental");
	check_incremental("18-incremental");
	check_changed();
	return tap_done();
}
