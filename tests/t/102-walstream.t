#!/usr/bin/perl
# WAL streams of each version: the bytes are those of the server's segments, a
# slot follows what is reported, timelines are followed, and each end of a
# stream is told from the others.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use File::Compare qw(compare);
use Test::More;
use Time::HiRes qw(sleep time);
use Kura;

plan skip_all => 'no PostgreSQL here' if !Kura::servers();

my $program = Kura::program('pgwal');
my $segment = 1 << 20;

sub wal { return Kura::driver('pgwal', 'stream', @_); }

sub wal_spawn
{
	my (@args) = @_;
	my $p = Kura::spawn($program, 'stream', @args);

	ok(Kura::wait_until(sub { $p->out =~ /streaming/ || !$p->alive }, 20),
		'a stream begins');
	return $p;
}

sub number { my ($h, $l) = split m{/}, $_[0]; return hex($h) * 2**32 + hex($l); }
sub lsn { return sprintf '%X/%X', int($_[0] / 2**32), $_[0] % 2**32; }

# Whole segments that came are equal to the server's.
sub compare_segments
{
	my ($c, $folder, $least) = @_;
	my @names = sort grep { -s "$folder/$_" == $segment }
	    map { m{([^/]+)$} } glob("$folder/*");
	my @wrong = grep { compare("$folder/$_", $c->pgdata . "/pg_wal/$_") != 0 }
	    @names;

	is_deeply(\@wrong, [], scalar(@names) . ' segments are as the server has them');
	cmp_ok(scalar @names, '>=', $least, 'enough of them');
	return;
}

sub under_load
{
	my ($c) = @_;
	my $folder = Kura::tempdir();
	my $start = $c->lsn;
	my $p = wal_spawn($c->conninfo, $start, 1, 'kura', '-', $folder);

	$c->pgbench('-i', '-q', '-s', '1');
	$c->pgbench('-n', '-c', '4', '-t', '500');
	$c->switch_wal;
	my $end = $c->lsn;
	$c->wait_for("SELECT flush_lsn >= '$end' FROM pg_stat_replication");
	is($c->psql(q{SELECT application_name || ' ' || coalesce(replay_lsn, '0/0')
		FROM pg_stat_replication}), 'pgwal 0/0', 'nothing is applied');
	$c->wait_for(
		"SELECT restart_lsn >= '$end' FROM pg_replication_slots", 20);
	$p->kill('TERM');
	is($p->wait(10), 1, 'a signal ends it');
	is(Kura::facts($p->out)->{error}, 'canceled', 'as it should');
	compare_segments($c, $folder, 10);
	return ($start, $end);
}

sub again
{
	my ($c, $start, $end) = @_;
	my $folder = Kura::tempdir();

	my $facts = wal($c->conninfo, $start, 1, '-', $end, $folder);
	is($facts->{status}, 0, 'all of it at once; the session goes on')
	    or diag(explain($facts));
	cmp_ok(number($facts->{at}), '>=', number($end), 'up to the end');
	compare_segments($c, $folder, 10);
	return;
}

# Nothing happens: the server asks whether we are there, and we are.
sub quiet
{
	my ($c) = @_;

	$c->psql(q{ALTER SYSTEM SET wal_sender_timeout = '2s'});
	$c->reload;
	my $p = wal_spawn($c->conninfo, $c->lsn, 1, '-', '-');
	sleep(5);
	ok($p->alive, 'a quiet stream stays');
	$c->stop('fast');
	is($p->wait(20), 0, 'the end of the server ends it');
	my $facts = Kura::facts($p->out);
	is($facts->{shutdown}, 1, 'in order');
	cmp_ok($facts->{requests}, '>=', 2, 'the server had asked');
	cmp_ok($facts->{timeouts}, '>=', 1, 'there was nothing in between');
	$c->start;
	$c->psql('ALTER SYSTEM RESET wal_sender_timeout');
	$c->reload;
	return;
}

sub refusals
{
	my ($c, $start) = @_;
	my $far = lsn(number($c->lsn) + 2**32);

	my $facts = wal($c->conninfo, $far, 1, '-', '-');
	is($facts->{error}, 'conflict', "ahead: $facts->{text}");
	$facts = wal($c->conninfo, $start, 7, '-', '-');
	is($facts->{error}, 'conflict', "no such timeline: $facts->{text}");
	like($facts->{hint}, qr/timeline/, 'with a hint');
	$facts = wal($c->conninfo, $start, 1, 'none', '-');
	is($facts->{error}, 'not_found', "no such slot: $facts->{text}");
	$facts = wal($c->conninfo, '0/0', 1, '-', '-');
	is($facts->{error}, 'not_found', "removed: $facts->{text}");
	like($facts->{hint}, qr/archive.*backup/, 'with a hint');
	my $p = wal_spawn($c->conninfo, $c->lsn, 1, 'kura', '-');
	$facts = wal($c->conninfo, $c->lsn, 1, 'kura', '-');
	is($facts->{error}, 'transient', "in use: $facts->{text}");
	like($facts->{hint}, qr/Another receiver/, 'with a hint');
	$p->kill('KILL');
	$p->wait;
	return;
}

# A stream from a standby goes on over its promotion; one that starts before
# it finds the switch; one that starts at the very switch, too.
sub timelines
{
	my ($c) = @_;
	my $s = $c->standby->start;
	my $start = $c->lsn;
	my $folder = Kura::tempdir();

	$c->wait_replay($s);
	my $p = wal_spawn($s->conninfo, $start, 1, '-', '-', $folder);
	$c->psql('CREATE TABLE before_switch (a int)');
	$c->wait_replay($s);
	$c->kill9;
	$s->promote;
	$s->psql('CREATE TABLE after_switch AS SELECT generate_series(1, 90000)');
	$s->switch_wal;
	my $end = $s->lsn;
	ok(Kura::wait_until(sub { $p->out =~ /^streaming \S+ 2$/m }, 20),
		'the stream goes on to timeline 2');
	$s->wait_for("SELECT flush_lsn >= '$end' FROM pg_stat_replication");
	$p->kill('TERM');
	$p->wait;
	my ($next, $at) = $p->out =~ /^next (\d+) (\S+)$/m;
	is($next, 2, 'it was told of it');
	is(Kura::driver('pgsession', 'history', $s->conninfo, 2)->{content}
		    =~ s/^1\t(\S+)\t.*/$1/r, $at, 'where it began');
	compare_segments($s, $folder, 2);

	my $facts = wal($s->conninfo, $start, 1, '-', $end);
	is($facts->{status}, 0, 'a later stream from before the switch');
	is($facts->{timeline}, 2, 'ends on timeline 2');
	$s->stop('immediate');
	$c->start;
	return;
}

sub crash
{
	my ($c) = @_;
	my $p = wal_spawn($c->conninfo, $c->lsn, 1, '-', '-');

	$c->kill9;
	is($p->wait(20), 1, 'a crash of the server ends a stream');
	is(Kura::facts($p->out)->{error}, 'transient', 'and passes');
	return;
}

for my $major (Kura::servers()) {
	subtest "PostgreSQL $major" => sub {
		my $c = Kura::Cluster->new(major => $major,
			init => { wal_segsize => 1 },
			conf => { max_wal_size => '8MB', min_wal_size => '2MB',
				wal_keep_size => '400MB' })->start;
		is(Kura::driver('pgsession', 'slot', $c->conninfo, 'create', 'kura')
			    ->{status}, 0, 'a slot');
		my ($start, $end) = under_load($c);
		again($c, $start, $end);
		quiet($c) if grep { $_ == $major } (Kura::servers())[0, -1];
		timelines($c);
		$c->psql(q{ALTER SYSTEM SET wal_keep_size = 0;
			SELECT pg_reload_conf(); SELECT pg_drop_replication_slot('to_standby')});
		$c->switch_wal;
		$c->psql('CHECKPOINT') for 1 .. 3;
		refusals($c, $end);
		crash($c);
	};
}

done_testing();
