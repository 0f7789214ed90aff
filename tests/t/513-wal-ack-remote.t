#!/usr/bin/perl
# wal_ack = remote: a commit waits for the other site; what is acknowledged is
# there; when it does not answer, that is degraded after a time, told, and
# mended.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $primary = Kura::Cluster->new(major => $major, name => 'main',
	conf => { max_slot_wal_keep_size => '1GB' })->start;
my $sites = Kura::Sites->new(names => [qw(tokyo osaka)]);
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
$tokyo->cluster('main', conninfo => $primary->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka', wal_ack => 'remote',
	wal_ack_timeout => '3s', application_name => 'kura');
$osaka->cluster('main', accept_from => 'tokyo');
$primary->psql('CREATE TABLE t (a int)');
$sites->start;
$sites->wait_link('tokyo', 'osaka');
ok($sites->wait_committed('main', 'tokyo', 'osaka',
		$primary->psql('SELECT pg_current_wal_flush_lsn()')), 'it is in step');
$primary->psql('ALTER SYSTEM SET synchronous_standby_names = \'kura\'');
$primary->psql('SELECT pg_reload_conf()');
$primary->wait_for(
	'SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = \'sync\'');

sub proved
{
	my $l = $sites->link('osaka', 'tokyo');
	my ($a) = @{ $l->{accepts} // [] };

	return $a->{zero_loss_proved_for_us};
}

sub events
{
	my ($name) = @_;

	return grep { $_->{event} eq $name } map { JSON::PP::decode_json($_) }
	    split /\n/, ($tokyo->pgkura('events', '--json', '--count=500'))[1];
}

ok(Kura::wait_until(sub { return defined proved() }, 30),
	'the other site knows that nothing acknowledged is missing there');
is(scalar(events('receive_anew')), 1,
	'the receiver has connected anew when the server was told to wait for it');
for my $i (1 .. 20) {
	$primary->psql("INSERT INTO t VALUES ($i)");
}
my $lsn = $primary->psql('SELECT pg_current_wal_flush_lsn()');

# The last commit was acknowledged: it is at the other site, whatever dies now.
$sites->kill9('tokyo');
$sites->kill9('osaka');
$primary->psql('ALTER SYSTEM RESET synchronous_standby_names');
$primary->stop('immediate');
$osaka->pgkura_fails('(a site without a backup restores nothing)', 1, qr/backup/,
	'restore', '--to=' . $osaka->dir . '/none');
my ($span) = @{ $osaka->json('wal', 'list')->{spans} };
cmp_ok(Kura::Site::lsn_number($span->{end_lsn}), '>=',
	Kura::Site::lsn_number($lsn),
	'all that was acknowledged is there after kill -9 of everything');

# ---- the other site does not answer ----

$primary->start;
$sites->start_daemon('tokyo');
$sites->start_daemon('osaka');
$sites->wait_link('tokyo', 'osaka');
$primary->psql('ALTER SYSTEM SET synchronous_standby_names = \'kura\'');
$primary->psql('SELECT pg_reload_conf()');
$primary->wait_for(
	'SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = \'sync\'');
ok(Kura::wait_until(sub { return defined proved() }, 30), 'in step again');
$sites->kill9('osaka');
my $insert = Kura::spawn(Kura::as_user(Kura::client('psql'), '-qX', '-d',
		$primary->conninfo, '-c', 'INSERT INTO t VALUES (100)'));
ok(Kura::wait_until(sub { return scalar events('wal_ack_degraded') }, 60),
	'no answer for wal_ack_timeout is an event');
ok(defined $insert->wait(60), 'and the commit goes on then');
$primary->psql('INSERT INTO t VALUES (101)');
ok(Kura::wait_until(sub {
	return Kura::slurp($tokyo->state . '/main/receiver.json') =~ /degraded/;
}, 10), 'the status says degraded');
$sites->start_daemon('osaka');
ok(Kura::wait_until(sub { return scalar events('wal_ack_restored') }, 90),
	'it mends itself when the other site has caught up');
ok(Kura::wait_until(sub { return defined proved() }, 30),
	'and that is proved again');
is($primary->psql('SELECT count(*) FROM t'), '22', 'no commit was lost');

# ---- the server no longer waits ----

sub names
{
	my ($value) = @_;

	$primary->psql("ALTER SYSTEM SET synchronous_standby_names = '$value'");
	$primary->psql('SELECT pg_reload_conf()');
	return;
}

my $unproved = events('wal_ack_unproved');

names('');
ok(Kura::wait_until(sub { return !defined proved() }, 60),
	'a server that does not wait any more: nothing is proved');
ok(Kura::wait_until(sub { return events('wal_ack_unproved') > $unproved }, 30),
	'which is an event');
names('other, kura');
$primary->wait_for('SELECT count(*) = 1 FROM pg_stat_replication'
	. ' WHERE application_name = \'kura\' AND sync_state = \'sync\'');
ok(Kura::wait_until(sub {
	return Kura::slurp($tokyo->state . '/main/receiver.json') =~ /stand in/;
}, 60), 'one that waits for whoever of two is there is seen');
ok(!defined proved(), 'and proves nothing');
$primary->psql('INSERT INTO t VALUES (102)');
names('kura');
ok(Kura::wait_until(sub { return defined proved() }, 60),
	'it is proved again when it waits again');
$primary->psql('ALTER SYSTEM SET synchronous_commit = local');
$primary->psql('SELECT pg_reload_conf()');
ok(Kura::wait_until(sub { return !defined proved() }, 60),
	'synchronous_commit = local proves nothing either');

# ---- and no other site is named ----

my %main = %{ $tokyo->{clusters}{main} };

delete $main{replicate_to};
$tokyo->cluster('main', %main);
like(($tokyo->pgkura('check', 'main'))[1],
	qr/^FAULT +wal_ack +wal_ack = remote has no effect without replicate_to/m,
	'without replicate_to a check says that commits wait for nobody');
done_testing();
