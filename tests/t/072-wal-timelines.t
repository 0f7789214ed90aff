#!/usr/bin/perl
# The receiver when a standby takes over: while it streams from that standby,
# and when it finds the new primary later; WAL that the new primary never had;
# an old primary that comes back.  Recovery then goes over the change.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Site;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my %conf = (wal_level => 'replica', max_slot_wal_keep_size => '1GB',
	wal_keep_size => '1GB');

sub start_pair
{
	my ($major) = @_;
	my $primary = Kura::Cluster->new(major => $major,
		init => { wal_segsize => 1 }, conf => {%conf})->start;
	my $standby = $primary->standby(name => 'standby',
		conf => { max_slot_wal_keep_size => '1GB' })->start;

	$primary->psql('CREATE TABLE t (a int, b text)');
	return ($primary, $standby);
}

sub fill
{
	my ($c, $rows) = @_;

	$c->psql("INSERT INTO t SELECT i, repeat(md5(i::text), 10)
		FROM generate_series(1, $rows) i");
	return;
}

sub new_site
{
	my ($from) = @_;
	my $site = Kura::Site->new;

	$site->cluster('main', conninfo => $from->conninfo);
	$site->pgkura_ok('a repository', 'init');
	return $site;
}

sub stop
{
	my ($process, $signal) = @_;

	$process->kill($signal // 'TERM');
	return $process->wait(20);
}

sub wait_slot
{
	my ($c) = @_;

	return $c->wait_for(q{SELECT active FROM pg_replication_slots
		WHERE slot_name = 'pgkura'});
}

sub files
{
	my ($site) = @_;
	my ($lineage) = glob($site->repo . '/main/*-1');

	return map { s{^\Q$lineage\E/wal/}{}r } split /\n/,
	    `find '$lineage/wal' -type f`;
}

# Spans by timeline.
sub spans
{
	my ($site) = @_;
	my %by;

	push @{ $by{ $_->{timeline} } }, $_
	    for @{ $site->json('wal', 'list', 'main')->{spans} };
	return \%by;
}

# Is every byte from the start of timeline 1 to the end of timeline 2 here?
# Recover from a copy to find out.
sub recovers
{
	my ($site, $copy, $major, $want) = @_;
	my $get = Kura::program('pgkura-wal') . ' get --ahead=2 --config='
	    . $site->conf . ' --cluster=main %f %p';
	my $c = Kura::Cluster->adopt(pgdata => $copy, major => $major,
		name => 'recovered', conf => { restore_command => $get,
			recovery_target_timeline => 'latest',
			synchronous_standby_names => '',
			hot_standby => 'on' });

	Kura::run(Kura::as_user('touch', "$copy/recovery.signal"));
	Kura::run(Kura::as_user('sh', '-c',
		"rm -f '$copy'/pg_wal/0* '$copy'/standby.signal"));
	$c->start;
	$c->wait_for('SELECT NOT pg_is_in_recovery()');
	is($c->psql('SELECT count(*), max(a) FROM t'), $want,
		'recovery goes over the change of timeline');
	$c->stop;
	return;
}

for my $major (Kura::servers()) {
	subtest "PostgreSQL $major: the server is promoted" => sub {
		my ($primary, $standby) = start_pair($major);
		my $copy = Kura::tempdir() . '/copy';
		my $site = new_site($standby);
		$primary->copy_to($copy);
		my $receiver = $site->receive('main');
		wait_slot($standby);
		fill($primary, 7000);
		$primary->wait_replay($standby);
		$site->wait_wal('main', $primary->lsn);

		$standby->promote;
		fill($standby, 100);
		my $lsn = $standby->lsn;
		ok(Kura::wait_until(sub { spans($site)->{2} }),
			'the new timeline is received');
		$site->wait_wal('main', $lsn);
		my @files = files($site);
		is(scalar(grep { /^00000002\.history$/ } @files), 1,
			'its history is there');
		is(scalar(grep { m{^00000001/.*\.partial\.} } @files), 1,
			'the old one ends in a partial segment');
		is(scalar(grep { m{^open/00000001} } @files), 0,
			'and has none open');
		is(scalar(@{ spans($site)->{$_} }), 1, "timeline $_ has no hole")
		    for 1, 2;
		like($receiver->err, qr/on a new timeline/, 'it is told');
		unlike($receiver->err, qr/error/, 'nothing was lost');
		is(stop($receiver), 0, 'it stops when asked to');
		recovers($site, $copy, $major,
			$standby->psql('SELECT count(*), max(a) FROM t'));
	};
}

subtest 'a new primary is found later' => sub {
	my $major = (Kura::servers())[-1];
	my ($primary, $standby) = start_pair($major);
	my $site = new_site($primary);
	my $receiver = $site->receive('main');
	wait_slot($primary);
	fill($primary, 4000);
	$primary->wait_replay($standby);
	$site->wait_wal('main', $primary->lsn);
	stop($receiver);

	# What only the receiver gets to see.
	$standby->psql('SELECT pg_wal_replay_pause()');
	$standby->stop;
	$receiver = $site->receive('main');
	fill($primary, 4000);
	my $ahead = $primary->lsn;
	$site->wait_wal('main', $ahead);
	$primary->kill9;
	stop($receiver, 'KILL');
	# The server may have written by itself, too.
	my $kept = spans($site)->{1}[-1]{end_lsn};
	cmp_ok(Kura::Site::lsn_number($kept), '>=',
		Kura::Site::lsn_number($ahead), 'WAL is here that is nowhere else');

	$standby->start;
	$standby->promote;
	$site->cluster('main', conninfo => $standby->conninfo);
	fill($standby, 50);
	$receiver = $site->receive('main');
	ok(Kura::wait_until(sub { spans($site)->{2} }), 'it goes on there');
	$site->wait_wal('main', $ahead);
	fill($standby, 4000);
	$site->wait_wal('main', $standby->lsn);
	like($receiver->err, qr/not part of the server's history.* from=/,
		'WAL that the new primary never had is told');
	is(spans($site)->{1}[-1]{end_lsn}, $kept, 'and kept');
	is(scalar(@{ spans($site)->{2} }), 1, 'timeline 2 has no hole');
	stop($receiver);

	# The old primary comes back by mistake.
	$primary->start;
	fill($primary, 100);
	$site->cluster('main', conninfo => $primary->conninfo);
	my @before = sort(files($site));
	$receiver = $site->receive('main');
	ok(Kura::wait_until(sub { $receiver->err =~ /old primary/ }),
		'an old primary is refused, and that is told');
	is(stop($receiver), 0, 'it still stops when asked to');
	is_deeply([ sort(files($site)) ], \@before, 'and nothing is changed');

	# Back to the right one.
	$site->cluster('main', conninfo => $standby->conninfo);
	$receiver = $site->receive('main');
	fill($standby, 100);
	$site->wait_wal('main', $standby->lsn);
	is(scalar(@{ spans($site)->{2} }), 1, 'the right one goes on');
};

done_testing();
