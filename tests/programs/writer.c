/*
 * writer CONNINFO SITE FILE: insert rows into w without end, and write down when
 * each was asked for and when it was acknowledged: "ASKED ACKNOWLEDGED NUMBER",
 * CLOCK_BOOTTIME in microseconds.  Connects again whenever it has to.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pg/session.h"

#define PAUSE_US (5 * (int64_t)1000)
#define AWAY_US	 (50 * (int64_t)1000)

int
main(int argc, char *argv[])
{
	struct session *s = NULL;
	unsigned long n = 0;
	int64_t asked_us;
	FILE *out;

	if (argc != 4 || (out = fopen(argv[3], "a")) == NULL) {
		(void)fprintf(stderr, "usage: writer CONNINFO SITE FILE\n");
		return 2;
	}
	for (;;) {
		struct err e = ERR_INIT;
		AUTO_FREE char *sql = mem_printf(
		    "INSERT INTO public.w VALUES ('%s', %lu)", argv[2], ++n);

		if (s == NULL)
			s = session_open(argv[1], SESSION_SQL, "writer", &e);
		asked_us = clock_boot_us();
		if (s != NULL && session_execute(s, sql, &e) == 0) {
			(void)fprintf(out, "%lld %lld %lu\n",
			    (long long)asked_us, (long long)clock_boot_us(), n);
			(void)fflush(out);
			clock_sleep_us(PAUSE_US);
			continue;
		}
		session_close(s);
		s = NULL;
		clock_sleep_us(AWAY_US);
	}
}
