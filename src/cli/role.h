#ifndef CLI_ROLE_H
#define CLI_ROLE_H

/*
 * role: what the commands about roles share.
 */

#include "cli/cli.h"
#include "jobs/rule.h"

#define ROLE_NEWS_MS 120000 /* an order without news for so long has failed */

/* Members of what a rule shows; "" and 0 when they are not there. */
const char *role_str(const json_t *o, const char *key);
int64_t role_num(const json_t *o, const char *key);
bool role_is(const json_t *o, const char *key);

/* One screen: this site, and what the others say. */
void role_print(const json_t *shown);
/* A line for people while an order is carried out. */
void role_progress(void *arg, const char *line);

/* What is about to happen needs the cluster's name typed, or --yes. */
int role_confirm(const struct cluster_settings *c, bool yes, struct err *e);

/* Give an order, wait, and say how it ended. */
int role_order(struct cli *cli, const struct cluster_settings *c, json_t *order,
    struct err *e);

#endif /* !CLI_ROLE_H */
