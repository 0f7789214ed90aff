/*
 * accept_course: how fast a cluster comes from a peer, and how far behind it is.
 */

#include <string.h>

#include "base/clock.h"
#include "jobs/accept_int.h"
#include "pg/lsn.h"

static uint64_t
behind_bytes(const struct accept *a)
{
	return a->source_lsn > a->told.durable_lsn
	    ? a->source_lsn - a->told.durable_lsn
	    : 0;
}

int64_t
accept_late_us(const struct accept *a)
{
	int64_t late_us = clock_boot_us() - a->noted_boot_us;

	return a->noted.server_us == 0 ? -1 : late_us < 0 ? 0 : late_us;
}

void
accept_note_course(struct accept *a, int64_t boot_us)
{
	uint64_t bytes = a->plain_bytes + a->object_bytes;
	int64_t late_us = accept_late_us(a);

	if (boot_us - a->course_us < CLOCK_SECOND_US)
		return;
	a->course_us = boot_us;
	pace_note(&a->wal_pace, a->plain_bytes, boot_us);
	pace_note(&a->object_pace, a->object_bytes, boot_us);
	if (a->source_lsn != 0)
		pace_note(&a->source_pace, a->source_lsn, boot_us);
	if (a->timeline == 0 || (a->wal == NULL && a->why[0] == '\0'))
		return; /* nothing is to come from there */
	if (a->trail == NULL)
		a->trail = trail_open(courier_settings(a->courier)->state_dir,
		    a->cluster->name, TRAIL_FROM,
		    courier_peer(a->courier)->name, NULL);
	if (a->trail != NULL)
		trail_note(a->trail, clock_now_us(), behind_bytes(a),
		    late_us == -1 ? TRAIL_UNKNOWN : (uint64_t)late_us,
		    bytes - a->trail_bytes);
	a->trail_bytes = bytes;
}

static void
put_pace(const struct accept *a, json_t *out)
{
	uint64_t wal = pace_per_s(&a->wal_pace);
	int64_t eta_us =
	    pace_eta_us(behind_bytes(a), wal, pace_per_s(&a->source_pace));

	json_set_u64(out, "wal_plain_bytes", a->plain_bytes);
	json_set_u64(out, "wal_sent_bytes", a->stream_bytes);
	json_set_u64(out, "wal_bytes_per_s", wal);
	json_set_u64(out, "object_bytes_per_s", pace_per_s(&a->object_pace));
	json_set_u64(out, "source_bytes_per_s", pace_per_s(&a->source_pace));
	if (a->timeline != 0 && eta_us != -1)
		json_set_u64(out, "eta_us", (uint64_t)eta_us);
	else if (!pace_is_measured(&a->wal_pace) ||
	    !pace_is_measured(&a->source_pace))
		(void)json_object_set_new(out, "measuring", json_true());
}

void
accept_status(const struct accept *a, json_t *out)
{
	char text[LSN_TEXT_BYTES];

	json_set_str(out, "cluster", a->cluster->name);
	json_set_str(out, "lineage", a->lineage.name);
	json_set_str(out, "state", a->wal == NULL ? "waiting" : "accepting");
	if (a->why[0] != '\0' || a->no_room[0] != '\0')
		json_set_str(
		    out, "why", a->why[0] != '\0' ? a->why : a->no_room);
	if (a->timeline != 0) {
		json_set_u64(out, "timeline", a->timeline);
		json_set_str(
		    out, "committed", lsn_text(a->told.durable_lsn, text));
		json_set_str(out, "source_end", lsn_text(a->source_lsn, text));
		json_set_u64(out, "behind_bytes", behind_bytes(a));
	}
	/* The source's time up to which all is here, by its clock. */
	json_set_u64(out, "source_us", (uint64_t)a->noted.server_us);
	if (accept_late_us(a) != -1)
		json_set_u64(out, "late_us", (uint64_t)accept_late_us(a));
	json_set_u64(out, "stamp_us", (uint64_t)a->stamp_us);
	if (a->proved_until_us > clock_boot_us())
		json_set_u64(out, "zero_loss_proved_for_us",
		    (uint64_t)(a->proved_until_us - clock_boot_us()));
	json_set_u64(
	    out, "zero_loss_until_boot_us", (uint64_t)a->proved_until_us);
	json_set_u64(out, "object_bytes", a->object_bytes);
	put_pace(a, out);
}
