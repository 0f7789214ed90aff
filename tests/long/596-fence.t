#!/usr/bin/perl
# Leases with real processes: wall clocks that jump, a server whose first process
# is stopped, a site that sleeps as a whole and wakes up; and what remains: watchdog
# and pgkurad stopped, the server not.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Clock;
use Kura::Roles;
use Kura::Writers;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major, witness => 1,
	peer => { beat_interval => '500ms', beat_misses => 6 },
	cluster => { failover => 'automatic', fence => 'lease', lease => '20s',
		failover_backoff => '0s', application_name => 'kura' });
my $w = Kura::Writers->new($r);

sub now_of
{
	my ($site, $name) = @_;

	return $r->role($site)->{now}{$name};
}

# All is as it is to be: $old is the primary, $new could take over by itself.
sub settle
{
	my ($old, $new) = @_;

	$r->wait_promotable($new);
	$r->wait_for('a lease and a proof', sub {
		(now_of($old, 'lease_left_us') // 0) > 0
		    && now_of($new, 'fence_proved')
		    && now_of($new, 'peer_fence_proved')
		    && (now_of($new, 'state') // '') eq 'normal'
	});
	$w->begin;
	ok($w->wait_for($old), "(somebody writes at $old)");
	return;
}

sub come_back
{
	my ($site) = @_;

	$r->wait_role($site, 'standby');
	$r->site($site)->pgkura_ok("(failback of $site)", 'failback', 'main',
		'--give-way', '--yes') or diag($r->events($site));
	return;
}

sub server_processes
{
	my ($site) = @_;
	my $pid = $r->server($site)->running;

	return $pid ? ($pid, Kura::Cluster::children($pid)) : ();
}

# ---- wall clocks ----

SKIP: {
	my $clock = Kura::Clock->new;

	skip('no compiler, or sanitizers', 4) if !$clock;
	settle('tokyo', 'osaka');
	$r->sites->stop('tokyo');
	push @{ $r->site('tokyo')->{in} }, $clock->in;
	$r->sites->start_daemon('tokyo');
	settle('tokyo', 'osaka');
	my $log = length $r->events('tokyo');
	my $server = $r->primary->running;

	for my $seconds (3600, -7200, 0, 86400 * 400, -86400 * 400) {
		$clock->set($seconds);
		my $from = Kura::Writers::now();
		# Longer than a quarter of the lease: it has been prolonged.
		Kura::wait_until(
			sub { return Kura::Writers::now() - $from > 8e6 }, 60);
	}
	ok((now_of('tokyo', 'lease_left_us') // 0) > 0,
		'a wall clock that jumps by hours and years: the lease goes on');
	like($r->events('tokyo'), qr/^20(2[0-57-9]|[013-9])/m,
		'(it has jumped: the log shows it)');
	is($r->primary->running, $server, 'the server was never stopped');
	unlike(substr($r->events('tokyo'), $log), qr/rule_state|server_stopped/,
		'nobody noticed anything');
	ok(!$w->acknowledged('osaka'), 'the other did not take over');
	$clock->set(3600);
}

# ---- a server whose first process is stopped ----

settle('tokyo', 'osaka');
$r->wait_there;
kill('STOP', $r->primary->running);
ok($w->wait_for('tokyo'), 'its backends go on');
$r->isolate('tokyo');
ok($w->wait_for('osaka'), 'and when the lease has ended, the other takes over');
$w->never_two('tokyo', 'osaka', 'a stopped server');
ok(!server_processes('tokyo'), 'nothing of the old server is left');
$r->join_again('tokyo');
come_back('tokyo');

# ---- a site sleeps ----

# Stops all of a site, and lets it go on when the other has taken over, the server
# first.
sub suspend
{
	my ($old, $new) = @_;
	my @server = server_processes($old);
	my @rest = ($r->watchdogs($old), $r->processes($old));

	kill('STOP', @server, @rest);
	ok($w->wait_for($new), "$new takes over from $old, which sleeps");
	my $woken = Kura::Writers::now();
	kill('CONT', @server);
	kill('CONT', @rest);
	ok(Kura::wait_until(sub { return !server_processes($old) }, 60),
		'what wakes up is gone');
	my @late = $w->late($old, $new);

	diag(sprintf '%d acknowledged after the wake-up%s', scalar @late,
		@late ? sprintf(', the last %.1f ms after it',
			($late[-1] - $woken) / 1000) : '');
	return @late;
}

settle('osaka', 'tokyo');
suspend('osaka', 'tokyo');
come_back('osaka');
settle('tokyo', 'osaka');
$r->primary->psql("ALTER SYSTEM SET synchronous_standby_names = 'kura'");
$r->primary->psql('SELECT pg_reload_conf()');
$r->primary->wait_for('SELECT count(*) = 1 FROM pg_stat_replication'
	. " WHERE sync_state = 'sync'");
settle('tokyo', 'osaka');
is(scalar suspend('tokyo', 'osaka'), 0,
	'with a receiver that commits wait for, nothing is acknowledged');
come_back('tokyo');

# ---- what remains ----

$r->standby->psql_try('ALTER SYSTEM RESET synchronous_standby_names');
$r->standby->psql_try('SELECT pg_reload_conf()');
settle('osaka', 'tokyo');
my @both = ($r->watchdogs('osaka'), $r->processes('osaka'));
kill('STOP', @both);
ok($w->wait_for('tokyo'), 'watchdog and pgkurad are stopped: tokyo takes over');
ok($w->wait_for('osaka'), 'and osaka goes on');
cmp_ok(scalar $w->late('osaka', 'tokyo'), '>', 0,
	'two writers are found: so they would have been above');
kill('CONT', @both);
ok(Kura::wait_until(sub { return !server_processes('osaka') }, 60),
	'that ends when one of them goes on');
done_testing();
