#!/usr/bin/perl
# What the primary's site does about its server: a crash is mended on the spot;
# what only looks like death is none, and nobody fails over for it.
# HD4, HH4 (local recovery), RK5-RK8, OP5-OP7, PA14, PG5.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major, conf => { max_connections => 12,
		superuser_reserved_connections => 3 },
	more => ' connect_timeout=2', tokyo => { local_recovery => 'yes' });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);
my $server = $r->primary;

sub wait_watch
{
	my ($verdict, $what) = @_;

	$r->wait_for("server $verdict",
		sub { ($r->now('tokyo', 'server') // '') eq $verdict });
	return ok(1, $what);
}

sub no_failover
{
	my ($what) = @_;

	is($r->role('osaka')->{role}, 'standby', "$what: no failover");
	return ok(!$r->writes('osaka'), "$what: nothing is promoted");
}

# RK5: it was started by pg_ctl, not by us.
wait_watch('alive', 'RK5: a server that somebody started is adopted');

# ---- HD4, RK7: a crash ----

$r->insert($server) for 1 .. 3;
$r->wait_there;
$server->kill9;
$r->wait_server('tokyo');
ok(1, 'HD4, HH4: a server that was killed is started again');
is($r->rows($server), '3 of 3', 'with its data');
wait_watch('alive', 'and counts as alive');
no_failover('HD4');
$r->told('tokyo', qr/local_recovery/, 'there is an event of it');

$server->pg_ctl('-w', '-m', 'immediate', 'stop');
$r->wait_server('tokyo');
ok(1, 'PA14: one that was stopped without a checkpoint is, too');
is($r->rows($server), '3 of 3', 'PA14: with its data');
no_failover('PA14');

# ---- OP6: the administrator stops it, before anybody saw it alive again ----

$server->pg_ctl('-w', '-m', 'fast', 'stop');
wait_watch('stopped', 'OP6: a clean stop is no crash');
$r->wait_for('osaka to know of the stop', sub {
	grep { $_->{clean_stop} } @{ ($r->role('osaka')->{now} // {})->{sites} // [] }
});
ok(!$server->running, 'it is not started against his will');
no_failover('OP6');
$server->start;
wait_watch('alive', 'until he starts it');

# ---- OP7: nobody may log in ----

my $hba = $server->pgdata . '/pg_hba.conf';
my $old = Kura::slurp($hba);

Kura::write_file($hba, "local replication all trust\nlocal all all reject\n");
$server->reload;
# The session that is open keeps looking; a new one cannot be made.
$tokyo->pgkura('reload');
$r->sites->stop('tokyo');
$r->sites->start_daemon('tokyo');
wait_watch('impaired', 'OP7: a refused login is a warning, not a death');
no_failover('OP7');
Kura::write_file($hba, $old);
$server->reload;
wait_watch('alive', 'and is over with the next look');

# ---- RK6: it recovers, for as long as it likes ----

sub postmaster
{
	return eval { (split /\n/, Kura::slurp($server->pgdata
				. '/postmaster.pid'))[0] };
}

# The startup process of a postmaster other than that, stopped.
sub stop_startup
{
	my ($was) = @_;
	my $pid = postmaster();

	return if !$pid || $pid == $was;
	for my $child (split / /, eval {
			Kura::slurp("/proc/$pid/task/$pid/children") } // '') {
		my $words = eval { Kura::slurp("/proc/$child/cmdline") } // '';

		return $child if $words =~ /^postgres: .*startup/
		    && kill('STOP', $child);
	}
	return;
}

my $attempts = () = $r->events('tokyo') =~ /local_recovery:/g;
my ($was, $startup) = (postmaster());

$server->psql('CREATE TABLE filled AS SELECT g FROM generate_series(1, 200000) g');
$server->kill9;
for (1 .. 20_000) {
	$startup = stop_startup($was) and last;
	select(undef, undef, undef, 0.002);
}
ok($startup, 'RK6: recovery is under way, and takes long');
wait_watch('starting', 'RK6: a server that recovers counts as starting');
sleep 6;	# twelve looks of 200 ms, three times
is($r->now('tokyo', 'server'), 'starting', 'RK6: however long it takes');
is(() = $r->events('tokyo') =~ /local_recovery:/g, $attempts + 1,
	'RK6: and nobody starts it a second time');
no_failover('RK6');
kill('CONT', $startup);
wait_watch('alive', 'RK6: until it is up');

# ---- RK6: it hangs ----

$was = postmaster();
kill('STOP', $was);
wait_watch('hung', 'RK6: a server that lets nobody in for five looks hangs');
$r->told('tokyo', qr/server_killed/,
	'RK6: it does not stop when told to, and is killed');
$r->wait_server('tokyo');
isnt(postmaster(), $was, 'RK6: and started again');
is($r->rows($server), '3 of 3', 'RK6: with its data');
wait_watch('alive', 'RK6: and counts as alive');
no_failover('RK6');

# ---- RK8: no connection is left ----

my @crowd = map { $server->psql_spawn('SELECT pg_sleep(600)') } 1 .. 9;
ok(Kura::wait_until(sub {
	my ($status) = $server->psql_try('SELECT 1');
	return 1 if $status != 0;
	push @crowd, $server->psql_spawn('SELECT pg_sleep(600)');
	return 0;
}, 60), 'RK8: the server has no connection left');
isnt($r->now('tokyo', 'server'), 'dead', 'that is no death');
isnt($r->now('tokyo', 'server'), 'down', 'nor a crash');
no_failover('RK8');
$_->kill('KILL') for @crowd;
wait_watch('alive', 'and is over');

# ---- maintenance ----

$tokyo->pgkura_ok('maintenance is announced', 'maintenance', 'main', 'on');
$r->wait_state('osaka', 'maintenance');
$server->kill9;
wait_watch('maintenance', 'in maintenance a killed server is left alone');
ok(!$server->running, 'it is not started');
$r->sites->kill9('tokyo');
sleep 3;
is($r->now('osaka', 'state'), 'maintenance',
	'the standby still knows when the site is silent');
no_failover('maintenance');
$r->sites->start_daemon('tokyo');
$r->wait_role('tokyo', 'primary');
$r->sites->wait_link('tokyo', 'osaka');
$tokyo->pgkura_ok('maintenance ends', 'maintenance', 'main', 'off');
$r->wait_server('tokyo');
ok(1, 'then it is started');

# ---- OP5: the daemon stops, the server does not ----

$r->sites->stop('tokyo');
ok($server->running, 'OP5: the end of the daemon stops no server');
$r->sites->stop('osaka');
done_testing();
