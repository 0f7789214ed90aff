#!/usr/bin/perl
# The receiver against servers of every version: what it streams is stored
# without a hole, wherever it or the server is stopped; a gap is told.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Site;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my %conf = (wal_level => 'replica', max_slot_wal_keep_size => '1GB');

sub fill
{
	my ($c, $rows) = @_;

	$c->psql("INSERT INTO t SELECT i, repeat(md5(i::text), 10)
		FROM generate_series(1, $rows) i");
	return;
}

sub spans
{
	my ($site) = @_;

	return @{ $site->json('wal', 'list', 'main')->{spans} };
}

# Bytes of a stored segment and of the server's own are the same.
sub same_bytes
{
	my ($site, $primary, $name) = @_;
	my (undef, $ours) = Kura::run(Kura::as_user(Kura::program('walkit'),
		$site->conf, 'cat', 'main', $name));
	my $theirs = Kura::slurp($primary->pgdata . "/pg_wal/$name");

	return ok($ours eq $theirs, "segment $name is the server's");
}

sub wait_slot
{
	my ($c) = @_;

	return $c->wait_for(
		'SELECT count(*) = 1 FROM pg_replication_slots WHERE active');
}

sub one_major
{
	my ($major) = @_;
	my $primary = Kura::Cluster->new(major => $major,
		init => { wal_segsize => 1 },
		conf => { %conf, wal_keep_size => '1GB' })->start;
	my $site = Kura::Site->new;

	$site->cluster('main', conninfo => $primary->conninfo);
	$site->pgkura_ok('a repository', 'init');
	$primary->psql('CREATE TABLE t (a int, b text)');

	my $receiver = $site->receive('main');
	ok(wait_slot($primary), 'the slot is made and used');
	fill($primary, 20000);
	my $lsn = $primary->lsn;
	$site->wait_wal('main', $lsn);
	my $name = $primary->switch_wal;
	fill($primary, 100);
	$site->wait_wal('main', $primary->lsn);
	same_bytes($site, $primary, $name);
	is(scalar(spans($site)), 1, 'what is there has no hole');

	$primary->restart;
	fill($primary, 3000);
	$site->wait_wal('main', $primary->lsn);
	is(scalar(spans($site)), 1, 'nor after the server was restarted');

	$primary->kill9;
	$primary->start;
	fill($primary, 3000);
	$site->wait_wal('main', $primary->lsn);
	is(scalar(spans($site)), 1, 'nor after the server was killed');

	$receiver->kill('KILL');
	$receiver->wait(10);
	fill($primary, 3000);
	$receiver = $site->receive('main');
	$site->wait_wal('main', $primary->lsn);
	is(scalar(spans($site)), 1, 'nor after the receiver was killed');

	my $status = JSON::PP::decode_json(
		Kura::slurp($site->state . '/main/receiver.json'));
	is($status->{state}, 'streaming', 'its status says that it streams');

	my ($again) = $site->pgkura('wal', 'receive', 'main');
	is($again, 75, 'a second receiver is told to try later');

	$receiver->kill('TERM');
	is($receiver->wait(20), 0, 'asked to stop it stops');
	ok(!-e $site->state . '/main/receiver.json', 'and its status goes');
	unlike($receiver->err, qr/error/, 'no error was told');
	return;
}

for my $major (Kura::servers()) {
	subtest "PostgreSQL $major" => sub { one_major($major); };
}

subtest 'WAL that is gone is told as a gap' => sub {
	my $primary = Kura::Cluster->new(init => { wal_segsize => 1 },
		conf => { wal_level => 'replica', max_slot_wal_keep_size => '2MB',
			max_wal_size => '4MB', min_wal_size => '2MB' })->start;
	my $site = Kura::Site->new;

	$site->cluster('main', conninfo => $primary->conninfo);
	$site->pgkura_ok('a repository', 'init');
	$primary->psql('CREATE TABLE t (a int, b text)');
	my $receiver = $site->receive('main');
	wait_slot($primary);
	fill($primary, 5000);
	my $lsn = $primary->lsn;
	$site->wait_wal('main', $lsn);
	$receiver->kill('KILL');
	$receiver->wait(10);
	for (1 .. 5) {
		fill($primary, 10000);
		$primary->psql('CHECKPOINT');
	}
	is($primary->psql('SELECT wal_status FROM pg_replication_slots'), 'lost',
		'the server has dropped what the slot held');
	$receiver = $site->receive('main');
	fill($primary, 100);
	$site->wait_wal('main', $primary->lsn);
	like($receiver->err, qr/no longer has WAL .* from=\S+ to=\S+/,
		'the gap is told');
	is(scalar(() = $receiver->err =~ /no longer has WAL/g), 1, 'once');
	is(scalar(spans($site)), 2, 'there are two spans');
	like($site->pgkura_ok('gaps', 'wal', 'gaps', 'main'),
		qr/is missing/, 'and the hole is shown');
	is($primary->psql('SELECT active, wal_status IN (\'reserved\', \'extended\')
		FROM pg_replication_slots'), 't|t', 'the slot is a new one');
	$receiver->kill('TERM');
	$receiver->wait(20);
	$receiver = $site->receive('main');
	fill($primary, 100);
	$site->wait_wal('main', $primary->lsn);
	unlike($receiver->err, qr/no longer has WAL/, 'it is not told again');
};

subtest 'a slot without bound' => sub {
	my $primary = Kura::Cluster->new(conf => { wal_level => 'replica' })->start;
	my $site = Kura::Site->new;

	$site->cluster('main', conninfo => $primary->conninfo);
	$site->pgkura_ok('a repository', 'init');
	my $receiver = $site->receive('main');
	ok(Kura::wait_until(sub {
		$receiver->err =~ /max_slot_wal_keep_size is -1/;
	}), 'is refused');
	$receiver->kill('TERM');
	is($receiver->wait(20), 0, 'it can be stopped all the same');
	$site->cluster('main', conninfo => $primary->conninfo,
		slot_unbounded => 'yes');
	$receiver = $site->receive('main');
	wait_slot($primary);
	$site->wait_wal('main', $primary->lsn);
	pass('unless the configuration says so');
};

done_testing();
