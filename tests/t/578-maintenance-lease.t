#!/usr/bin/perl
# In maintenance a primary under a lease needs none: pgkurad may be stopped for as long
# as one likes, and nobody takes over; afterwards the lease is held, and guarded, again.
# OP5, OP6.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major, witness => 1,
	peer => { beat_interval => '300ms', beat_misses => 6 },
	cluster => { failover => 'automatic', fence => 'lease', lease => '15s',
		failover_backoff => '0s', local_recovery => 'yes' });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);
my $server = $r->primary;

# Longer than the lease, and than all that follows it.  Nothing may come of it, so
# there is nothing to wait for.
sub goes_on
{
	my ($what, $pid) = @_;

	sleep 22;
	$r->insert($server);
	is($server->running, $pid, "$what: it is the same server");
	return is($r->rows($server), "$r->{n} of $r->{n}", "$what: it takes writes");
}

$r->wait_role('nagoya', 'witness');
$r->wait_lease('tokyo');
$r->wait_proof;
$r->insert($server) for 1 .. 3;
my $pid = $server->running;

# ---- on: pgkurad is stopped ----

like($tokyo->pgkura_ok('maintenance begins', 'maintenance', 'main', 'on'),
	qr/pgkurad may be stopped/, 'it says that pgkurad may be stopped');
ok($r->now('tokyo', 'lease_free'), 'the lease has no end');
$tokyo->pgkura_fails('no switchover in maintenance', 1, qr/maintenance is on/,
	'switchover', 'main', '--to=osaka', '--yes');
$r->sites->stop('tokyo');
goes_on('OP5: pgkurad is stopped', $pid);
is($r->role('osaka')->{role}, 'standby', 'OP5: nobody takes over');
is($r->now('osaka', 'state'), 'maintenance', 'OP5: silence means nothing');
$tokyo->pgkura_ok('OP5: its server may start', 'may-start', 'main');
$osaka->pgkura_fails('OP5: an operator has to say that it is off', 1,
	qr/in maintenance .* may write.*--force/s, 'failover', 'main',
	'--allow-data-loss=all', '--yes');
ok(!$r->writes('osaka'), 'OP5: nothing is promoted');

# ---- also when the others are started anew, and it is killed ----

for my $name (qw(osaka nagoya)) {
	$r->sites->stop($name);
	$r->sites->start_daemon($name);
}
$r->sites->start_daemon('tokyo');
$r->wait_role('tokyo', 'primary');
ok($r->now('tokyo', 'lease_free'), 'pgkurad knows it again');
is($server->running, $pid, 'OP5: the start of pgkurad does nothing to it');
$r->sites->kill9('tokyo');
kill('KILL', $r->watchdogs('tokyo'));
goes_on('OP5: all of pgkura is killed', $pid);
ok(!$r->writes('osaka'), 'OP5: nothing is promoted by those that were started anew');

# ---- off ----

$r->sites->start_daemon('tokyo');
$r->sites->wait_link('tokyo', 'osaka');
$r->wait_for('a watchdog', sub { $r->now('tokyo', 'fence_proved') });
$tokyo->pgkura_ok('maintenance ends', 'maintenance', 'main', 'off');
ok(!$r->now('tokyo', 'lease_free'), 'the lease has an end');
$r->wait_lease('tokyo');
is($server->running, $pid, 'it is the same server all the while')
    or diag($r->events('tokyo'));
$r->wait_state('osaka', 'normal');
$r->wait_there;
$r->wait_proof;
my @daemon = $r->processes('tokyo');
kill('STOP', @daemon);
$r->wait_with_one_writer('one that hangs is fenced again, and the other takes over',
	sub { $r->writes('osaka') });
ok(!$server->running, 'the old server is gone');
is($r->rows($r->standby), "$r->{n} of $r->{n}", 'nothing is lost');
kill('CONT', @daemon);
$r->wait_role('tokyo', 'standby');

# ---- nobody is there to give a lease ----

# On a slow machine its first lease may end before the links are made anew: a server
# that was stopped for that is started again.
$r->wait_lease('osaka');
$r->wait_server('osaka');
$r->wait_for('maintenance at the other site',
	sub { ($osaka->pgkura('maintenance', 'main', 'on'))[0] == 0 });
ok($r->writes('osaka'), 'in which its server goes on')
    or diag($r->events('osaka'));
$r->sites->stop($_) for qw(tokyo nagoya);
$r->wait_for('silence of both', sub {
	!grep { $_->{heard_ago_us} < 3_000_000 } @{ $r->now('osaka', 'sites') };
});
$osaka->pgkura_fails('it does not end while nobody gives a lease', 75,
	qr/maintenance stays on/, 'maintenance', 'main', 'off');
ok($r->now('osaka', 'lease_free'), 'so the lease has no end');
ok($r->writes('osaka'), 'and the server goes on') or diag($r->events('osaka'));
$r->sites->stop('osaka');
ok($r->writes('osaka'), 'OP5: pgkurad is stopped there, too');
done_testing();
