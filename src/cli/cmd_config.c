#include "cli/cli.h"

int
cmd_config(struct cli *cli, int argc, char *argv[], struct err *e)
{
	bool sample = false, manual = false;
	const struct cli_option options[] = {
		{ "sample", NULL, "print a commented sample file", CLI_FLAG,
		    &sample },
		{ "manual", NULL, "print the manual's list of options",
		    CLI_FLAG, &manual },
	};
	AUTO_BUF struct buf text = BUF_INIT;

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), NULL, 0, 0,
		NULL, e) == -1)
		return -1;
	if (sample) {
		settings_sample(&text);
	} else if (manual) {
		settings_manual(&text);
	} else {
		cli->settings = settings_load(cli->config, e);
		if (cli->settings == NULL)
			return -1;
		settings_show(cli->settings, cli->json, &text);
	}
	(void)fwrite(text.data, 1, text.len, stdout);
	if (text.len > 0 && text.data[text.len - 1] != '\n')
		(void)putchar('\n');
	return 0;
}
