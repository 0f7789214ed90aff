#!/usr/bin/perl
# Servers of each version are started, waited for and stopped, in recovery too:
# each end of it is told from the others, and a failure quotes the server.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes qw(sleep time);
use Kura;

plan skip_all => 'no PostgreSQL here' if !Kura::servers();

sub server { return Kura::driver('pgserver', @_); }

# Start cluster $c; stall in ms.
sub start
{
	my ($c, %arg) = @_;

	return server('start', $c->pgdata, $arg{bindir} // $c->bindir, $c->logfile,
		$arg{stall} // 20000, $arg{options} // ());
}

sub is_down
{
	my ($c, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(server('running', $c->pgdata)->{running}, 0, $name);
	ok(!$c->running, 'and no process is left');
	return;
}

sub plain
{
	my ($c) = @_;
	my $dir = $c->pgdata;

	is(server('bindir', $c->major, $c->bindir)->{bindir}, $c->bindir,
		'the programs');
	is_down($c, 'not running yet');
	is(server('conninfo', $dir)->{error}, 'not_found', 'nor to be reached');
	is(start($c, options => q{-c work_mem=7MB -c 'cluster_name=a b'})->{outcome},
		'accepts', 'started');
	my $running = server('running', $dir);
	is($running->{running}, 1, 'it runs');
	is($running->{pid}, $c->running, 'as that process');
	is(server('conninfo', $dir)->{conninfo}, q{host='} . $c->dir . q{' port=}
		    . $c->port, 'where it listens');
	is($c->psql('SHOW work_mem; SHOW cluster_name'), "7MB\na b", 'options');
	is((stat("/proc/$running->{pid}"))[4], (stat($dir))[4],
		'it runs as the owner of its directory');
	my $again = start($c);
	is($again->{error}, 'conflict', "not twice: $again->{text}");
	is(server('stop', $dir, 'slow')->{error}, 'usage', 'no such mode');
	is(server('stop', $dir, 'fast')->{status}, 0, 'stopped');
	is_down($c, 'it is down');
	is(server('stop', $dir, 'fast')->{status}, 0, 'stopping again is fine');

	# Stale: the number is that of another program by now.
	Kura::write_file("$dir/postmaster.pid", "$$\n$dir\n1\n5432\n/tmp\n\n");
	is(server('running', $dir)->{running}, 0, 'a stale file does not count');
	is(start($c)->{outcome}, 'accepts', 'nor is it in the way');
	$c->psql('CREATE TABLE t AS SELECT generate_series(1, 20000) AS a');
	$c->kill9;
	is_down($c, 'a killed one is down');
	is(start($c)->{outcome}, 'accepts', 'started after a crash');
	is($c->psql('SELECT count(*) FROM t'), '20000', 'with what it had');
	is(server('stop', $dir, 'immediate')->{status}, 0, 'stopped at once');
	return;
}

# A backup of $c, and WAL with a target in the middle.
sub make_history
{
	my ($c, $archive) = @_;
	my $copy = Kura::tempdir() . '/copy';

	$c->start;
	$c->psql('CREATE TABLE r (a int)');
	$c->copy_to($copy);
	$c->psql('INSERT INTO r SELECT generate_series(1, 60000)');
	my $target = $c->lsn;
	$c->psql('INSERT INTO r VALUES (0)');
	my $last = $c->switch_wal;
	ok(Kura::wait_until(sub { -e "$archive/$last" }), 'the WAL is archived');
	$c->stop;
	return ($copy, $target);
}

# A cluster that is to recover from $copy.
sub recovering
{
	my ($c, $copy, $archive, %conf) = @_;
	my $dir = Kura::tempdir() . '/data';

	Kura::run('cp', '-a', $copy, $dir);
	Kura::write_file("$dir/recovery.signal", '');
	return Kura::Cluster->adopt(pgdata => $dir, major => $c->major,
		conf => { archive_mode => 'off',
			restore_command => "cp $archive/%f %p", %conf });
}

sub targets
{
	my ($c, $copy, $target, $archive) = @_;
	my @at = (recovery_target_lsn => $target);
	my $n = recovering($c, $copy, $archive, @at,
		recovery_target_action => 'pause',
		restore_command => "sleep 0.3; cp $archive/%f %p");
	my ($status, $out) = Kura::run(Kura::program('pgserver'), 'start',
		$n->pgdata, $n->bindir, $n->logfile, 20000);

	is(Kura::facts($out)->{outcome}, 'paused', 'paused at the target');
	like($out, qr/^progress .*(recovering|waiting|restored log file)/m,
		'with news on the way');
	is($n->psql('SELECT count(*) FROM r'), '60000', 'there');
	is(server('stop', $n->pgdata, 'fast')->{status}, 0, 'stopped');

	$n = recovering($c, $copy, $archive, @at,
		recovery_target_action => 'promote');
	is(start($n)->{outcome}, 'accepts', 'promoted at the target');
	is($n->psql('INSERT INTO r VALUES (1); SELECT count(*) FROM r'), '60001',
		'and writable when that is said');
	$n->stop('immediate');

	$n = recovering($c, $copy, $archive, @at,
		recovery_target_action => 'shutdown');
	is(start($n)->{outcome}, 'shut_down', 'shut down at the target');
	is_down($n, 'it is down');

	$n = recovering($c, $copy, $archive, @at, hot_standby => 'off');
	is(start($n)->{outcome}, 'shut_down',
		'a pause without hot_standby is a shutdown');

	$n = recovering($c, $copy, $archive);
	is(start($n)->{outcome}, 'accepts', 'the end of WAL');
	is($n->psql('INSERT INTO r VALUES (1); SELECT count(*) FROM r'), '60002',
		'all of it');
	$n->stop('immediate');

	$n = recovering($c, $copy, $archive);
	rename($n->pgdata . '/recovery.signal', $n->pgdata . '/standby.signal');
	is(start($n)->{outcome}, 'accepts', 'a standby');
	is($n->psql('SELECT pg_is_in_recovery()'), 't', 'which it stays');
	$n->stop('immediate');
	return;
}

sub fails
{
	my ($n, $kind, $text, $hint, $name, %arg) = @_;
	my $facts = start($n, %arg);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(($facts->{error} // '') eq $kind && $facts->{text} =~ $text
		    && $facts->{hint} =~ $hint, "$name: " . ($facts->{text} // ''))
	    or diag(explain($facts));
	is_down($n, 'and it is down');
	return;
}

sub failures
{
	my ($c, $copy, $target, $archive) = @_;
	my $n = recovering($c, $copy, $archive, recovery_target_lsn => 'FF/0');

	fails($n, 'io', qr/recovery ended before configured recovery target/,
		qr/earlier one/, 'a target beyond the end');

	$n = recovering($c, $copy, $archive, max_connections => 10);
	fails($n, 'io', qr/insufficient parameter|lower setting/,
		qr/primary/, 'too few connections');

	$n = recovering($c, $copy, $archive, restore_command => 'sleep 60');
	fails($n, 'transient', qr/no progress for/, qr/log/, 'nothing moves',
		stall => 1500);

	$n = recovering($c, $copy, $archive, restore_command => 'sleep 60');
	my $p = Kura::spawn(Kura::program('pgserver'), 'start', $n->pgdata,
		$n->bindir, $n->logfile, 60000);
	ok(Kura::wait_until(sub { $n->running }, 20), 'it is starting');
	$p->kill('TERM');
	is($p->wait(20), 1, 'a signal ends the wait');
	is(Kura::facts($p->out)->{error}, 'canceled', 'and says so');
	is_down($n, 'the server goes with it');

	$n = recovering($c, $copy, '/nonexistent');
	unlink(glob($n->pgdata . '/pg_wal/0*'));
	fails($n, 'io', qr/checkpoint record/, qr/backup_label/, 'no WAL');

	$n = recovering($c, $copy, $archive, shared_preload_libraries => 'nothing');
	fails($n, 'io', qr/could not access file "nothing"/,
		qr/shared_preload_libraries/, 'a library that is not there');

	$n = recovering($c, $copy, $archive);
	$n->append_conf('nonsense = 1');
	fails($n, 'io', qr/contains errors.*unrecognized.*"nonsense"/, qr/log/,
		'a wrong setting');

	my ($other) = grep { $_ != $c->major } Kura::servers();
	SKIP: {
		skip 'only one version here', 3 if !defined $other;
		$n = recovering($c, $copy, $archive);
		fails($n, 'io', qr/incompatible with server|contains errors/,
			qr/version|log/, 'another version', bindir => Kura::bindir($other));
		is(server('bindir', $c->major, Kura::bindir($other))->{error},
			'usage', 'whose programs are refused');
	}
	SKIP: {
		skip 'only root can be wrong here', 3 if $< != 0;
		$n = recovering($c, $copy, $archive);
		chown(0, 0, $n->pgdata);
		fails($n, 'usage', qr/belongs to root/, qr/chown/, 'of root');
	}
	return;
}

is(server('bindir', 99)->{error}, 'not_found', 'no such version');
is(server('bindir', 15, '/nonexistent')->{error}, 'not_found', 'no such folder');
is(server('running', '/nonexistent')->{running}, 0, 'no such directory');

my @majors = Kura::servers();
for my $major (@majors) {
	subtest "PostgreSQL $major" => sub {
		my $archive = Kura::tempdir();
		my $c = Kura::Cluster->new(major => $major,
			init => { wal_segsize => 1 },
			conf => { archive_mode => 'on',
				archive_command => "cp %p $archive/%f" });
		plain($c);
		my ($copy, $target) = make_history($c, $archive);
		targets($c, $copy, $target, $archive);
		# These cost the most, and differ the least.
		failures($c, $copy, $target, $archive)
		    if $major == $majors[0] || $major == $majors[-1];
	};
}

done_testing();
