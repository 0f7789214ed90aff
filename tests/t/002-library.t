#!/usr/bin/perl
# The library of the other tests in Perl: programs, and a primary with a standby
# of each version that streams, survives its primary and takes over.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

subtest 'programs' => sub {
	my ($status, $out, $err) =
	    Kura::run({ stdin => 'in', env => { X => 'y', HOME => undef } },
		'sh', '-c', 'cat; echo "$X${HOME-}"; echo err >&2; exit 3');
	is($status, 3, 'status');
	is($out, "iny\n", 'standard output');
	is($err, "err\n", 'standard error');

	($status) = Kura::run('sh', '-c', 'kill -9 $$');
	is($status, 137, 'killed by a signal');
	($status) = Kura::run({ timeout => 0.3 }, 'sleep', '60');
	is($status, 137, 'took too long');
	($status, undef, $err) = Kura::run('/nonexistent/x');
	is($status, 127, 'not there');
	like($err, qr/could not run/, 'and says so');

	my $process = Kura::spawn('sh', '-c', 'echo up; exec sleep 60');
	ok(Kura::wait_until(sub { $process->out eq "up\n" }, 10), 'is up');
	ok($process->alive, 'is alive');
	is($process->wait(0), undef, 'has not ended');
	$process->kill('TERM');
	is($process->wait(10), 128 + 15, 'has ended');
};

subtest 'everything goes away after a die' => sub {
	my ($major) = (Kura::servers())[-1];
	plan skip_all => 'no PostgreSQL here' if !defined $major;
	my $file = Kura::tempdir() . '/dies.pl';
	Kura::write_file($file, <<'END');
use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
my $c = Kura::Cluster->new(name => 'x')->start;
my $p = Kura::spawn('sleep', '600');
print join ' ', $c->running, $p->pid, $c->dir, "\n";
die "of this\n";
END
	my ($status, $out, $err) = Kura::run($^X, $file);
	isnt($status, 0, 'it fails');
	like($err, qr/of this/, 'for that reason');
	my ($server, $process, $dir) = split ' ', $out;
	ok($server, 'the server was up');
	ok(!-e "/proc/$server/cwd", 'and is gone');
	ok(!-e "/proc/$process", 'so is the program');
	ok(!-e $dir, 'and the folder');
};

subtest 'a report of a sanitizer' => sub {
	my $file = Kura::tempdir() . '/reports.pl';
	# Where programs under each sanitizer write, by a process of another user
	# that nobody waits for.
	Kura::write_file($file, <<'END');
use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
my ($path) = $ENV{"$ARGV[0]_OPTIONS"} =~ /(?:^|:)log_path=([^:]*)/;
Kura::run(Kura::as_user('sh', '-c', "echo ERROR: bad of $ARGV[0] >$path.1"));
ok(1, 'all is well');
done_testing();
END
	for my $name (qw(ASAN TSAN UBSAN)) {
		my ($status, $out, $err) = Kura::run(
			{ env => { "${name}_OPTIONS" => 'verbosity=0' } },
			$^X, $file, $name);
		like($out, qr/^ok 1.*^1\.\.1$/ms, "$name: the tests passed");
		isnt($status, 0, 'but the script fails');
		like($err, qr/bad of $name/, 'and shows the report');
	}
};

subtest 'reports of real sanitizers' => sub {
	my $dir = Kura::tempdir();
	# Ends well, and what it does wrong nobody sees but a sanitizer.
	Kura::write_file("$dir/bad.c", <<'END');
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int
main(int argc, char *argv[])
{
	volatile int bits = 40;
	char *volatile bytes = malloc(3);
	close(1);
	close(2);
	if (argc > 1 && strcmp(argv[1], "shift") == 0)
		bits = 1 << bits;
	if (argc > 1 && strcmp(argv[1], "freed") == 0)
		free(bytes), bits = bytes[0];
	if (argc > 1 && strcmp(argv[1], "abort") == 0)
		abort();
	free(argc > 1 && strcmp(argv[1], "freed") == 0 ? NULL : bytes);
	if (argc > 1 && strcmp(argv[1], "leak") == 0)
		bytes = malloc(3), bytes = NULL;
	return 0;
}
END
	my ($made) = Kura::run('cc', '-g', '-fsanitize=address,undefined',
		'-fno-sanitize-recover=undefined', '-o', "$dir/bad", "$dir/bad.c");
	plan skip_all => 'no compiler with sanitizers here' if $made != 0;
	Kura::write_file("$dir/runs.pl", <<'END');
use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
Kura::run(Kura::as_user(@ARGV));
ok(1, 'all is well');
done_testing();
END
	my ($status) = Kura::run($^X, "$dir/runs.pl", "$dir/bad", 'nothing');
	is($status, 0, 'none of a program that does nothing wrong');
	for my $fault (qw(shift freed abort leak)) {
		my ($status, $out, $err) =
		    Kura::run($^X, "$dir/runs.pl", "$dir/bad", $fault);
		isnt($status, 0, "$fault: the script fails");
		like($err, qr/a sanitizer reports:.*bad\.c:\d+/s,
			'and shows where it was');
	}
};

for my $major (Kura::servers()) {
	subtest "PostgreSQL $major" => sub {
		my $primary = Kura::Cluster->new(major => $major,
			init => { checksums => 1, wal_segsize => 1 });
		$primary->start;
		is($primary->psql('SHOW wal_segment_size; SHOW data_checksums'),
			"1MB\non", 'as initdb was told');
		$primary->psql_fails('SELECT 1/0', qr/division by zero/);

		Kura::run(Kura::as_user('mkdir', $primary->dir . '/space'));
		$primary->psql(q{CREATE TABLESPACE space LOCATION '}
			    . $primary->dir . q{/space'});
		$primary->psql('CREATE TABLE t TABLESPACE space AS SELECT 1 AS a');
		my $standby = $primary->standby(name => 'second')->start;
		$primary->wait_replay($standby);
		is($standby->psql('SELECT a FROM t'), '1', 'the standby streams');
		like($primary->switch_wal, qr/^[0-9A-F]{24}$/, 'a switch');

		$primary->kill9;
		ok(!$primary->running, 'the primary is dead');
		$standby->promote;
		$standby->psql_ok('INSERT INTO t VALUES (2)', 'a new primary');
		is($primary->start->psql('SELECT a FROM t'), '1', 'recovered');
		$primary->stop('immediate');
	};
}

done_testing();
