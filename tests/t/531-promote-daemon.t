#!/usr/bin/perl
# The daemon keeps a standby, shows it, outlives its promotion, and then receives
# from it; ending the daemon ends no server.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use JSON::PP ();
use Test::More;
use Kura;
use Kura::Standby;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my $primary = Kura::Cluster->new(conf => { wal_level => 'replica',
	max_slot_wal_keep_size => '1GB', wal_keep_size => '256MB' })->start;
my $y = Kura::Standby->new(primary => $primary);
my ($site, $s) = ($y->site, $y->server);
$primary->psql('CREATE TABLE t (a int, b text)');
$site->pgkura_ok('a backup', 'backup', 'main');
$y->receiver->kill('TERM');
$y->receiver->wait(30);

my $daemon;

sub start_daemon
{
	$daemon = Kura::spawn(Kura::as_user(Kura::program('pgkurad'),
		'--config', $site->conf));
	return $y->{duty} = $daemon;
}

sub main_of
{
	my (undef, $out) = $site->pgkura('status', '--json');
	my $status = eval { JSON::PP::decode_json($out) } // return {};

	return (grep { $_->{name} eq 'main' } @{ $status->{clusters} })[0] // {};
}

start_daemon();
$y->wait_follows;
$primary->psql('INSERT INTO t SELECT i FROM generate_series(1, 1000) i');
$y->wait_follows;
is($y->digest($s, 't'), $y->digest($primary, 't'), 'a standby follows');
ok(Kura::wait_until(sub {
	my $standby = main_of()->{standby} // {};
	return ($standby->{state} // '') eq 'running' &&
	    $standby->{behind_bytes} == 0;
}), 'status shows it') || diag(explain(main_of()));
my (undef, $out) = $site->pgkura('status');
like($out, qr/^  standby +running, timeline 1, replayed up to/m,
	'for people, too');

my $pid = $s->running;
$daemon->kill('KILL');
$daemon->wait(10);
ok(Kura::wait_until(sub { !-e $site->state . '/main/receiver.json' ||
			($site->pgkura('status'))[0] != 0 }), 'the daemon is killed');
is($s->running, $pid, 'the standby goes on');
start_daemon();
ok(Kura::wait_until(sub { $daemon->err =~ /runs already/ }), 'and is adopted');

$site->wait_wal('main', $primary->lsn);
my $digest = $y->digest($primary, 't');
$primary->kill9;
my $p = $y->job('promote', 'main');
is("$p->{status} $p->{timeline}", '0 2', 'it is promoted')
    || diag(explain($p));
is($y->digest($s, 't'), $digest, 'with all that was here');
$s->psql('INSERT INTO t VALUES (-1)');
$site->wait_wal('main', $s->lsn, 120);
pass('the daemon receives from it, without a word of the operator');
ok(Kura::wait_until(sub {
	my $receiver = main_of()->{receiver} // {};
	return ($receiver->{state} // '') eq 'streaming' &&
	    $receiver->{timeline} == 2;
}), 'and says so') || diag(explain(main_of()));
ok(Kura::wait_until(sub {
	((main_of()->{standby} // {})->{state} // '') eq 'promoted'
}), 'its state, too') || diag(explain(main_of()));
$daemon->kill('TERM');
is($daemon->wait(60), 0, 'the daemon ends');
ok($s->running, 'OP5: the server does not');
start_daemon();
$s->psql('INSERT INTO t VALUES (-2)');
$site->wait_wal('main', $s->lsn, 120);
pass('a new daemon receives from it again');
$daemon->kill('TERM');
$daemon->wait(60);

done_testing();
