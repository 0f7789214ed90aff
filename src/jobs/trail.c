#include "jobs/trail.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/le.h"
#include "base/mem.h"
#include "codec/digest.h"

#define HEAD_BYTES  64
#define SLOT_BYTES  40
#define VERSION	    1
#define SLOTS	    (TRAIL_MINUTES + TRAIL_QUARTERS)
#define FILE_BYTES  (HEAD_BYTES + (size_t)SLOTS * SLOT_BYTES)
#define NOTE_MAX_US (5 * CLOCK_SECOND_US) /* nobody looked for longer */
#define FLUSH_US    (10 * CLOCK_SECOND_US)

static const char magic[8] = { 'P', 'G', 'K', 'T', 'R', 'A', 'I', 'L' };

static const struct ring {
	int64_t span_us;
	size_t first, slots;
} rings[] = {
	{ TRAIL_MINUTE_US, 0, TRAIL_MINUTES },
	{ TRAIL_QUARTER_US, TRAIL_MINUTES, TRAIL_QUARTERS },
};

struct trail {
	int fd;
	char *path;
	struct trail_sample now[COUNT_OF(rings)]; /* time_us 0: none yet */
	int64_t noted_us, flushed_us;
};

/* ---- slots ---- */

static size_t
slot_of(const struct ring *r, int64_t time_us)
{
	return r->first + (size_t)(time_us / r->span_us) % r->slots;
}

static void
slot_encode(const struct trail_sample *s, uint8_t *out)
{
	le64_put(out, (uint64_t)s->time_us);
	le64_put(out + 8, s->behind_bytes);
	le64_put(out + 16, s->behind_us);
	le64_put(out + 24, s->bytes);
	le32_put(out + 32, s->covered_ms);
	le32_put(out + 36, crc32c(0, out, 36));
}

/* false: it is empty. */
static bool
slot_decode(const struct ring *r, size_t slot, const uint8_t *in,
    struct trail_sample *s)
{
	if (le32_get(in + 36) != crc32c(0, in, 36))
		return false;
	s->time_us = (int64_t)le64_get(in);
	s->span_us = r->span_us;
	s->behind_bytes = le64_get(in + 8);
	s->behind_us = le64_get(in + 16);
	s->bytes = le64_get(in + 24);
	s->covered_ms = le32_get(in + 32);
	return s->time_us > 0 && s->time_us % r->span_us == 0 &&
	    slot_of(r, s->time_us) == slot;
}

static char *
path_of(const char *state_dir, const char *cluster, enum trail_way way,
    const char *peer)
{
	return mem_printf("%s/%s/trail.%s.%s", state_dir, cluster,
	    way == TRAIL_TO ? "to" : "from", peer);
}

static bool
head_is_ours(const uint8_t *head)
{
	return memcmp(head, magic, sizeof(magic)) == 0 &&
	    le32_get(head + 8) == VERSION;
}

/* ---- writing ---- */

static int
begin_file(struct trail *t, struct err *e)
{
	uint8_t head[HEAD_BYTES] = { 0 };
	ssize_t n = file_pread_full(t->fd, head, sizeof(head), 0, t->path, e);

	if (n == -1)
		return -1;
	if (n == HEAD_BYTES && head_is_ours(head))
		return 0;
	(void)memset(head, 0, sizeof(head));
	(void)memcpy(head, magic, sizeof(magic));
	le32_put(head + 8, VERSION);
	if (ftruncate(t->fd, 0) == -1 || ftruncate(t->fd, FILE_BYTES) == -1)
		return err_sys(e, "could not size \"%s\"", t->path);
	return file_pwrite_all(t->fd, head, sizeof(head), 0, t->path, e);
}

struct trail *
trail_open(const char *state_dir, const char *cluster, enum trail_way way,
    const char *peer, struct err *e)
{
	AUTO_TRAIL struct trail *t = mem_zalloc(sizeof(*t));
	AUTO_FREE char *folder = file_join(state_dir, cluster);

	t->fd = -1;
	t->path = path_of(state_dir, cluster, way, peer);
	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return NULL;
	t->fd = file_open_at(AT_FDCWD, t->path, O_RDWR | O_CREAT, 0600, e);
	if (t->fd == -1 || begin_file(t, e) == -1)
		return NULL;
	return steal_ptr(&t);
}

/* What cannot be written is missed by nobody who works. */
static void
flush(struct trail *t)
{
	uint8_t raw[SLOT_BYTES];
	size_t i;

	for (i = 0; i < COUNT_OF(rings); i++) {
		if (t->now[i].time_us == 0)
			continue;
		slot_encode(&t->now[i], raw);
		(void)file_pwrite_all(t->fd, raw, sizeof(raw),
		    HEAD_BYTES +
			slot_of(&rings[i], t->now[i].time_us) * SLOT_BYTES,
		    t->path, NULL);
	}
}

void
trail_close(struct trail *t)
{
	if (t == NULL)
		return;
	if (t->fd != -1) {
		flush(t);
		(void)close(t->fd);
	}
	free(t->path);
	free(t);
}

/* The sample of this span; what an earlier process knew of it is kept. */
static struct trail_sample *
sample_at(struct trail *t, size_t ring, int64_t now_us)
{
	const struct ring *r = &rings[ring];
	struct trail_sample *s = &t->now[ring];
	int64_t time_us = now_us - now_us % r->span_us;
	size_t slot = slot_of(r, time_us);
	uint8_t raw[SLOT_BYTES];

	if (s->time_us == time_us)
		return s;
	flush(t);
	if (file_pread_full(t->fd, raw, sizeof(raw),
		HEAD_BYTES + slot * SLOT_BYTES, t->path, NULL) == SLOT_BYTES &&
	    slot_decode(r, slot, raw, s) && s->time_us == time_us)
		return s;
	*s = (struct trail_sample){ .time_us = time_us,
		.span_us = r->span_us,
		.behind_us = TRAIL_UNKNOWN };
	return s;
}

static void
add(struct trail_sample *s, uint64_t behind_bytes, uint64_t behind_us,
    uint64_t bytes, uint32_t covered_ms)
{
	if (s->behind_bytes < behind_bytes)
		s->behind_bytes = behind_bytes;
	if (s->behind_us == TRAIL_UNKNOWN ||
	    (behind_us != TRAIL_UNKNOWN && s->behind_us < behind_us))
		s->behind_us = behind_us;
	s->bytes += bytes;
	s->covered_ms += covered_ms;
}

void
trail_note(struct trail *t, int64_t now_us, uint64_t behind_bytes,
    uint64_t behind_us, uint64_t bytes)
{
	int64_t passed_us = now_us - t->noted_us;
	size_t i;

	if (now_us <= 0)
		return;
	if (t->noted_us == 0 || passed_us < 0)
		passed_us = 0;
	else if (passed_us > NOTE_MAX_US)
		passed_us = NOTE_MAX_US;
	t->noted_us = now_us;
	for (i = 0; i < COUNT_OF(rings); i++)
		add(sample_at(t, i, now_us), behind_bytes, behind_us, bytes,
		    (uint32_t)(passed_us / 1000));
	if (now_us < t->flushed_us || now_us - t->flushed_us >= FLUSH_US) {
		t->flushed_us = now_us;
		flush(t);
	}
}

/* ---- reading ---- */

static int
by_time(const void *a, const void *b)
{
	const struct trail_sample *x = a, *y = b;

	return (x->time_us > y->time_us) - (x->time_us < y->time_us);
}

/* Minutes as far as they go back, quarters of hours before. */
static bool
is_wanted(const struct trail_sample *s, int64_t since_us, int64_t now_us)
{
	int64_t minutes_us = now_us - (TRAIL_MINUTES - 1) * TRAIL_MINUTE_US;

	minutes_us += TRAIL_QUARTER_US - 1;
	minutes_us -= minutes_us % TRAIL_QUARTER_US;
	if (s->time_us + s->span_us <= since_us || s->time_us > now_us)
		return false;
	if (s->span_us == TRAIL_MINUTE_US)
		return s->time_us >= minutes_us;
	return s->time_us < minutes_us &&
	    s->time_us > now_us - TRAIL_QUARTERS * TRAIL_QUARTER_US;
}

int
trail_read(const char *state_dir, const char *cluster, enum trail_way way,
    const char *peer, int64_t since_us, int64_t now_us,
    struct trail_sample **list, size_t *count, struct err *e)
{
	AUTO_FREE char *path = path_of(state_dir, cluster, way, peer);
	AUTO_BUF struct buf text = BUF_INIT;
	struct trail_sample s;
	struct err failed = ERR_INIT;
	size_t i, slot;

	*list = NULL;
	*count = 0;
	if (file_slurp_at(AT_FDCWD, path, FILE_BYTES, &text, &failed) == -1) {
		if (failed.kind == ERR_NOT_FOUND)
			return 0;
		*e = failed;
		return -1;
	}
	if (text.len != FILE_BYTES || !head_is_ours(text.data))
		return err_set(
		    e, ERR_CORRUPT, "\"%s\" is no history of ours", path);
	*list = mem_zarray(SLOTS, sizeof(**list));
	for (i = 0; i < COUNT_OF(rings); i++)
		for (slot = rings[i].first;
		     slot < rings[i].first + rings[i].slots; slot++)
			if (slot_decode(&rings[i], slot,
				text.data + HEAD_BYTES + slot * SLOT_BYTES,
				&s) &&
			    is_wanted(&s, since_us, now_us))
				(*list)[(*count)++] = s;
	qsort(*list, *count, sizeof(**list), by_time);
	return 0;
}
