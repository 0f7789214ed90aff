#!/usr/bin/perl
# Restore to every kind of target, on every version: the rows that are there
# afterwards are those that were committed, no more and no fewer.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

# What was where when row $n was committed: position behind it, transaction,
# time of the server.
sub insert_row
{
	my ($c, $n) = @_;
	my ($xid, $time, $lsn) = split /\|/, $c->psql(<<"END");
INSERT INTO t VALUES ($n);
SELECT xmin || '|' || clock_timestamp() || '|' || pg_current_wal_lsn()
FROM t WHERE n = $n
END
	return { xid => $xid, time => $time, lsn => $lsn };
}

# Restore, verify, recover; the numbers of the rows.
sub rows_after
{
	my ($site, $primary, $name, @target) = @_;
	my $to = Kura::tempdir() . '/data';

	$site->pgkura_ok("$name: restores", 'restore', 'main', "--to=$to",
		@target);
	return 'nothing' unless -e "$to/PG_VERSION";
	my $verify = '/usr/lib/postgresql/' . $primary->major
	    . '/bin/pg_verifybackup';
	if (-x $verify) {
		Kura::run_ok("$name: pg_verifybackup finds nothing",
			Kura::as_user($verify, '-n', $to));
	}
	check_wal($site, $primary, $to) if $name eq 'latest' && -x $verify;
	my $c = $site->restored(of => $primary, to => $to);
	$c->start;
	$c->wait_for('SELECT NOT pg_is_in_recovery()');
	my $rows = $c->psql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM t");
	check_pages($c, $name) if $name eq 'latest';
	$c->stop if $c->running;
	return $rows;
}

# With the backup's WAL in pg_wal the manifest's WAL-Ranges are checked, too.
sub check_wal
{
	my ($site, $primary, $to) = @_;
	my $bin = '/usr/lib/postgresql/' . $primary->major . '/bin';
	my ($first) = Kura::slurp("$to/backup_label") =~ /\(file (\w{24})\)/;

	Kura::run_ok('a segment is fetched', $site->words('wal', 'fetch',
			'--cluster=main', $first, "$to/pg_wal/$first"));
	Kura::run_ok('pg_verifybackup finds nothing in the WAL',
		Kura::as_user("$bin/pg_verifybackup", $to));
	unlink("$to/pg_wal/$first") or die;
	return;
}

# Every page, every index against its table; by the tools of the same version.
sub check_pages
{
	my ($c, $name) = @_;
	my $bin = '/usr/lib/postgresql/' . $c->major . '/bin';

	if (-x "$bin/pg_amcheck" && $c->major >= 14) {
		$c->psql('CREATE EXTENSION amcheck');
		Kura::run_ok("$name: pg_amcheck finds nothing",
			Kura::as_user("$bin/pg_amcheck", '--heapallindexed',
				'-h', $c->dir, '-p', $c->port, '-U', 'postgres', 'postgres'));
	}
	$c->stop;
	Kura::run_ok("$name: pg_checksums finds nothing",
		Kura::as_user("$bin/pg_checksums", '--check', '-D', $c->pgdata))
	    if -x "$bin/pg_checksums";
	return;
}

sub check_version
{
	my ($major) = @_;
	my $primary = Kura::Cluster->new(major => $major, name => 'primary',
		init => { checksums => 1 },
		conf => { wal_level => 'replica', autovacuum => 'off' })->start;
	my $site = Kura::Site->new;
	$site->cluster('main', conninfo => $primary->conninfo, slot => 'none');
	$site->pgkura_ok('init', 'init');
	my $receiver = $site->receive('main');

	$primary->psql('CREATE TABLE t (n int)');
	insert_row($primary, 1);
	$site->pgkura_ok('backup', 'backup', 'main');
	sleep 1;
	my @at = (undef, undef);
	push @at, insert_row($primary, $_) for 2, 3;
	$primary->psql("SELECT pg_create_restore_point('between')");
	push @at, insert_row($primary, 4);
	$primary->psql('BEGIN; INSERT INTO t VALUES (99); ROLLBACK');
	push @at, insert_row($primary, 5);
	sleep 2; # a quiet server
	my $quiet = $primary->psql('SELECT clock_timestamp()');
	$site->wait_wal('main', $primary->lsn);
	# The receiver hears the server every two seconds.
	ok(Kura::wait_until(sub {
			my ($status) = $site->pgkura('restore', 'main', '--plan',
				"--time=$quiet");
			return $status == 0;
		}, 20), 'a time when nothing happened is known soon');

	my $rows = sub { rows_after($site, $primary, @_) };
	is($rows->('latest'), '1 2 3 4 5', 'latest');
	is($rows->('immediate', '--immediate'), '1', 'immediate');
	is($rows->('time', "--time=$at[3]{time}"), '1 2 3', 'a time');
	is($rows->('quiet', "--time=$quiet"), '1 2 3 4 5',
		'a time after the last commit of a quiet server');
	is($rows->('lsn', "--lsn=$at[3]{lsn}", '--exclusive'), '1 2 3',
		'before a position');
	# It may have written by itself meanwhile.
	my $end = $primary->lsn;
	$site->wait_wal('main', $end);
	is($rows->('end', "--lsn=$end"), '1 2 3 4 5',
		'the position where the server is');
	is($rows->('xid', "--xid=$at[4]{xid}"), '1 2 3 4', 'a transaction');
	is($rows->('before xid', "--xid=$at[4]{xid}", '--exclusive'), '1 2 3',
		'before a transaction');
	is($rows->('name', '--name=between'), '1 2 3', 'a restore point');
	$receiver->kill('TERM');
	return;
}

for my $major (Kura::servers()) {
	subtest "P1: PostgreSQL $major" => sub { check_version($major) };
}
done_testing();
