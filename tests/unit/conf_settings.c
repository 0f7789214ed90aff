/*
 * Settings: values, defaults, what is refused and with which words, and that
 * what the table prints is a file that the parser takes.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "conf/address.h"
#include "conf/list.h"
#include "conf/nearest.h"
#include "conf/rate_windows.h"
#include "conf/settings.h"
#include "conf/settings_table.h"
#include "tap.h"

#define SITE "[pgkura]\nrepository = /srv/kura\n"
#define MAIN "[cluster main]\nconninfo = host=db1\n"
#define PEER "[peer osaka]\n"

static struct settings *
parse(const char *text, struct err *e)
{
	*e = (struct err)ERR_INIT;
	return settings_parse("f.conf", text, strlen(text), e);
}

/* ---- what is accepted ---- */

static void
check_defaults(void)
{
	struct err e;
	AUTO_SETTINGS struct settings *s = parse(SITE MAIN, &e);
	const struct cluster_settings *c;

	if (s == NULL)
		tap_bail("%s", e.text);
	c = settings_cluster(s, NULL, &e);
	tap_str(s->site, "main", "site");
	tap_str(s->state_dir, "/var/lib/pgkura", "state_dir");
	tap_str(s->runtime_dir, "/run/pgkura", "runtime_dir");
	tap_ok(s->event_hook == NULL && s->socket_group == NULL,
	    "no hook and no group");
	tap_ok(s->log_format == LOG_TEXT && s->log_level == LOG_LEVEL_INFO,
	    "text log from info on");
	tap_u64(s->min_free_bytes, (uint64_t)1 << 30, "min_free_bytes");
	tap_str(c->name, "main", "the only cluster needs no name");
	tap_str(c->slot, "pgkura", "slot");
	tap_ok(c->create_slot && !c->slot_unbounded && c->receive &&
		!c->fast_checkpoint && c->verify_pages,
	    "switches");
	tap_ok(c->backup_schedule == NULL && c->backup_window == NULL &&
		c->verify_schedule == NULL && c->backup_conninfo == NULL,
	    "nothing is scheduled");
	tap_u64(c->keep_backups, 7, "keep_backups");
	tap_u64((uint64_t)c->keep_age_us, (uint64_t)7 * 86400 * 1000000,
	    "keep_age");
	tap_u64((uint64_t)c->expire_grace_us, (uint64_t)86400 * 1000000,
	    "expire_grace");
	tap_ok(c->compress_level == 3 && c->workers == 2 &&
		c->max_rate_bytes_s == 0 && c->verify_sample_percent == 100,
	    "level, workers, rate, sample");
	tap_u64((uint64_t)c->wal_gap_alarm_us, 60000000, "wal_gap_alarm");
}

static void
check_values(void)
{
	struct err e;
	AUTO_SETTINGS struct settings *s =
	    parse("\xEF\xBB\xBF# a comment\r\n[pgkura] ; another\r\n"
		  "\trepository=/srv/kura   # and one more\r\n"
		  "log_format = JSON\nlog_level= debug\n"
		  "min_free_bytes = 1.5GB\n"
		  "[cluster a]\n  conninfo = host=a;b options='-c x=1'\n"
		  "  slot = none\n  max_rate = 50 MB/s\n  receive = off\n"
		  "  keep_age = 2w\n"
		  "[cluster\tb-2.x]\nconninfo : postgresql://b/\n"
		  "max_rate = none\nbackup_schedule = every 6h\n"
		  "backup_window = 22:00-05:00\nworkers = 64",
		&e);
	const struct cluster_settings *c;

	if (!tap_ok(s == NULL && strstr(e.text, "f.conf:6: ") == e.text,
		"a broken size names its line: %s", e.text))
		return;
	settings_free(s);
	s = parse("\xEF\xBB\xBF# a comment\r\n[pgkura] ; another\r\n"
		  "\trepository=/srv/kura   # and one more\r\n"
		  "log_format = JSON\nlog_level= debug\n"
		  "[cluster a]\n  conninfo = host=a;b options='-c x=1'\n"
		  "  slot = none\n  max_rate = 50 MB/s\n  receive = off\n"
		  "  keep_age = 2w\n"
		  "[cluster\tb-2.x]\nconninfo : postgresql://b/\n"
		  "max_rate = none\nbackup_schedule = every 6h\n"
		  "backup_window = 22:00-05:00\nworkers = 64",
	    &e);
	if (s == NULL)
		tap_bail("%s", e.text);
	tap_str(s->repository, "/srv/kura", "a comment behind a value");
	tap_ok(s->log_format == LOG_JSON && s->log_level == LOG_LEVEL_DEBUG,
	    "words in any case");
	c = settings_cluster(s, "a", &e);
	tap_str(c->conninfo, "host=a;b options='-c x=1'",
	    "\";\" and \"=\" inside a value");
	tap_str(c->slot, "", "no slot");
	tap_u64(c->max_rate_bytes_s, 50 << 20, "a rate");
	tap_ok(!c->receive, "receive = off");
	tap_u64((uint64_t)c->keep_age_us, (uint64_t)14 * 86400 * 1000000,
	    "two weeks");
	c = settings_cluster(s, "b-2.x", &e);
	tap_str(c->conninfo, "postgresql://b/", "a url");
	tap_str(c->backup_schedule, "every 6h", "a schedule");
	tap_str(c->backup_window, "22:00-05:00", "a window");
	tap_u64(c->workers, 64, "the largest number");
	tap_str(c->slot, "pgkura", "each cluster has its own defaults");
}

static void
check_peers(void)
{
	struct err e;
	AUTO_SETTINGS struct settings *s =
	    parse("[pgkura]\nsite = tokyo\nrepository = /srv/kura\n"
		  "listen = *:7432, [::1]:7433\n"
		  "[cluster main]\naccept_from = osaka\n"
		  "wal_ack = Remote\nwal_ack_timeout = none\n" PEER
		  "address = dr-1.example.com:7432 , [2001:db8::7]:7432\n"
		  "bind = 192.0.2.1, fe80::1%eth0\nquota = 2TB\n"
		  "max_rate = 50MB/s\nprotect = 0s\n"
		  "[peer nara]\nwitness = yes\ncongestion = system\n",
		&e);
	const struct peer_settings *p;

	if (s == NULL)
		tap_bail("%s", e.text);
	tap_ok(s->clusters[0].conninfo == NULL && !s->clusters[0].receive,
	    "a cluster that is accepted needs no server, and receives nothing");
	tap_ok(s->clusters[0].wal_ack == WAL_ACK_REMOTE &&
		s->clusters[0].wal_ack_timeout_us == 0,
	    "acknowledged by the other site, however long it takes");
	tap_ok(settings_shares(&s->clusters[0], "osaka") &&
		!settings_shares(&s->clusters[0], "nara"),
	    "who shares the cluster");
	p = settings_peer(s, "osaka", &e);
	tap_str(p->address, "dr-1.example.com:7432 , [2001:db8::7]:7432",
	    "two paths");
	tap_str(p->bind, "192.0.2.1, fe80::1%eth0", "and where from");
	tap_ok(p->quota_bytes == (uint64_t)2 << 40 && p->protect_us == 0 &&
		p->max_rate_bytes_s == 50 << 20,
	    "quota, protect, max_rate");
	p = settings_peer(s, "nara", &e);
	tap_ok(p->witness && p->address == NULL && p->lanes == 8 &&
		p->beat_misses == 5 && p->beat_interval_us == 5000000 &&
		p->quota_bytes == 0 &&
		p->protect_us == (int64_t)14 * 86400 * 1000000,
	    "defaults of a peer");
	tap_str(p->congestion, "system", "congestion");
	tap_ok(settings_peer(s, "kobe", &e) == NULL && e.kind == ERR_USAGE,
	    "no such peer: %s", e.text);
	tap_str(e.hint, "Peers in \"f.conf\" are: osaka, nara.",
	    "it says which there are");
}

/* Noon UTC of a day in 2026, plus hours. */
static int64_t
hour(int h)
{
	return ((int64_t)1795262400 + h * 3600) * 1000000;
}

static void
check_rates(void)
{
	static const char *const bad[] = { "", ",", "20MB", "22:00-06:00",
		"22:00-06:00 1kB", "22:00-06:00 20MB,", "22:00-22:00 20MB",
		"22:00-06:00 20MB 30MB", "22:00-06:00 2TB", "a-b c",
		"22:00 -06:00" };
	struct peer_settings p = { .max_rate_bytes_s = 100,
		.rate_windows =
		    mem_strdup("8:00 - 18:00 20 MB/s, 22:00-06:00 unlimited,"
			       "05:00-07:00 1GB") };
	struct rate_windows w = { .count = 7 };
	struct err e;
	size_t i;

	(void)setenv("TZ", "UTC", 1);
	tzset();
	tap_u64(settings_peer_rate(&p, hour(0)), 20 << 20, "12:00");
	tap_u64(settings_peer_rate(&p, hour(8)), 100, "20:00: no window holds");
	tap_u64(settings_peer_rate(&p, hour(10)), 0, "22:00: unlimited");
	tap_u64(
	    settings_peer_rate(&p, hour(17)), 0, "05:00: the first one counts");
	tap_u64(settings_peer_rate(&p, hour(18)), 1 << 30, "06:00: the next");
	free(p.rate_windows);
	for (i = 0; i < COUNT_OF(bad); i++) {
		e = (struct err)ERR_INIT;
		tap_ok(rate_windows_parse(&w, bad[i], &e) == -1 &&
			e.kind == ERR_USAGE && w.count == 7,
		    "refused: \"%s\"", bad[i]);
	}
}

static void
check_addresses(void)
{
	static const struct {
		const char *text, *host, *port;
	} good[] = { { "db:1", "db", "1" },
		{ "192.0.2.7:65535", "192.0.2.7", "65535" },
		{ "[2001:db8::7]:7432", "2001:db8::7", "7432" },
		{ "[fe80::1%eth0]:1", "fe80::1%eth0", "1" },
		{ "*:7432", "*", "7432" } };
	static const char *const bad[] = { "", ":", "db", "db:", ":7432",
		"db:0", "db:07", "db:65536", "db:+1", "db:1x", "2001:db8::7",
		"::1:7432", "[]:1", "[db]:1", "[::1]7432", "[::1:7432", "a b:1",
		"-x:1", "a/b:1" };
	struct address a = { "", "" };
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < COUNT_OF(good); i++)
		tap_ok(address_parse(&a, good[i].text, true, &e) == 0 &&
			strcmp(a.host, good[i].host) == 0 &&
			strcmp(a.port, good[i].port) == 0,
		    "\"%s\" is %s and %s", good[i].text, a.host, a.port);
	for (i = 0; i < COUNT_OF(bad); i++)
		tap_ok(address_parse(&a, bad[i], true, &e) == -1 &&
			e.kind == ERR_USAGE,
		    "\"%s\" is no address", bad[i]);
	tap_ok(address_parse(&a, "*:1", false, &e) == -1,
	    "\"*\" is not everywhere one");
}

static void
check_lists(void)
{
	const char *at = " a,b b ,, c";
	char w[4];

	tap_ok(list_next(&at, w, sizeof(w)) && strcmp(w, "a") == 0, "first");
	tap_ok(list_next(&at, w, sizeof(w)) && strcmp(w, "b b") == 0,
	    "blanks inside stay");
	tap_ok(list_next(&at, w, sizeof(w)) && strcmp(w, "") == 0, "empty");
	tap_ok(list_next(&at, w, sizeof(w)) && strcmp(w, "c") == 0, "last");
	tap_ok(!list_next(&at, w, sizeof(w)), "end");
	tap_u64(list_count("a,"), 2, "nothing behind a comma is a word");
	tap_u64(list_count(NULL) + list_count(""), 0, "no list, no word");
	tap_ok(list_has("a, bc", "bc") && !list_has("a, bc", "b") &&
		!list_has("a,", ""),
	    "whole words");
	at = "long,x";
	tap_ok(list_next(&at, w, sizeof(w)) && w[0] == '\0' &&
		list_next(&at, w, sizeof(w)) && strcmp(w, "x") == 0,
	    "what does not fit comes empty");
}

static void
check_long_values(void)
{
	struct err e;
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_SETTINGS struct settings *s = NULL;

	buf_printf(&text, SITE "[cluster main]\nconninfo = host=");
	while (text.len < 4000)
		buf_printf(&text, "db");
	s = parse(buf_str(&text), &e);
	tap_ok(s != NULL && strlen(s->clusters[0].conninfo) > 3900,
	    "a long conninfo is not cut");
	while (text.len < 4300)
		buf_printf(&text, "db");
	settings_free(steal_ptr(&s));
	tap_ok(parse(buf_str(&text), &e) == NULL &&
		strstr(e.text, "f.conf:4: the line is longer") == e.text,
	    "one line too long is refused: %s", e.text);
}

/* ---- what is refused ---- */

static const struct {
	const char *text, *error, *hint;
} refused[] = {
	{ "", "f.conf: there is no section [pgkura]", "repository" },
	{ "repository = /a\n",
	    "f.conf:1: option \"repository\" stands in front of the first "
	    "section",
	    "[pgkura]" },
	{ "[pgkura]\n",
	    "f.conf: the section that begins in line 1 lacks "
	    "repository",
	    "repository = /srv/pgkura" },
	{ SITE "[cluster main]\n\n[cluster b]\n",
	    "f.conf:5: the section that begins in line 3 lacks conninfo",
	    "conninfo = " },
	{ SITE "repositry = /b\n",
	    "f.conf:3: there is no option \"repositry\" in [pgkura]",
	    "Perhaps you meant repository." },
	{ SITE MAIN "backup_shcedule = @daily\n",
	    "f.conf:5: there is no option \"backup_shcedule\" in [cluster "
	    "NAME]",
	    "Perhaps you meant backup_schedule." },
	{ SITE "slot = x\n",
	    "f.conf:3: there is no option \"slot\" in [pgkura]",
	    "It belongs into [cluster NAME]." },
	{ SITE "zzzzzz = x\n",
	    "f.conf:3: there is no option \"zzzzzz\" in [pgkura]",
	    "pgkura.conf(5)" },
	{ SITE "\n\nrepository = /b\n",
	    "f.conf:5: option \"repository\" is set already, in line 2", "" },
	{ SITE SITE, "f.conf:3: section [pgkura] is there already, in line 1",
	    "" },
	{ SITE MAIN MAIN,
	    "f.conf:5: cluster \"main\" is there already, in line 3", "" },
	{ SITE "[clustr main]\n",
	    "f.conf:3: there is no section \"[clustr main]\"",
	    "Sections are [pgkura], [cluster NAME] and [peer NAME]." },
	{ SITE "[cluster]\n",
	    "f.conf:3: \"\" is not valid for the cluster's name",
	    "[cluster main]" },
	{ SITE "[cluster ../x]\n",
	    "f.conf:3: \"../x\" is not valid for the cluster's name",
	    "[cluster main]" },
	{ SITE "[cluster main\n", "f.conf:3: the section lacks its \"]\"", "" },
	{ SITE "[cluster main] x\n", "f.conf:3: there is more behind the \"]\"",
	    "" },
	{ SITE "log_level\n", "f.conf:3: this is no \"key = value\"", "" },
	{ SITE "log_level =\n", "f.conf:3: option \"log_level\" has no value",
	    "log_level = debug" },
	{ SITE "log_level =# info\n",
	    "f.conf:3: option \"log_level\" has no value", "" },
	{ SITE "log_level = loud\n",
	    "f.conf:3: \"loud\" is not valid for log_level",
	    "debug, info, warning or error" },
	{ SITE "state_dir = here\n",
	    "f.conf:3: \"here\" is not valid for state_dir",
	    "an absolute path" },
	{ SITE "site = To kyo\n", "f.conf:3: \"To kyo\" is not valid for site",
	    "site = tokyo" },
	{ SITE "min_free_bytes = lots\n",
	    "f.conf:3: \"lots\" is not valid for min_free_bytes", "0B to 1PB" },
	{ SITE MAIN "compress_level = 20\n",
	    "f.conf:5: \"20\" is not valid for compress_level",
	    "Allowed is 1 to 19; for example: compress_level = 9" },
	{ SITE MAIN "workers = 0\n", "f.conf:5: \"0\" is not valid for workers",
	    "1 to 64" },
	{ SITE MAIN "workers = -1\n",
	    "f.conf:5: \"-1\" is not valid for workers", "1 to 64" },
	{ SITE MAIN "workers = 4294967298\n",
	    "f.conf:5: \"4294967298\" is not valid for workers", "1 to 64" },
	{ SITE MAIN "workers = 2x\n",
	    "f.conf:5: \"2x\" is not valid for workers", "1 to 64" },
	{ SITE MAIN "max_rate = 1kB\n",
	    "f.conf:5: \"1kB\" is not valid for max_rate",
	    "32kB to 1TB, or none" },
	{ SITE MAIN "receive = maybe\n",
	    "f.conf:5: \"maybe\" is not valid for receive", "yes or no" },
	{ SITE MAIN "wal_gap_alarm = 1s\n",
	    "f.conf:5: \"1s\" is not valid for wal_gap_alarm", "15s to 1d" },
	{ SITE MAIN "slot = Has-Dash\n",
	    "f.conf:5: \"Has-Dash\" is not valid for slot",
	    "slot = pgkura_tokyo" },
	{ SITE MAIN "backup_schedule = 0 25 * * *\n",
	    "f.conf:5: backup_schedule: the hour in schedule \"0 25 * * *\" is "
	    "not valid",
	    "from 0 to 23" },
	{ SITE MAIN "backup_window = night\n",
	    "f.conf:5: backup_window: \"night\" is not a window of the day",
	    "22:00-05:00" },
	{ SITE "[cluster main]\nconninfo = db1\n",
	    "f.conf:4: \"db1\" is not valid for conninfo",
	    "keyword=value pairs" },
	{ SITE PEER PEER,
	    "f.conf:4: peer \"osaka\" is there already, in line 3", "" },
	{ SITE "[peer O]\n", "f.conf:3: \"O\" is not valid for the peer's name",
	    "[peer osaka]" },
	{ SITE "lanes = 3\n",
	    "f.conf:3: there is no option \"lanes\" in [pgkura]",
	    "It belongs into [peer NAME]." },
	{ SITE "[peer main]\n",
	    "f.conf: the peer in line 3 has the name of this site, \"main\"",
	    "site = NAME" },
	{ SITE MAIN "replicate_to = osaka, nara\n" PEER,
	    "f.conf: replicate_to of the cluster that begins in line 3 names "
	    "\"nara\", and there is no such peer",
	    "[peer nara]" },
	{ SITE "[cluster main]\naccept_from = osaka\n",
	    "f.conf: accept_from of the cluster that begins in line 3 names "
	    "\"osaka\", and there is no such peer",
	    "[peer osaka]" },
	{ SITE MAIN
	    "role = primary\nreplicate_to = osaka\n" PEER
	    "[peer nagoya]\nwitness = yes\n[peer kyoto]\nwitness = yes\n",
	    "f.conf: the peer in line 10 is a second witness, beside "
	    "\"nagoya\"",
	    "the same at both sites" },
	{ SITE MAIN "replicate_to = osaka,\n" PEER,
	    "f.conf:5: \"osaka,\" is not valid for replicate_to",
	    "names separated by commas" },
	{ SITE MAIN "replicate_to = osaka, osaka\n" PEER,
	    "f.conf:5: \"osaka, osaka\" is not valid for replicate_to", "" },
	{ SITE "listen = 7432\n", "f.conf:3: \"7432\" is not valid for listen",
	    "listen = *:7432" },
	{ SITE "listen = *:0\n", "f.conf:3: \"*:0\" is not valid for listen",
	    "" },
	{ SITE PEER "address = *:7432\n",
	    "f.conf:4: \"*:7432\" is not valid for address",
	    "dr.example.com:7432" },
	{ SITE PEER "address = a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1\n",
	    "f.conf:4: \"a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1\" is not valid "
	    "for address",
	    "at most 8" },
	{ SITE PEER "bind = eth0\n", "f.conf:4: \"eth0\" is not valid for bind",
	    "IP addresses" },
	{ SITE PEER "lanes = 65\n", "f.conf:4: \"65\" is not valid for lanes",
	    "1 to 64" },
	{ SITE PEER "congestion = reno\n",
	    "f.conf:4: \"reno\" is not valid for congestion", "bbr or system" },
	{ SITE PEER "rate_windows = 22:00-06:00\n",
	    "f.conf:4: rate_windows: \"22:00-06:00\" is not a list of windows "
	    "and rates",
	    "08:00-18:00 20MB" },
	{ SITE MAIN "wal_ack = both\n",
	    "f.conf:5: \"both\" is not valid for wal_ack", "local or remote" },
	{ SITE "site = a\x01\n",
	    "f.conf:3: a control character stands in the line", "" },
	{ SITE
	    "a_name_that_is_much_too_long_for_any_option_there_could_be = 1\n",
	    "f.conf:3: the key is longer than 48 characters", "" },
};

static void
check_refused(void)
{
	struct settings *s;
	struct err e;
	size_t i;

	for (i = 0; i < COUNT_OF(refused); i++) {
		s = parse(refused[i].text, &e);
		tap_ok(
		    s == NULL && e.kind == ERR_USAGE, "refused, number %zu", i);
		tap_str(e.text, refused[i].error, "its words");
		tap_ok(strstr(e.hint, refused[i].hint) != NULL, "its hint: %s",
		    e.hint);
		settings_free(s);
	}
}

/* A NUL ends no line in silence. */
static void
check_nul(void)
{
	static const char text[] = SITE "site = a\0b\n";
	struct err e = ERR_INIT;

	tap_ok(settings_parse("f.conf", text, sizeof(text) - 1, &e) == NULL &&
		strcmp(e.text,
		    "f.conf:3: a control character stands in the line") == 0,
	    "a NUL byte is refused");
}

static void
check_too_many(void)
{
	struct err e;
	AUTO_BUF struct buf text = BUF_INIT;
	struct settings *s;
	int i;

	buf_printf(&text, SITE);
	for (i = 0; i < SETTINGS_CLUSTERS_MAX; i++)
		buf_printf(&text, "[cluster c%d]\nconninfo = host=db\n", i);
	s = parse(buf_str(&text), &e);
	tap_ok(s != NULL && s->cluster_count == SETTINGS_CLUSTERS_MAX,
	    "as many clusters as there may be");
	settings_free(s);
	buf_printf(&text, "[cluster last]\nconninfo = host=db\n");
	tap_ok(parse(buf_str(&text), &e) == NULL, "one more is refused: %s",
	    e.text);
}

static void
check_cluster(void)
{
	struct err e;
	AUTO_SETTINGS struct settings *none = parse(SITE, &e);
	AUTO_SETTINGS struct settings *two =
	    parse(SITE MAIN "[cluster b]\nconninfo = host=b\n", &e);

	tap_ok(settings_cluster(none, NULL, &e) == NULL, "none: %s", e.text);
	tap_ok(settings_cluster(two, NULL, &e) == NULL, "which: %s", e.text);
	tap_str(e.hint, "Clusters in \"f.conf\" are: main, b.",
	    "it says which there are");
	tap_ok(settings_cluster(two, "c", &e) == NULL, "wrong: %s", e.text);
	tap_ok(settings_cluster(two, "b", &e) == &two->clusters[1], "found");
}

static void
check_load(void)
{
	char path[] = "/tmp/conf_settings.XXXXXX";
	int fd = mkstemp(path);
	struct err e = ERR_INIT;
	struct settings *s;

	if (fd == -1 || write(fd, SITE, strlen(SITE)) != (ssize_t)strlen(SITE))
		tap_bail("no temporary file");
	s = settings_load(path, &e);
	tap_ok(s != NULL && strcmp(s->path, path) == 0, "a file is loaded");
	settings_free(s);
	(void)setenv("PGKURA_CONF", path, 1);
	s = settings_load(NULL, &e);
	tap_ok(s != NULL && strcmp(s->path, path) == 0,
	    "PGKURA_CONF names the file");
	settings_free(s);
	(void)close(fd);
	(void)unlink(path);
	tap_ok(settings_load(path, &e) == NULL && e.kind == ERR_USAGE &&
		e.hint[0] != '\0',
	    "no file: %s", e.text);
}

/* ---- what is printed ---- */

static void
check_sample(void)
{
	AUTO_BUF struct buf sample = BUF_INIT;
	AUTO_FREE char *all = NULL;
	struct err e = ERR_INIT;
	struct settings *s;
	char *p;

	settings_sample(&sample);
	s = parse(buf_str(&sample), &e);
	tap_ok(s != NULL, "the sample is a valid file %s", e.text);
	settings_free(s);

	all = mem_strdup(buf_str(&sample));
	for (p = all; *p != '\0'; p++)
		if (*p == '\n' && p[1] == '#' && p[2] != ' ' && p[2] != '\n')
			p[1] = ' ';
	s = parse(all, &e);
	tap_ok(s != NULL, "and so it is with every option in it %s", e.text);
	settings_free(s);
}

static void
check_table(void)
{
	struct err e;
	size_t i;

	for (i = 0; i < settings_option_count; i++) {
		const struct option *o = &settings_options[i];
		AUTO_BUF struct buf text = BUF_INIT;
		struct settings *s;

		/* "none" is kept as 0, which must mean nothing else. */
		if (o->none)
			tap_ok(o->min > 0, "%s: 0 is none", o->key);
		if (o->required)
			continue;
		buf_printf(&text, SITE "%s%s = %s\n%s",
		    o->scope == OPTION_CLUSTER	  ? MAIN
			: o->scope == OPTION_PEER ? PEER
						  : "",
		    o->key, o->example, o->scope == OPTION_PEER ? "" : PEER);
		s = parse(buf_str(&text), &e);
		tap_ok(
		    s != NULL, "the example of %s is valid %s", o->key, e.text);
		settings_free(s);
	}
}

static void
check_show(void)
{
	struct err e;
	AUTO_SETTINGS struct settings *s =
	    parse(SITE MAIN "slot = none\nmax_rate = 1GB\n", &e);
	AUTO_BUF struct buf text = BUF_INIT, json = BUF_INIT;

	settings_show(s, false, &text);
	tap_ok(strstr(buf_str(&text), "\nslot = none\n") != NULL &&
		strstr(buf_str(&text), "\nmax_rate = 1GB\n") != NULL &&
		strstr(buf_str(&text), "\nworkers = 2  # default\n") != NULL &&
		strstr(buf_str(&text), "\n# pgdata is not set\n") != NULL,
	    "effective values, the default ones marked");
	settings_show(s, true, &json);
	tap_ok(strstr(buf_str(&json), "\"slot\": \"none\"") != NULL &&
		strstr(buf_str(&json), "\"pgdata\": null") != NULL,
	    "the same as JSON");
}

static void
check_nearest(void)
{
	static const char *const words[] = { "backup", "restore", "verify" };

	tap_str(nearest_word("bakcup", words, 3), "backup", "letters swapped");
	tap_str(nearest_word("Restor", words, 3), "restore", "one left out");
	tap_str(nearest_word("verrify", words, 3), "verify", "one too many");
	tap_str(nearest_word("banana", words, 3), NULL, "nothing like it");
	tap_u64(nearest_distance("", "abc"), 3, "three letters put in");
	tap_u64(nearest_distance("ca", "ac"), 1, "an exchange is one edit");
	tap_u64(nearest_distance("same", "same"), 0, "no edit");
}

int
main(void)
{
	check_defaults();
	check_values();
	check_peers();
	check_rates();
	check_addresses();
	check_lists();
	check_long_values();
	check_refused();
	check_nul();
	check_too_many();
	check_cluster();
	check_load();
	check_sample();
	check_table();
	check_show();
	check_nearest();
	return tap_done();
}
