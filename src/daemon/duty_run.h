#ifndef DAEMON_DUTY_RUN_H
#define DAEMON_DUTY_RUN_H

/*
 * duty_run: one duty, in the process that was started for it (duty.h).
 */

#include <stdbool.h>

struct duty_call {
	const char *name;
	const char *cluster;	 /* NULL: the site's, or the only one */
	const char *config_path; /* NULL: the default */
	bool supervised;	 /* settings and supervisor by descriptor */
};

/* Runs until it is done or asked to stop; returns the exit status. */
int duty_run(const struct duty_call *call);

#endif /* !DAEMON_DUTY_RUN_H */
