#include "conf/rate_windows.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/size.h"
#include "conf/list.h"

#define ITEM_BYTES 64

/* "20MB", "20MB/s", "unlimited", "none". */
static int
parse_rate(char *text, uint64_t *bytes_s)
{
	size_t len = strlen(text);

	if (strcasecmp(text, "unlimited") == 0 ||
	    strcasecmp(text, "none") == 0) {
		*bytes_s = 0;
		return 0;
	}
	if (len > 2 && strcmp(text + len - 2, "/s") == 0)
		text[len - 2] = '\0';
	return size_parse(text, bytes_s, NULL) == -1 ||
		*bytes_s < RATE_BYTES_S_MIN || *bytes_s > RATE_BYTES_S_MAX
	    ? -1
	    : 0;
}

/* Where the rate begins: at the first blank after which no time, no "-" and
 * no blank follows. */
static char *
split(char *item)
{
	char *p = item;

	while (*p != '\0') {
		char *word = p + strspn(p, " \t");
		size_t len = strcspn(word, " \t");

		if (p != item && word[0] != '-' && word[0] != '\0' &&
		    strchr(word, ':') == NULL) {
			*p = '\0';
			return word;
		}
		p = word + len;
	}
	return p;
}

int
rate_windows_parse(struct rate_windows *w, const char *text, struct err *e)
{
	struct rate_windows made = { 0 };
	char item[ITEM_BYTES], *rate;
	const char *at = text;

	while (list_next(&at, item, sizeof(item))) {
		rate = split(item);
		if (made.count == RATE_WINDOWS_MAX ||
		    window_of_day_parse(
			&made.at[made.count].window, item, NULL) == -1 ||
		    parse_rate(rate, &made.at[made.count].bytes_s) == -1)
			break;
		made.count++;
	}
	if (made.count > 0 && made.count == list_count(text)) {
		*w = made;
		return 0;
	}
	(void)err_set(
	    e, ERR_USAGE, "\"%s\" is not a list of windows and rates", text);
	return err_hint(e,
	    "Write at most %d windows of the day, each with its bytes a "
	    "second of at least 8kB, such as: 08:00-18:00 20MB, 22:00-06:00 "
	    "unlimited",
	    RATE_WINDOWS_MAX);
}

uint64_t
rate_windows_at(
    const struct rate_windows *w, uint64_t otherwise, int64_t now_us)
{
	size_t i;

	for (i = 0; i < w->count; i++)
		if (window_of_day_contains(&w->at[i].window, now_us))
			return w->at[i].bytes_s;
	return otherwise;
}
