#!/usr/bin/perl
# What replication costs the primary: HH1 (a path fault on a fast line under load),
# HD5, PG2 (no commit ever waits for the other site; what is done in the same time
# with and without it is told, and no limit is set: the machine may be busy).

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Sites;
use Kura::Wan;

my $why = Kura::Wan::missing();
plan skip_all => $why if $why;
my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;
my $pgbench = Kura::client('pgbench');
plan skip_all => 'no pgbench here' if !defined $pgbench;

my $wan = Kura::Wan->new(sites => [qw(tokyo osaka)], paths => 1);
my $primary = Kura::Cluster->new(major => $major, name => 'main',
	in => [$wan->in('tokyo')],
	conf => { max_slot_wal_keep_size => '4GB' })->start;
my $sites = Kura::Sites->new(wan => $wan,
	peer => { beat_interval => '500ms', beat_misses => 5 });
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
$tokyo->cluster('main', conninfo => $primary->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka');
$osaka->cluster('main', accept_from => 'tokyo');
$sites->start;
$sites->wait_link('tokyo', 'osaka');

my ($database) = $primary->conninfo =~ /dbname=/ ? () : 'dbname=postgres';
my $conninfo = join ' ', $primary->conninfo, $database // ();
Kura::run_ok('tables', $wan->in('tokyo'), Kura::as_user($pgbench, '-i', '-q',
	'-s', 1, '-d', $conninfo));
$tokyo->json('backup');

# Nine that write and one that reads, with 50 ms to think.
my $dir = Kura::tempdir();
my $write = 'UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;';
my $read = 'SELECT abalance FROM pgbench_accounts WHERE aid = :aid;';
Kura::write_file("$dir/$_->[0]",
	"\\set aid random(1, 100000)\n$_->[1]\n\\sleep 50 ms\n")
    for ['write', $write], ['read', $read];

sub bench
{
	my ($seconds) = @_;

	return Kura::spawn($wan->in('tokyo'), Kura::as_user($pgbench, '-n',
		'-c', 8, '-T', $seconds, '-f', "$dir/write\@9", '-f',
		"$dir/read\@1", '-d', $conninfo));
}

sub flushed { return $primary->psql('SELECT pg_current_wal_flush_lsn()'); }

sub events
{
	my ($name) = @_;

	return scalar(() = $sites->daemon('tokyo')->err =~ / $name: /g);
}

# Sessions that wait for another server, while a load runs.
sub waits_while
{
	my ($load, $code) = @_;
	my $waits = 0;

	while ($load->alive) {
		$waits += $primary->psql('SELECT count(*) FROM pg_stat_activity'
			. " WHERE wait_event = 'SyncRep'");
		$code->() if defined $code;
		select(undef, undef, undef, 0.2);
	}
	return $waits;
}

sub result
{
	my ($load, $name) = @_;
	my $status = $load->wait(120);
	my ($tps) = $load->out =~ /^tps = ([\d.]+)/m;

	is($status, 0, "$name: no transaction failed") or diag($load->err);
	is($load->err =~ /(error|aborted|FATAL)/ ? $1 : '', '', "$name: nor was one aborted");
	return $tps // 0;
}

# ---- HD5, PG2 ----

my $load = bench(8);
is(waits_while($load), 0, 'HD5: no commit waits for the other site');
my $with = result($load, 'HD5');
is($primary->psql("SELECT string_agg(DISTINCT sync_state, ' ') FROM pg_stat_replication"),
	'async', 'PG2: the receiver is asynchronous to the server');
ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed(), 120),
	'PG2: all of it is at the other site');
$sites->stop('tokyo');
$load = bench(8);
waits_while($load);
my $without = result($load, 'without replication');
diag(sprintf('HD5, PG2: %.1f transactions a second with replication, %.1f without: %.3f',
	$with, $without, $with / ($without || 1)));
$sites->start_daemon('tokyo');
$sites->wait_link('tokyo', 'osaka');
# A courier that was just started does not know yet what is at the other site.
ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed(), 120),
	'tokyo is back');

# ---- HH1 ----

my $cut = 0;
my $down = events('path_down');
$load = bench(10);
is(waits_while($load, sub {
	$wan->cut if !$cut++;
}), 0, 'HH1: with the path cut no commit waits');
result($load, 'HH1');
ok(Kura::wait_until(sub { return events('path_down') > $down }, 60),
	'HH1: the loss of the path is an event');
my ($ship) = @{ $sites->link('tokyo', 'osaka')->{ships} };
cmp_ok($ship->{behind_bytes}, '>', 0, 'HH1: what the other site lacks is counted');
$wan->heal;
ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed(), 120),
	'HH1: it follows by itself when the path is back')
    or diag($sites->daemon('tokyo')->err);
ok(Kura::wait_until(sub { return events('path_up') > 1 }, 60),
	'HH1: with an event');
is(scalar @{ $osaka->json('wal', 'gaps')->{gaps} }, 0, 'HH1: without a gap');
my $copy = $osaka->dir . '/copy';
$osaka->pgkura_ok('HH1: it restores', 'restore', "--to=$copy");
my $restored = $osaka->restored(of => $primary, to => $copy)->start;
$restored->wait_for('SELECT NOT pg_is_in_recovery()');
my $sum = 'SELECT count(*), sum(abalance), sum(hashint4(aid) * (abalance % 7)::bigint) FROM pgbench_accounts';
is($restored->psql($sum), $primary->psql($sum), 'HH1: equal data');
$restored->stop;
$sites->stop($_) for qw(tokyo osaka);
done_testing();
