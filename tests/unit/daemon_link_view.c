/*
 * What couriers say becomes alarms: a peer that is gone, a path, what lags.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "daemon/link_view.h"
#include "tap.h"

#define S CLOCK_SECOND_US

static char folder[] = "/tmp/link_view.XXXXXX";
static struct settings *settings;

/* Let the courier say this; "%" stands for the time, and a number behind it for
 * so many seconds before; "@" for that of CLOCK_BOOTTIME. */
static void
say(const char *text)
{
	AUTO_FREE char *path = mem_printf("%s/link/osaka.json", folder);
	FILE *f = fopen(path, "w");
	char *end;

	if (f == NULL)
		tap_bail("could not write %s", path);
	for (; *text != '\0'; text++)
		if (*text == '%' || *text == '@') {
			(void)fprintf(f, "%lld",
			    (long long)((*text == '%' ? clock_now_us()
						      : clock_boot_us()) -
				strtol(text + 1, &end, 10) * S));
			text = end - 1;
		} else {
			(void)fputc(*text, f);
		}
	(void)fclose(f);
}

/* The alarms that there are then, by name, separated by blanks. */
static const char *
names(struct alarms *a)
{
	static char out[400];
	AUTO_JSON json_t *all = NULL;
	const json_t *one;
	size_t i;

	judge_link(a, settings, &settings->peers[0]);
	all = alarms_json(a);
	out[0] = '\0';
	json_array_foreach(all, i, one)(void) snprintf(out + strlen(out),
	    sizeof(out) - strlen(out), "%s%s", i == 0 ? "" : " ",
	    json_string_value(json_object_get(one, "name")));
	return out;
}

#define UP   "{\"up\":true,\"heard_ago_us\":1,\"since_us\":%100}"
#define DOWN "{\"up\":false,\"heard_ago_us\":30000000,\"since_us\":%5}"
#define NEW  "{\"up\":false,\"since_us\":%5}"
#define SAYS(up, paths, rest)                                  \
	"{\"updated_us\":%1,\"up\":" up ",\"heard_ago_us\":1," \
	"\"paths\":[" paths "]" rest "}"

static void
check_reach(void)
{
	AUTO_ALARMS struct alarms *a = alarms_new();

	tap_str(names(a), "", "nothing is said yet: nothing is concluded");
	say(SAYS("true", UP "," UP, ""));
	tap_str(names(a), "", "both paths are up");
	say(SAYS("true", UP "," DOWN, ""));
	tap_str(names(a), "path_lost", "one of two is down");
	say(SAYS("true", UP "," NEW, ""));
	tap_str(names(a), "", "one is being tried for the first time");
	say(SAYS("false", DOWN "," DOWN, ""));
	tap_str(names(a), "peer_unreachable", "both are down: that is another");
	say(SAYS("true", UP, ""));
	tap_str(names(a), "", "it is back");
	say("{\"updated_us\":%1,\"up\":false,\"paths\":[" NEW "]}");
	tap_str(names(a), "", "the daemon has just begun");
	say("{\"updated_us\":%1,\"up\":false,\"paths\":"
	    "[{\"up\":false,\"since_us\":%60}]}");
	tap_str(names(a), "peer_unreachable", "it has tried for long enough");
	say("{\"updated_us\":%60,\"up\":true,\"paths\":[" UP "]}");
	tap_str(names(a), "peer_unreachable", "the courier hangs");
	say("{\"updated_us\":%1,\"up\":false,\"paths\":[" NEW "]}");
	tap_str(
	    names(a), "peer_unreachable", "the next one has heard nothing yet");
	say(SAYS("true", UP, ""));
	tap_str(names(a), "", "it is heard");
}

#define SHIP(rest) \
	",\"ships\":[{\"cluster\":\"main\",\"behind_bytes\":5," rest "}]"
#define ACCEPT(rest) ",\"accepts\":[{\"cluster\":\"main\"," rest "}]"

static void
check_lag(void)
{
	AUTO_ALARMS struct alarms *a = alarms_new();

	say(SAYS("true", UP, SHIP("\"lacking_since_us\":%30")));
	tap_str(names(a), "", "a lag within the target");
	say(SAYS("true", UP, SHIP("\"lacking_since_us\":%90")));
	tap_str(names(a), "rpo_exceeded", "what goes there lags");
	say(SAYS("true", UP, SHIP("\"lacking_since_us\":0")));
	tap_str(names(a), "", "it is in step");
	say(SAYS("true", UP, SHIP("\"why\":\"x\"")));
	tap_str(names(a), "replication_refused", "it is not taken");
	say(SAYS(
	    "true", UP, ACCEPT("\"state\":\"accepting\",\"source_us\":%30")));
	tap_str(names(a), "", "what comes is young enough");
	say(SAYS(
	    "true", UP, ACCEPT("\"state\":\"accepting\",\"source_us\":%90")));
	tap_str(names(a), "rpo_exceeded", "what comes is old");
	say(SAYS("true", UP,
	    ACCEPT("\"state\":\"accepting\",\"source_us\":%90,"
		   "\"zero_loss_proved_for_us\":1")));
	tap_str(names(a), "", "but nothing acknowledged can be missing");
	say(SAYS(
	    "true", UP, ACCEPT("\"state\":\"waiting\",\"source_us\":%90")));
	tap_str(names(a), "", "nothing comes: roles have changed");
	say(SAYS("true", UP,
	    ",\"skew_us\":-60000000" ACCEPT(
		"\"state\":\"accepting\",\"source_us\":%90")));
	tap_str(names(a), "", "the other clock is behind by a minute");
}

/* The clock was set, by an hour, since that was written. */
#define SET(ago, by, up, rest)                                    \
	"{\"boot_us\":@" ago ",\"updated_us\":%" by ",\"up\":" up \
	",\"heard_ago_us\":1,\"paths\":[" UP "]" rest "}"

static void
check_set(void)
{
	AUTO_ALARMS struct alarms *a = alarms_new();

	say(SET("60", "-3540", "true", ""));
	tap_str(names(a), "peer_unreachable",
	    "a clock set back: a courier that hangs does so still");
	say(SET("1", "3601", "true", ""));
	tap_str(names(a), "", "set forward: one that does not does not");
	say(SET("1", "-3599", "true", SHIP("\"lacking_since_us\":%-3510")));
	tap_str(names(a), "rpo_exceeded", "set back: what lags by 90 s does");
	say(SET("1", "3601", "true", SHIP("\"lacking_since_us\":%3630")));
	tap_str(names(a), "", "set forward: by 30 s is within the target");
	say(SET("1", "-3599", "true",
	    ACCEPT("\"state\":\"accepting\",\"source_us\":%-3510,"
		   "\"late_us\":90000000")));
	tap_str(names(a), "rpo_exceeded", "the same of what comes");
	say(SET("1", "3601", "true",
	    ACCEPT("\"state\":\"accepting\",\"source_us\":%3630,"
		   "\"late_us\":30000000")));
	tap_str(names(a), "", "... both ways");
	say(SET("-10", "1", "true", ""));
	tap_str(names(a), "peer_unreachable",
	    "what was said before the machine was started is not so now");
}

static void
check_sentence(void)
{
	AUTO_ALARMS struct alarms *a = alarms_new();
	AUTO_JSON json_t *health = NULL;

	say(SAYS("false", DOWN, ""));
	(void)names(a);
	health = alarms_health(a);
	tap_str(json_string_value(json_object_get(health, "sentence")),
	    "site \"osaka\" cannot be reached",
	    "a peer is not called a cluster");
	tap_str(json_string_value(json_object_get(health, "next")),
	    "pgkura check", "nor is it a word of the next command");
}

int
main(void)
{
	static const char text[] =
	    "[pgkura]\nrepository=/r\nstate_dir=%s\n"
	    "[cluster main]\nconninfo=host=a\nreplicate_to=osaka\n"
	    "accept_from=osaka\nrpo_target=60s\n"
	    "[peer osaka]\naddress=osaka:1\n";
	AUTO_FREE char *link = NULL, *file = NULL, *conf = NULL;
	struct err e = ERR_INIT;

	if (mkdtemp(folder) == NULL)
		tap_bail("no scratch folder");
	link = mem_printf("%s/link", folder);
	file = mem_printf("%s/osaka.json", link);
	conf = mem_printf(text, folder);
	(void)mkdir(link, 0700);
	settings = settings_parse("test", conf, strlen(conf), &e);
	if (settings == NULL)
		tap_bail("%s", e.text);
	check_reach();
	check_lag();
	check_set();
	check_sentence();
	settings_free(settings);
	(void)unlink(file);
	(void)rmdir(link);
	(void)rmdir(folder);
	return tap_done();
}
