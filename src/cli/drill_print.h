#ifndef CLI_DRILL_PRINT_H
#define CLI_DRILL_PRINT_H

/*
 * drill_print: a report of a drill for people, on standard output.
 */

#include "cli/cli.h"
#include "jobs/drill_report.h"

void drill_print_report(const json_t *report);
/* As the command was asked to: for people, or as {"drill": report}. */
void drill_print_result(struct cli *cli, json_t *report);

#endif /* !CLI_DRILL_PRINT_H */
