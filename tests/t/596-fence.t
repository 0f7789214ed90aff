#!/usr/bin/perl
# A primary whose pgkurad hangs loses its lease and its server: the watchdog sees
# to it.  A watchdog that hangs or dies is started anew.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;
use Kura::Writers;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major, witness => 1,
	peer => { beat_interval => '500ms', beat_misses => 6 },
	cluster => { failover => 'automatic', fence => 'lease', lease => '12s',
		failover_backoff => '0s' });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

$r->wait_lease('tokyo');
$r->wait_for('a proof at both sites', sub {
	$r->now('tokyo', 'fence_proved') && $r->now('osaka', 'fence_proved')
	    && $r->now('osaka', 'peer_fence_proved')
});
for my $site ($tokyo, $osaka) {
	my (undef, $out) = $site->pgkura('check', 'main');

	like($out, qr/watchdog.*may stop the server/, 'check proves the fence');
}
like(($osaka->pgkura('check', 'main'))[1], qr/fence of the primary.*proved/,
	'and at the standby what the primary says of its own');

# ---- the watchdog dies, and hangs ----

my $w = Kura::Writers->new($r);
my ($dog) = $r->watchdogs('tokyo');

kill('KILL', $dog);
$r->wait_for('a new watchdog', sub {
	my @now = $r->watchdogs('tokyo');
	return @now == 1 && $now[0] != $dog;
});
$r->wait_for('a proof again', sub { $r->now('tokyo', 'fence_proved') });
($dog) = $r->watchdogs('tokyo');
kill('STOP', $dog);
$r->told('tokyo', qr/watchdog_silent/, 'one that hangs is seen');
$r->wait_for('a new watchdog', sub {
	my @now = $r->watchdogs('tokyo');
	return @now == 1 && $now[0] != $dog;
});
$r->wait_for('a proof again', sub { $r->now('tokyo', 'fence_proved')
	&& $r->now('osaka', 'peer_fence_proved') });
ok($w->wait_for('tokyo'), 'the primary writes on');

# ---- pgkurad hangs, with all that it has started ----

$r->wait_there;
$r->wait_lease('tokyo');
my @daemon = $r->processes('tokyo');

$w->begin;
ok($w->wait_for('tokyo'), '(somebody writes)');
kill('STOP', @daemon);
ok($w->wait_for('osaka'), 'the other site takes over');
$w->never_two('tokyo', 'osaka', 'pgkurad hangs');
ok(!$r->primary->running, 'the old server is gone');
kill('CONT', @daemon);
$r->wait_role('tokyo', 'standby');
$r->told('tokyo', qr/watchdog_stopped_server|role_changed/, 'it has told so');
$w->never_two('tokyo', 'osaka', 'pgkurad goes on');
$r->sites->stop($_) for qw(tokyo osaka nagoya);
done_testing();
