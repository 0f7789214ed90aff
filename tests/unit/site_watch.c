/* The health of a server: what is death, and what never is. */

#include "site/watch.h"

#include "tap.h"

static const struct watch_settings settings = WATCH_SETTINGS_DEFAULT;
static struct watch w;
static struct watch_facts f;
static struct watch_result r;
static unsigned int acts;

static enum watch_verdict
looks(unsigned int count)
{
	for (; count > 0; count--) {
		f.now_us += settings.look_us;
		r = watch_step(&w, &settings, &f, 0);
		acts += r.act != WATCH_NOTHING;
	}
	return r.verdict;
}

static void
fresh(enum watch_process process, enum watch_sql sql)
{
	static const struct watch_facts none;

	watch_start(&w);
	f = none;
	acts = 0;
	f.process = WATCH_PROCESS_THERE;
	f.sql = WATCH_SQL_OK;
	(void)looks(1);
	f.process = process;
	f.sql = sql;
}

int
main(void)
{
	static const enum watch_sql harmless[] = { WATCH_SQL_AUTH,
		WATCH_SQL_TOO_MANY, WATCH_SQL_OTHER, WATCH_SQL_STARTING,
		WATCH_SQL_STOPPING };
	unsigned int i, n;

	for (i = 0; i < 5; i++) {
		/* Also where the process cannot be seen. */
		fresh(WATCH_PROCESS_UNKNOWN, harmless[i]);
		(void)looks(1000);
		tap_u64(acts, 0, "OP7 RK8: answer %u: nothing is done, %s", i,
		    watch_verdict_name(r.verdict));
	}
	fresh(WATCH_PROCESS_ABSENT, WATCH_SQL_REFUSED);
	tap_ok(looks(1) == WATCH_DOWN && r.act == WATCH_START,
	    "HD4: gone: it is started");
	tap_ok(looks(36) == WATCH_DEAD, "HD4: dead after three times 12 looks");
	tap_u64(acts, 3, "three attempts");
	f.sql = WATCH_SQL_OK;
	tap_ok(looks(1) == WATCH_ALIVE, "it lives after all");
	fresh(WATCH_PROCESS_ABSENT, WATCH_SQL_REFUSED);
	f.clean_stop = true;
	tap_ok(looks(500) == WATCH_STOPPED && acts == 0,
	    "OP6: stopped by its administrator");
	fresh(WATCH_PROCESS_ABSENT, WATCH_SQL_REFUSED);
	(void)looks(1);
	f.clean_stop = true;
	tap_ok(looks(500) == WATCH_STOPPED && acts == 1,
	    "OP6: started again, and stopped before anybody saw it alive");
	f.clean_stop = false;
	f.sql = WATCH_SQL_OK;
	(void)looks(1);
	f.sql = WATCH_SQL_REFUSED;
	tap_ok(looks(1) == WATCH_DOWN && r.act == WATCH_START,
	    "... and a crash after that is one");
	fresh(WATCH_PROCESS_THERE, WATCH_SQL_TIMEOUT);
	tap_ok(looks(4) == WATCH_IMPAIRED && acts == 0, "RK6: slow is no hang");
	tap_ok(looks(1) == WATCH_HUNG && r.act == WATCH_STOP_START,
	    "RK6: five times is one");
	for (n = 0; n < 200; n++) {
		f.progress++;
		(void)looks(1);
	}
	tap_u64(acts, 1, "RK6: as long as it moves, it is waited for");
	fresh(WATCH_PROCESS_ABSENT, WATCH_SQL_REFUSED);
	f.withheld = true;
	tap_ok(looks(500) == WATCH_DOWN && acts == 0,
	    "one that may not run is not tried");
	f.withheld = false;
	tap_ok(looks(1) == WATCH_DOWN && r.act == WATCH_START && r.attempt == 1,
	    "... and all attempts are left when it may");
	fresh(WATCH_PROCESS_ABSENT, WATCH_SQL_REFUSED);
	f.maintenance = true;
	tap_ok(
	    looks(1) == WATCH_MAINTENANCE && r.changed, "maintenance is told");
	tap_ok(looks(500) == WATCH_MAINTENANCE && acts == 0 && !r.changed,
	    "... once, and nothing is done");
	return tap_done();
}
