/*
 * expire_wal: how far back WAL is kept.
 */

#include "base/clock.h"
#include "base/mem.h"
#include "base/size.h"
#include "jobs/expire_int.h"

/* The first LSN of a timeline that recovery from a backup may ask for. */
static uint64_t
first_needed(void *arg, uint32_t timeline)
{
	struct expiry *x = arg;
	struct timeline_history h = { 0 };
	AUTO_BUF struct buf text = BUF_INIT;
	struct err ignored = ERR_INIT;
	uint64_t first = UINT64_MAX;
	uint32_t newest = 0;
	bool known;
	size_t i;

	known =
	    wal_read_history(&x->lineage, timeline, &h, &text, &ignored) == 0;
	for (i = 0; i < x->start_count; i++) {
		const struct wal_span *s = &x->starts[i];

		if (s->timeline > newest)
			newest = s->timeline;
		if (s->timeline == timeline && s->start_lsn < first)
			first = s->start_lsn;
		else if (s->timeline < timeline && known &&
		    timeline_contains(&h, s->timeline, s->start_lsn))
			first = 0; /* it leads from that backup on */
	}
	timeline_history_free(&h);
	/* Of what is newer than every backup, or unknown, nothing goes. */
	return timeline > newest || (!known && timeline > 1) ? 0 : first;
}

static uint64_t
first_pinned(void *arg, uint32_t timeline)
{
	const struct expiry *x = arg;

	return timeline < x->pin.timeline ? UINT64_MAX
	    : timeline > x->pin.timeline  ? 0
					  : x->pin.lsn;
}

int
expire_wal(struct expiry *x, struct err *e)
{
	struct wal_expire_limits limits;
	uint64_t segments = 0, bytes = 0;
	char text[SIZE_TEXT_BYTES], at[LSN_TEXT_BYTES], age[CLOCK_TEXT_BYTES];

	if (x->start_count == 0) {
		expire_item(
		    x, false, mem_strdup("WAL"), "there is no backup yet");
		return 0;
	}
	pin_read(x->settings, x->cluster, &x->lineage, &x->pin);
	limits = (struct wal_expire_limits){ .keep = first_needed,
		.arg = x,
		.protect_since_us = expire_protect_us(x) == 0
		    ? INT64_MAX
		    : x->now_us - expire_protect_us(x),
		.pin = x->pin.peer[0] == '\0' ? NULL : first_pinned,
		.pin_since_us = x->now_us - x->pin.keep_us };
	if (wal_expire(
		&x->lineage, &limits, x->dry_run, &segments, &bytes, e) == -1)
		return -1;
	if (x->pin.peer[0] != '\0')
		expire_item(x, false,
		    mem_printf("WAL from %s on", lsn_text(x->pin.lsn, at)),
		    "site \"%s\" lacks it; kept for %s", x->pin.peer,
		    clock_interval(x->pin.keep_us, age));
	x->result->wal_segments = segments;
	x->result->bytes += bytes;
	if (segments > 0)
		expire_item(x, true,
		    mem_printf("%llu WAL segments, %s",
			(unsigned long long)segments, size_text(bytes, text)),
		    "they are older than every backup");
	return 0;
}
