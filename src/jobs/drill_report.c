#include "jobs/drill_report.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

bool
report_id_valid(const char *text)
{
	size_t i;

	if (strlen(text) != 21)
		return false;
	for (i = 0; i < 21; i++) {
		const char *set = i == 8 ? "T"
		    : i == 15		 ? "Z"
		    : i == 16		 ? "-"
		    : i > 16		 ? "0123456789abcdef"
					 : "0123456789";

		if (strchr(set, text[i]) == NULL)
			return false;
	}
	return true;
}

const char *
report_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text == NULL ? "" : text;
}

int64_t
report_number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

static int
need_id(
    const json_t *o, const char *key, char out[BACKUP_ID_BYTES], struct err *e)
{
	if (json_need_text(o, key, out, BACKUP_ID_BYTES, e) == -1)
		return -1;
	if (!report_id_valid(out))
		return err_set(
		    e, ERR_CORRUPT, "\"%s\" is no id of a report", out);
	return 0;
}

static int
need_digest(const json_t *o, char out[SHA256_HEX_BYTES], struct err *e)
{
	uint8_t digest[SHA256_BYTES];

	if (json_need_hex(o, "sha256", digest, sizeof(digest), e) == -1)
		return -1;
	sha256_hex(digest, out);
	return 0;
}

/* {"id", "sha256"} */
static int
need_reference(const json_t *o, char id[BACKUP_ID_BYTES],
    char sha256[SHA256_HEX_BYTES], struct err *e)
{
	if (!json_is_object(o))
		return err_set(
		    e, ERR_CORRUPT, "a report refers to no other one");
	if (need_id(o, "id", id, e) == -1)
		return -1;
	return need_digest(o, sha256, e);
}

static int
decode_kind(struct report *r, struct err *e)
{
	const char *kind;

	if (json_need_str(r->json, "kind", &kind, e) == -1)
		return -1;
	if (strcmp(kind, "drill") == 0)
		r->kind = REPORT_DRILL;
	else if (strcmp(kind, "live") == 0)
		r->kind = REPORT_LIVE;
	else if (strcmp(kind, "sign-off") == 0)
		r->kind = REPORT_SIGN_OFF;
	else
		return err_set(
		    e, ERR_CORRUPT, "report is of kind \"%.40s\"", kind);
	return 0;
}

static int
need_objects(const json_t *j, const char *const *names, struct err *e)
{
	for (; *names != NULL; names++)
		if (!json_is_object(json_object_get(j, *names)))
			return err_set(
			    e, ERR_CORRUPT, "report has no \"%s\"", *names);
	return 0;
}

/* Members that others read without asking again. */
static int
check_both(const json_t *j, struct err *e)
{
	static const char *const texts[] = { "cluster", "lineage", "result",
		"verdict", "scenario", "ordered_by", "started", "finished" };
	static const char *const arrays[] = { "steps", "not_tested" };
	static const char *const objects[] = { "rpo", "rto", NULL };
	const char *text;
	const json_t *array;
	size_t i;

	for (i = 0; i < COUNT_OF(texts); i++)
		if (json_need_str(j, texts[i], &text, e) == -1)
			return -1;
	for (i = 0; i < COUNT_OF(arrays); i++)
		if (json_need_array(j, arrays[i], &array, e) == -1)
			return -1;
	return need_objects(j, objects, e);
}

static int
check_drill(const json_t *j, struct err *e)
{
	static const char *const objects[] = { "target", "replication",
		"cleanup", NULL };

	return check_both(j, e) == -1 ? -1 : need_objects(j, objects, e);
}

static int
check_live(const json_t *j, struct err *e)
{
	const json_t *ways;
	const char *text;

	if (check_both(j, e) == -1 ||
	    json_need_array(j, "directions", &ways, e) == -1 ||
	    json_need_str(j, "primary_at", &text, e) == -1)
		return -1;
	return json_need_str(j, "next", &text, e);
}

static int
check_sign_off(struct report *r, struct err *e)
{
	const char *text;

	if (json_need_str(r->json, "by", &text, e) == -1 ||
	    json_need_str(r->json, "note", &text, e) == -1)
		return -1;
	return need_reference(
	    json_object_get(r->json, "of"), r->of_id, r->of_sha256, e);
}

static int
decode(struct report *r, struct err *e)
{
	const json_t *previous;
	uint64_t format;

	if (json_need_u64(r->json, "report", &format, e) == -1)
		return -1;
	if (format != REPORT_FORMAT)
		return err_set(e, ERR_CORRUPT,
		    "report has format %llu, this pgkura knows %d",
		    (unsigned long long)format, REPORT_FORMAT);
	if (decode_kind(r, e) == -1 || need_id(r->json, "id", r->id, e) == -1 ||
	    json_need_text(r->json, "site", r->site, sizeof(r->site), e) ==
		-1 ||
	    json_need_u64(r->json, "sequence", &r->sequence, e) == -1 ||
	    json_need_i64(r->json, "finished_us", &r->finished_us, e) == -1)
		return -1;
	previous = json_object_get(r->json, "previous");
	if (r->sequence == 0 || (r->sequence == 1) != json_is_null(previous))
		return err_set(
		    e, ERR_CORRUPT, "report has a wrong place in its chain");
	if (r->sequence > 1 &&
	    need_reference(previous, r->previous_id, r->previous_sha256, e) ==
		-1)
		return -1;
	switch (r->kind) {
	case REPORT_DRILL:
		return check_drill(r->json, e);
	case REPORT_LIVE:
		return check_live(r->json, e);
	case REPORT_SIGN_OFF:
		break;
	}
	return check_sign_off(r, e);
}

int
report_decode(struct report *r, const void *text, size_t len, struct err *e)
{
	(void)memset(r, 0, sizeof(*r));
	r->json = json_parse(text, len, "a report", e);
	if (r->json != NULL && decode(r, e) == 0)
		return 0;
	report_free(r);
	return -1;
}

void
report_free(struct report *r)
{
	json_decref(r->json);
	r->json = NULL;
}
