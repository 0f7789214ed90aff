/*
 * drill_html: a report as one page for people: the verdict first, then what was
 * measured against what was asked for, the steps, what was not tested, who has
 * signed, and how to verify it.  Nothing is loaded from elsewhere, nothing runs.
 *
 * What stands in a report came from files: every text goes through escape().
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "jobs/drill_report.h"

#define CHART_WIDTH 640
#define LABEL_WIDTH 220
#define ROWS_MAX    200

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;"
    "padding:0 1em;color:#1a1a1a;background:#fff}"
    "h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.15em;"
    "margin-top:2em;border-bottom:1px solid #ddd}"
    ".verdict{padding:1em 1.2em;border-radius:6px;font-size:1.15em;"
    "color:#fff}.passed{background:#1b6e3c}.failed{background:#a3231f}"
    ".stopped{background:#8a5a00}.warn{background:#fff3cd;padding:.6em 1em;"
    "border-left:5px solid #8a5a00}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.35em .7em;border-bottom:1px solid #e5e5e5;"
    "vertical-align:top}th{font-weight:600;white-space:nowrap}"
    "td.n{text-align:right;white-space:nowrap}pre{white-space:pre-wrap;"
    "background:#f6f6f6;padding:.6em;font-size:.85em;overflow-wrap:anywhere}"
    "svg{max-width:100%;height:auto}.ok{color:#1b6e3c;font-weight:600}"
    ".no{color:#a3231f;font-weight:600}.skip{color:#8a5a00}"
    "small{color:#555}@media print{body{margin:0}}";

/* ---- text ---- */

static void
escape(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text) {
		case '<':
			buf_printf(out, "&lt;");
			break;
		case '>':
			buf_printf(out, "&gt;");
			break;
		case '&':
			buf_printf(out, "&amp;");
			break;
		case '"':
			buf_printf(out, "&quot;");
			break;
		case '\'':
			buf_printf(out, "&#39;");
			break;
		default:
			buf_put_u8(out, (uint8_t)*text);
		}
}

static void
row(struct buf *out, const char *head, const char *text)
{
	buf_printf(out, "<tr><th>%s</th><td>", head);
	escape(out, text);
	buf_printf(out, "</td></tr>\n");
}

static const char *
span(int64_t us, char out[CLOCK_TEXT_BYTES])
{
	if (us < 0)
		(void)strcpy(out, "not achieved");
	else
		(void)clock_interval(us, out);
	return out;
}

/* ---- heading ---- */

static void
put_heading(struct buf *out, const struct report *r, const char *chain)
{
	const json_t *j = r->json;
	const char *result = report_text(j, "result");
	const char *class = strcmp(result, "passed") == 0 ? "passed"
	    : strcmp(result, "stopped") == 0		  ? "stopped"
							  : "failed";

	buf_printf(out, "<h1>%s drill of cluster ",
	    r->kind == REPORT_LIVE ? "Live" : "Recovery");
	escape(out, report_text(j, "cluster"));
	buf_printf(out,
	    "</h1>\n<p><small>Report %s, number %" PRIu64 " of site ", r->id,
	    r->sequence);
	escape(out, r->site);
	buf_printf(
	    out, "</small></p>\n<div class=\"verdict %s\"><strong>", class);
	buf_printf(out, "%s",
	    strcmp(class, "passed") == 0       ? "PASSED"
		: strcmp(class, "failed") == 0 ? "FAILED"
					       : "STOPPED");
	buf_printf(out, "</strong> &mdash; ");
	escape(out, report_text(j, "verdict"));
	buf_printf(out, "</div>\n");
	if (json_is_false(json_object_get(j, "isolated")))
		buf_printf(out,
		    "<p class=\"warn\"><strong>NOT ISOLATED.</strong> Nothing "
		    "kept the copy from reaching out.</p>\n");
	if (strcmp(chain, "sound") != 0) {
		buf_printf(out,
		    "<p class=\"warn\"><strong>This report is in doubt:"
		    "</strong> ");
		escape(out, chain);
		buf_printf(out, "</p>\n");
	}
}

static void
put_facts(struct buf *out, const struct report *r)
{
	const json_t *j = r->json, *target = json_object_get(j, "target");

	buf_printf(out, "<h2>What was rehearsed</h2>\n<table>\n");
	row(out, "Scenario", report_text(j, "scenario"));
	row(out, "Ordered by", report_text(j, "ordered_by"));
	row(out, "From", report_text(j, "started"));
	row(out, "To", report_text(j, "finished"));
	if (r->kind == REPORT_LIVE) {
		row(out, "Primary at the end", report_text(j, "primary_at"));
		row(out, "Next command", report_text(j, "next"));
	} else {
		row(out, "Backup", report_text(target, "backup"));
		row(out, "Asked for", report_text(target, "asked"));
		row(out, "Position", report_text(target, "position"));
		row(out, "Last transaction", report_text(target, "time"));
	}
	row(out, "Lineage", report_text(j, "lineage"));
	row(out, "Machine", report_text(j, "host"));
	row(out, "pgkura", report_text(j, "pgkura"));
	buf_printf(out, "</table>\n");
}

/* ---- RPO and RTO ---- */

/* On a scale on which the target stands at two thirds; what is longer ends at
 * the edge. */
static void
put_bar(struct buf *out, int64_t us, int64_t target_us, bool met)
{
	double scale =
	    target_us > 0 ? (double)CHART_WIDTH * 2 / 3 / (double)target_us : 0;
	double width = us < 0 ? 0 : (double)us * scale;

	if (width > CHART_WIDTH)
		width = CHART_WIDTH;
	if (width < 2)
		width = 2;
	buf_printf(out,
	    "<svg viewBox=\"0 0 %d 34\" width=\"%d\" height=\"34\" "
	    "role=\"img\"><rect x=\"0\" y=\"8\" width=\"%d\" height=\"18\" "
	    "fill=\"#eee\"/><rect x=\"0\" y=\"8\" width=\"%.0f\" height=\"18\" "
	    "fill=\"%s\"/><line x1=\"%d\" x2=\"%d\" y1=\"2\" y2=\"32\" "
	    "stroke=\"#000\" stroke-width=\"2\"/></svg>\n",
	    CHART_WIDTH, CHART_WIDTH, CHART_WIDTH, width,
	    met ? "#1b6e3c" : "#a3231f", CHART_WIDTH * 2 / 3,
	    CHART_WIDTH * 2 / 3);
}

static void
put_parts(struct buf *out, const json_t *parts)
{
	char text[CLOCK_TEXT_BYTES];
	size_t i;

	buf_printf(out, "<table>\n");
	for (i = 0; i < json_array_size(parts) && i < ROWS_MAX; i++) {
		const json_t *p = json_array_get(parts, i);

		buf_printf(out, "<tr><td>");
		escape(out, report_text(p, "what"));
		buf_printf(out, "</td><td class=\"n\">%s</td><td>",
		    span(report_number(p, "us"), text));
		escape(out, report_text(p, "how"));
		buf_printf(out, "</td></tr>\n");
	}
	buf_printf(out, "</table>\n");
}

static void
put_measure(struct buf *out, const json_t *j, const char *key, const char *name)
{
	const json_t *m = json_object_get(j, key);
	const json_t *met = json_object_get(m, "met");
	int64_t us = report_number(m, "achieved_us"),
		target_us = report_number(m, "target_us");
	char a[CLOCK_TEXT_BYTES], b[CLOCK_TEXT_BYTES];

	buf_printf(out, "<h3>%s: %s, target %s &mdash; ", name, span(us, a),
	    target_us > 0 ? span(target_us, b) : "not set");
	if (json_is_true(met))
		buf_printf(out, "<span class=\"ok\">met</span>");
	else if (json_is_false(met))
		buf_printf(out, "<span class=\"no\">not met</span>");
	else
		buf_printf(out, "<span class=\"skip\">not judged</span>");
	buf_printf(out, "</h3>\n");
	put_bar(out, us, target_us, json_is_true(met));
	put_parts(out, json_object_get(m, "parts"));
}

/* ---- steps ---- */

static const char *
color_of(const char *result)
{
	return strcmp(result, "passed") == 0 ? "#1b6e3c"
	    : strcmp(result, "skipped") == 0 ? "#c9a227"
					     : "#a3231f";
}

static int64_t
took_us(const json_t *step)
{
	int64_t us = report_number(step, "took_us");

	return us < 0 ? 0 : us;
}

static void
put_timeline(struct buf *out, const json_t *steps)
{
	size_t count = json_array_size(steps), i;
	double all = 0, x = 0, width;

	if (count > ROWS_MAX)
		count = ROWS_MAX;
	for (i = 0; i < count; i++)
		all += (double)took_us(json_array_get(steps, i));
	if (all <= 0)
		return;
	buf_printf(out,
	    "<svg viewBox=\"0 0 %d %zu\" width=\"%d\" height=\"%zu\" "
	    "role=\"img\" font-size=\"12\" font-family=\"sans-serif\">\n",
	    CHART_WIDTH + LABEL_WIDTH, count * 22 + 4,
	    CHART_WIDTH + LABEL_WIDTH, count * 22 + 4);
	for (i = 0; i < count; i++) {
		const json_t *s = json_array_get(steps, i);

		width = (double)took_us(s) / all * CHART_WIDTH;
		buf_printf(out, "<text x=\"0\" y=\"%zu\">", i * 22 + 16);
		escape(out, report_text(s, "step"));
		buf_printf(out,
		    "</text><rect x=\"%.1f\" y=\"%zu\" width=\"%.1f\" "
		    "height=\"16\" fill=\"%s\"/>\n",
		    LABEL_WIDTH + x, i * 22 + 3, width < 1.5 ? 1.5 : width,
		    color_of(report_text(s, "result")));
		x += width;
	}
	buf_printf(out, "</svg>\n");
}

static void
put_steps(struct buf *out, const json_t *steps)
{
	char took[CLOCK_TEXT_BYTES];
	size_t i;

	buf_printf(out, "<h2>Steps</h2>\n");
	put_timeline(out, steps);
	buf_printf(out,
	    "<table>\n<tr><th>Step</th><th>Result</th><th>Took</th>"
	    "<th>What was seen</th></tr>\n");
	for (i = 0; i < json_array_size(steps) && i < ROWS_MAX; i++) {
		const json_t *s = json_array_get(steps, i);
		const char *result = report_text(s, "result");

		buf_printf(out, "<tr><td>");
		escape(out, report_text(s, "what"));
		buf_printf(out, "<br><small>");
		escape(out, report_text(s, "started"));
		buf_printf(out, "</small></td><td class=\"%s\">",
		    strcmp(result, "passed") == 0	 ? "ok"
			: strcmp(result, "skipped") == 0 ? "skip"
							 : "no");
		escape(out, result);
		buf_printf(out, "</td><td class=\"n\">%s</td><td>",
		    clock_interval(took_us(s), took));
		escape(out, report_text(s, "detail"));
		if (report_text(s, "output")[0] != '\0') {
			buf_printf(out, "<pre>");
			escape(out, report_text(s, "output"));
			buf_printf(out, "</pre>");
		}
		buf_printf(out, "</td></tr>\n");
	}
	buf_printf(out, "</table>\n");
}

/* ---- the directions of a live drill ---- */

static void
put_directions(struct buf *out, const json_t *ways)
{
	static const char *const keys[] = { "ordered", "last_commit",
		"first_commit" };
	char text[CLOCK_TEXT_BYTES];
	size_t i, k;

	buf_printf(out,
	    "<h2>Directions</h2>\n<table>\n<tr><th>To</th><th>Ordered</th>"
	    "<th>Last commit before</th><th>First commit after</th>"
	    "<th>Writers waited</th><th>No commit lost</th></tr>\n");
	for (i = 0; i < json_array_size(ways) && i < ROWS_MAX; i++) {
		const json_t *w = json_array_get(ways, i);
		bool kept = json_is_true(json_object_get(w, "nothing_lost"));

		buf_printf(out, "<tr><td>");
		escape(out, report_text(w, "to"));
		for (k = 0; k < COUNT_OF(keys); k++) {
			buf_printf(out, "</td><td>");
			escape(out, report_text(w, keys[k]));
		}
		buf_printf(out,
		    "</td><td class=\"n\">%s</td><td class=\"%s\">%s</td>"
		    "</tr>\n",
		    span(report_number(w, "outage_us"), text),
		    kept ? "ok" : "no", kept ? "proved" : "not proved");
	}
	buf_printf(out, "</table>\n");
}

/* ---- the rest ---- */

static void
put_untested(struct buf *out, const json_t *list)
{
	size_t i;

	buf_printf(out, "<h2>What was not tested</h2>\n<ul>\n");
	for (i = 0; i < json_array_size(list) && i < ROWS_MAX; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		buf_printf(out, "<li>");
		escape(out, text == NULL ? "" : text);
		buf_printf(out, "</li>\n");
	}
	buf_printf(out, "</ul>\n");
}

static void
put_samples(struct buf *out, const json_t *samples)
{
	size_t count = json_array_size(samples), i;

	buf_printf(out,
	    "<details><summary>%zu samples</summary><table>\n"
	    "<tr><th>At</th><th>During</th><th>Server at</th><th>Durable here"
	    "</th><th>Committed here</th></tr>\n",
	    count);
	for (i = 0; i < count && i < ROWS_MAX; i++) {
		static const char *const keys[] = { "at", "phase", "server",
			"flushed", "committed" };
		const json_t *s = json_array_get(samples, i);
		size_t k;

		buf_printf(out, "<tr>");
		for (k = 0; k < COUNT_OF(keys); k++) {
			buf_printf(out, "<td>");
			escape(out, report_text(s, keys[k]));
			buf_printf(out, "</td>");
		}
		buf_printf(out, "</tr>\n");
	}
	buf_printf(out, "</table></details>\n");
}

static void
put_replication(struct buf *out, const json_t *j)
{
	const json_t *o = json_object_get(j, "replication");

	buf_printf(out,
	    "<h2>Replication during the drill</h2>\n<p class=\"%s\">",
	    json_is_true(json_object_get(o, "went_on")) ? "ok" : "no");
	escape(out, report_text(o, "verdict"));
	buf_printf(out, "</p>\n");
	put_samples(out, json_object_get(o, "samples"));
	buf_printf(out, "<h2>Cleaning up</h2>\n<p>");
	escape(out, report_text(json_object_get(j, "cleanup"), "verdict"));
	buf_printf(out, "</p>\n");
}

static void
put_sign_offs(struct buf *out, const struct report *list, size_t count)
{
	size_t i;

	buf_printf(out, "<h2>Sign-off</h2>\n");
	if (count == 0)
		buf_printf(out, "<p>Nobody has signed this report yet.</p>\n");
	buf_printf(out, "<table>\n");
	for (i = 0; i < count; i++) {
		buf_printf(out, "<tr><th>");
		escape(out, report_text(list[i].json, "by"));
		buf_printf(out, "</th><td>");
		escape(out, report_text(list[i].json, "finished"));
		buf_printf(out, "</td><td>");
		escape(out, report_text(list[i].json, "note"));
		buf_printf(out, "</td></tr>\n");
	}
	buf_printf(out, "</table>\n");
}

static void
put_verification(struct buf *out, const struct report *r, const char *chain)
{
	buf_printf(out,
	    "<h2>How to verify this page</h2>\n<p>It is made from report "
	    "<code>%s</code>, which is kept in the repository, signed by the "
	    "site's key (Ed25519) and chained to the report before it",
	    r->id);
	if (r->previous_id[0] != '\0')
		buf_printf(out, " (<code>%s</code>, SHA-256 <code>%s</code>)",
		    r->previous_id, r->previous_sha256);
	buf_printf(out, ". When this page was made it was ");
	escape(out, chain);
	buf_printf(out, ". Check it with</p>\n<pre>pgkura drill list ");
	escape(out, report_text(r->json, "cluster"));
	buf_printf(out,
	    "\npgkura drill show %s --html page.html</pre>\n"
	    "<p>and compare the pages.</p>\n",
	    r->id);
}

void
report_html(const struct report *r, const char *chain,
    const struct report *sign_offs, size_t sign_off_count, struct buf *out)
{
	const json_t *j = r->json;
	bool live = r->kind == REPORT_LIVE;

	buf_printf(out,
	    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	    "<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
	    "content=\"width=device-width\">\n<title>Drill ");
	escape(out, report_text(j, "cluster"));
	buf_printf(out, " %s</title>\n<style>%s</style>\n</head>\n<body>\n",
	    r->id, style);
	put_heading(out, r, chain);
	buf_printf(out, "<h2>Against the targets</h2>\n");
	put_measure(out, j, "rpo",
	    live ? "RPO, what was lost" : "RPO, what would be lost");
	put_measure(out, j, "rto",
	    live ? "RTO, how long writers waited" : "RTO, how long it takes");
	put_facts(out, r);
	if (r->kind == REPORT_LIVE)
		put_directions(out, json_object_get(j, "directions"));
	put_steps(out, json_object_get(j, "steps"));
	put_untested(out, json_object_get(j, "not_tested"));
	if (!live)
		put_replication(out, j);
	put_sign_offs(out, sign_offs, sign_off_count);
	put_verification(out, r, chain);
	buf_printf(out, "</body>\n</html>\n");
}
