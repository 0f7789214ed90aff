#include "pg/label.h"

#include <string.h>

#include "pg/lsn.h"
#include "pg/scan.h"

static int
label_bad(struct err *e, const char *line)
{
	return err_set(e, ERR_CORRUPT,
	    "backup_label has no valid \"%s\" line where one belongs", line);
}

/* The next line, which starts with word; the rest of it is *rest. */
static bool
take_line(struct scan *s, const char *word, struct scan *rest)
{
	return scan_line(s, rest) && scan_word(rest, word);
}

/* The rest of a line as a string, when it fits. */
static bool
take_text(const struct scan *rest, char *out, size_t out_bytes)
{
	if (rest->left >= out_bytes)
		return false;
	(void)memcpy(out, rest->p, rest->left);
	out[rest->left] = '\0';
	return true;
}

/* "0/2000028 (file 000000010000000000000002)": the name of the segment is
 * checked against the position here, against the timeline later. */
static bool
take_start(struct scan *rest, struct backup_label *l, uint32_t *name_timeline)
{
	struct scan part;
	uint32_t high, low;

	if (!scan_lsn(rest, &l->start_lsn) || !scan_word(rest, " (file ") ||
	    rest->left != WAL_NAME_BYTES || rest->p[24] != ')')
		return false;
	part = (struct scan){ rest->p, 8 };
	if (!scan_hex32(&part, name_timeline) || part.left > 0)
		return false;
	part = (struct scan){ rest->p + 8, 8 };
	if (!scan_hex32(&part, &high) || part.left > 0 ||
	    high != l->start_lsn >> 32)
		return false;
	part = (struct scan){ rest->p + 16, 8 };
	if (!scan_hex32(&part, &low) || part.left > 0)
		return false;
	(void)memcpy(l->start_wal_name, rest->p, WAL_NAME_BYTES - 1);
	l->start_wal_name[WAL_NAME_BYTES - 1] = '\0';
	return true;
}

static bool
take_from(struct scan *rest, bool *from_standby)
{
	*from_standby = scan_word(rest, "standby");
	/* 13 still says "master". */
	return (*from_standby || scan_word(rest, "primary") ||
		   scan_word(rest, "master")) &&
	    rest->left == 0;
}

/* Lines that only an incremental backup of 17 and later has. */
static int
take_incremental(struct scan *s, struct backup_label *l, struct err *e)
{
	struct scan rest;

	l->incremental = s->left > 0;
	if (!l->incremental)
		return 0;
	if (!take_line(s, "INCREMENTAL FROM LSN: ", &rest) ||
	    !scan_lsn(&rest, &l->incremental_from_lsn) || rest.left > 0)
		return label_bad(e, "INCREMENTAL FROM LSN");
	if (!take_line(s, "INCREMENTAL FROM TLI: ", &rest) ||
	    !scan_u32(&rest, &l->incremental_from_timeline) || rest.left > 0)
		return label_bad(e, "INCREMENTAL FROM TLI");
	if (s->left > 0)
		return err_set(e, ERR_CORRUPT, "backup_label is too long");
	return 0;
}

static int
take_places(struct scan *s, struct backup_label *l, uint32_t *name_timeline,
    struct err *e)
{
	struct scan rest;

	if (!take_line(s, "START WAL LOCATION: ", &rest) ||
	    !take_start(&rest, l, name_timeline))
		return label_bad(e, "START WAL LOCATION");
	if (!take_line(s, "CHECKPOINT LOCATION: ", &rest) ||
	    !scan_lsn(&rest, &l->checkpoint_lsn) || rest.left > 0)
		return label_bad(e, "CHECKPOINT LOCATION");
	if (!take_line(s, "BACKUP METHOD: ", &rest) ||
	    !(scan_word(&rest, "streamed") || scan_word(&rest, "pg_rewound")) ||
	    rest.left > 0)
		return label_bad(e, "BACKUP METHOD");
	if (!take_line(s, "BACKUP FROM: ", &rest) ||
	    !take_from(&rest, &l->from_standby))
		return label_bad(e, "BACKUP FROM");
	return 0;
}

int
backup_label_parse(
    struct backup_label *l, const void *text, size_t len, struct err *e)
{
	struct backup_label found = { 0 };
	struct scan s = { text, len }, rest;
	uint32_t name_timeline;

	if (len == 0 || s.p[len - 1] != '\n' || memchr(text, '\0', len) != NULL)
		return err_set(
		    e, ERR_CORRUPT, "backup_label is not lines of text");
	if (take_places(&s, &found, &name_timeline, e) == -1)
		return -1;
	if (!take_line(&s, "START TIME: ", &rest) ||
	    !take_text(&rest, found.start_time, sizeof(found.start_time)))
		return label_bad(e, "START TIME");
	if (!take_line(&s, "LABEL: ", &rest) ||
	    !take_text(&rest, found.label, sizeof(found.label)))
		return label_bad(e, "LABEL");
	if (!take_line(&s, "START TIMELINE: ", &rest) ||
	    !scan_u32(&rest, &found.timeline) || rest.left > 0 ||
	    found.timeline == 0 || found.timeline != name_timeline)
		return label_bad(e, "START TIMELINE");
	if (take_incremental(&s, &found, e) == -1)
		return -1;
	*l = found;
	return 0;
}

void
backup_label_effective(const void *text, size_t len, struct buf *out)
{
	struct scan s = { text, len }, line, rest;

	while (scan_line(&s, &line)) {
		rest = line;
		if (scan_word(&rest, "INCREMENTAL FROM "))
			continue;
		/* With the newline, if it had one. */
		buf_put(out, line.p, (size_t)(s.p - line.p));
	}
}
