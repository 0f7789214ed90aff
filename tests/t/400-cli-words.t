#!/usr/bin/perl
# What the command says, compared whole: help, wrong command lines, wrong
# configurations; and what its exit status is.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

my $dir = Kura::tempdir();
my $conf = "$dir/pgkura.conf";

sub says
{
	my ($name, $words, $status, $out, $err) = @_;
	my @got = Kura::run({ env => { PGKURA_CONF => $conf, LC_ALL => 'C' } },
		Kura::program('pgkura'), @{$words});

	is_deeply([ @got ], [ $status, $out, $err ], $name);
	return;
}

sub with_conf
{
	my ($name, $text, $err) = @_;

	Kura::write_file($conf, $text);
	$err =~ s/CONF/$conf/g;
	says($name, ['list'], 2, '', $err);
	return;
}

my $usage = <<'END';
pgkura keeps PostgreSQL clusters recoverable.

Usage: pgkura COMMAND [OBJECT] [OPTIONS]

Commands:
  init        make the repository that the configuration names
  check       test the whole set-up, explain each fault
  status      say how things are and what to do next
  backup      take a base backup
  list        show backups and what can be recovered
  restore     bring a cluster back as it was at any moment
  wal         show the WAL that is there
  verify      read back and check what is stored
  drill       rehearse the loss of a server, keep signed reports
  ready       could it be brought up here, now?
  expire      remove what the retention no longer keeps
  role        show what this site is for a cluster, and was
  switchover  let the other site be the primary; nothing is lost
  failover    promote the standby here, the primary being lost
  failback    make the old primary here a standby of the new one
  salvage     keep WAL that only the old primary here has
  maintenance leave the server alone, and let nobody fail over
  may-start   say whether a writable server may start here (exit status)
  site        make two sites known to each other
  standby     keep a standby here, up to the last byte received
  events      show what happened
  reload      put a changed configuration into effect
  config      show the effective configuration, or a sample

"pgkura COMMAND --help" says more of each; "man pgkura" all of it.
END

says('--help', ['--help'], 0, $usage, '');
says('no command', [], 2, '', $usage);
says('--help of a command', [ 'expire', '--help' ], 0, <<'END', '');
expire: remove what the retention no longer keeps

Usage: pgkura expire [CLUSTER] [OPTIONS]

Options:
  --dry-run                    say what would go and remove nothing
  --explain                    say of each object why it stays
  --config=FILE                else $PGKURA_CONF, else /etc/pgkura/pgkura.conf
  --json                       print JSON for programs
  --help                       show this

Examples:
  pgkura expire main --dry-run --explain
END

says('a mistyped command', ['lsit'], 2, '', <<'END');
pgkura: there is no command "lsit"
HINT:  Perhaps you meant list.
END
says('an unknown command', ['frobnicate'], 2, '', <<'END');
pgkura: there is no command "frobnicate"
HINT:  "pgkura --help" lists the commands.
END
says('a mistyped option', [ 'list', '--jsno' ], 2, '', <<'END');
pgkura: list: there is no option "--jsno"
HINT:  Perhaps you meant --json.
END
says('an unknown option', [ 'list', '-xy' ], 2, '', <<'END');
pgkura: list: there is no option "-xy"
HINT:  "pgkura list --help" lists the options.
END
says('an option without its value', [ 'verify', '--sample' ], 2, '', <<'END');
pgkura: verify: option "--sample" needs a value
HINT:  "pgkura verify --help" lists the options.
END
says('a value nobody asked for', [ 'list', '--json=1' ], 2, '', <<'END');
pgkura: list: option "--json=1" takes no value
HINT:  "pgkura list --help" lists the options.
END
says('no number', [ 'verify', '--sample=x' ], 2, '',
	qq{pgkura: verify: --sample takes a number, not "x"\n});
says('an argument too many', [ 'list', 'main', 'more' ], 2, '', <<'END');
pgkura: list: there are too many arguments
HINT:  Usage: pgkura list [CLUSTER] [OPTIONS].
END
says('an argument too few', ['wal'], 2, '', <<'END');
pgkura: wal: an argument is missing
HINT:  Usage: pgkura wal list|gaps|receive [CLUSTER] [OPTIONS].
END
says('no configuration', ['list'], 2, '', <<"END");
pgkura: list: could not open "$conf": No such file or directory
HINT:  Name the configuration with --config or PGKURA_CONF; "pgkura config --sample" prints a file to begin with.
END

my $site = "[pgkura]\nrepository = $dir/repo\nstate_dir = $dir/state\n"
    . "runtime_dir = $dir/run\n";
with_conf('a key that is misspelt', "${site}[cluster main]\nconnifo = x\n",
	<<'END');
pgkura: list: CONF:6: there is no option "connifo" in [cluster NAME]
HINT:  Perhaps you meant conninfo.
END
with_conf('a section that is not there', "[pgkuar]\nrepository = /x\n",
	<<'END');
pgkura: list: CONF:1: there is no section "[pgkuar]"
HINT:  Sections are [pgkura], [cluster NAME] and [peer NAME].
END
with_conf('a value out of its range',
	"${site}[cluster main]\nconninfo = host=x\nkeep_backups = 0\n",
	<<'END');
pgkura: list: CONF:7: "0" is not valid for keep_backups
HINT:  Allowed is 1 to 100000; for example: keep_backups = 14
END

Kura::write_file($conf, "${site}[cluster main]\nconninfo = host=x password=y\n");
says('an unknown cluster', [ 'list', 'other' ], 2, '', <<"END");
pgkura: list: there is no cluster "other"
HINT:  Clusters in "$conf" are: main.
END
says('no repository', [ 'list' ], 1, '', <<"END");
pgkura: list: repository: could not open "$dir/repo": No such file or directory
HINT:  Make one with "pgkura init".
END
says('init', ['init'], 0, '', qq{repository "$dir/repo" is ready\n});
says('init once more', ['init'], 4, '',
	qq{pgkura: init: there is a repository at "$dir/repo" already\n});
says('nothing there yet', ['list'], 1, '', <<'END');
pgkura: list: nothing of cluster "main" is in the repository
HINT:  Take a backup with "pgkura backup main".
END
says('no daemon: status', ['status'], 1, <<"END", <<'END2');
pgkurad is not running: no WAL is received and no backup is scheduled.
next: systemctl start pgkurad

cluster main
  nothing of cluster "main" is in the repository
END
pgkura: status: pgkurad does not run
HINT:  Start it with "systemctl start pgkurad".
END2
says("no daemon: $_", [$_], 1, '', <<"END") for qw(events reload);
pgkura: $_: pgkurad does not run
HINT:  Start it with "systemctl start pgkurad".
END
says('restore without a place', ['restore'], 2, '', <<'END');
pgkura: restore: there is no --to=DIRECTORY
HINT:  Name an empty or new directory, or see with --plan what would be done.
END

my ($status, $out) = Kura::run({ env => { PGKURA_CONF => $conf } },
	Kura::program('pgkura'), 'config');
like($out, qr/^conninfo = host=x password=\*\*\*$/m,
	'config shows no password');
($status, $out) = Kura::run({ env => { PGKURA_CONF => $conf } },
	Kura::program('pgkura'), 'config', '--json');
like($out, qr/"host=x password=\*\*\*".*\}\n\z/s, 'nor does its JSON');

SKIP: {
	skip 'no /dev/full', 1 if !-c '/dev/full';
	($status, $out, my $err) =
	    Kura::run({ env => { PGKURA_CONF => $conf } }, 'sh', '-c',
		'exec "$0" config >/dev/full', Kura::program('pgkura'));
	is("$status $err", "1 pgkura: config: could not write to standard "
		    . "output: No space left on device\n",
		'what could not be written is no success');
}
done_testing();
