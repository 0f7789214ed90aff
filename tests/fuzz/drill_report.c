/*
 * A report must survive any bytes.  The page that is made of it is whole and
 * lets nothing out of the text of a report: no element but our own.
 */

#include <stdlib.h>
#include <string.h>

#include "jobs/drill_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t
count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static void
try_page(const struct report *r)
{
	AUTO_BUF struct buf page = BUF_INIT;
	const char *text;

	report_html(r, "<sound>", r, 1, &page);
	text = buf_str(&page);
	if (strlen(text) != page.len || count(text, "</html>") != 1 ||
	    count(text, "<script") != 0 || count(text, "<sound>") != 0 ||
	    count(text, "<td") != count(text, "</td>") ||
	    count(text, "<pre>") != count(text, "</pre>") ||
	    strcmp(text + page.len - 8, "</html>\n") != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_REPORT struct report r = { 0 };
	struct err e = ERR_INIT;

	if (report_decode(&r, data, len, &e) == -1) {
		if (r.json != NULL || e.kind != ERR_CORRUPT)
			abort();
		return 0;
	}
	if (!report_id_valid(r.id) || r.sequence == 0)
		abort();
	if (r.kind != REPORT_SIGN_OFF)
		try_page(&r);
	return 0;
}
