#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "jobs/control.h"

#define ASK_MS	  5000
#define FOLLOW_US (500 * (int64_t)1000)

/* "2026-11-21 03:04:05 warning name: message  key=value" */
static void
print_event(struct cli *cli, json_t *event)
{
	AUTO_BUF struct buf line = BUF_INIT;
	char when[CLOCK_TEXT_BYTES];
	const char *key;
	json_t *value;

	if (cli->json) {
		json_write(event, &line);
		(void)printf("%s\n", buf_str(&line));
		return;
	}
	(void)clock_local(json_get_int(event, "time_us"), when);
	(void)printf("%.19s %-7s %s: %s", when, json_get_str(event, "level"),
	    json_get_str(event, "event"), json_get_str(event, "message"));
	json_object_foreach(json_object_get(event, "values"), key, value)
	{
		if (json_is_string(value) && strcmp(key, "hint") != 0)
			(void)printf("  %s=%s", key, json_string_value(value));
	}
	(void)printf("\n");
	if (json_get_str(json_object_get(event, "values"), "hint")[0] != '\0')
		(void)printf("%20s%s\n", "",
		    json_get_str(json_object_get(event, "values"), "hint"));
}

static int
show(struct cli *cli, uint64_t count, uint64_t *after, struct err *e)
{
	AUTO_JSON json_t *request = control_request("events");
	AUTO_JSON json_t *reply = NULL;
	const json_t *events;
	size_t i;

	json_set_u64(request, "count", count);
	json_set_u64(request, "after", *after);
	reply = control_ask(cli->settings, request, ASK_MS, e);
	if (reply == NULL)
		return -1;
	events = json_object_get(reply, "events");
	for (i = 0; i < json_array_size(events); i++)
		print_event(cli, json_array_get(events, i));
	*after = (uint64_t)json_get_int(reply, "last");
	(void)fflush(stdout);
	return 0;
}

int
cmd_events(struct cli *cli, int argc, char *argv[], struct err *e)
{
	uint64_t count = 20, after = 0;
	bool follow = false;
	const struct cli_option options[] = {
		{ "count", "N", "show the last N (default 20)", CLI_NUMBER,
		    &count },
		{ "follow", NULL, "go on with new ones until interrupted",
		    CLI_FLAG, &follow },
	};

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), NULL, 0, 0,
		NULL, e) == -1 ||
	    show(cli, count, &after, e) == -1)
		return -1;
	while (follow && !child_stop_requested()) {
		clock_sleep_us(FOLLOW_US);
		if (show(cli, 500, &after, e) == -1)
			return -1;
	}
	return 0;
}

int
cmd_reload(struct cli *cli, int argc, char *argv[], struct err *e)
{
	AUTO_JSON json_t *request = control_request("reload");
	AUTO_JSON json_t *reply = NULL;

	if (cli_parse(cli, argc, argv, NULL, 0, NULL, 0, 0, NULL, e) == -1)
		return -1;
	reply = control_ask(cli->settings, request, ASK_MS, e);
	if (reply == NULL)
		return -1;
	(void)fprintf(stderr, "the configuration is in effect\n");
	return 0;
}
