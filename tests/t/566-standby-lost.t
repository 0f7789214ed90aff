#!/usr/bin/perl
# What happens at the standby's site, or to our own processes, does the primary no
# harm and is mended without hands; a planned stop hands over with nothing lost.
# PA5-PA9, PA13, PA15, PA17, PA18, PG5, OP2.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

# A switchover is given up when the other site is silent; a slow machine is not.
my $r = Kura::Roles->new(major => $major,
	peer => { beat_interval => '500ms', beat_misses => 10 });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);
my $pid = $r->primary->running;

# It takes writes, it is the same server, and nobody thinks of another primary.
sub unhurt
{
	my ($what) = @_;

	$r->insert($r->primary) for 1 .. 3;
	is($r->rows($r->primary), "$r->{n} of $r->{n}",
		"$what: the primary takes writes");
	is($r->primary->running, $pid, "$what: its server is the same");
	return is($r->role('tokyo')->{role}, 'primary', "$what: and its role");
}

sub follows
{
	my ($name, $what) = @_;

	$r->wait_for("row $r->{n} at $name", sub {
		my ($status, $out) = $r->server($name)->psql_try(
			"SELECT count(*) FROM t WHERE a <= $r->{n}");
		return $status == 0 && $out eq $r->{n};
	}, 120);
	return ok(1, $what);
}

follows('osaka', 'the standby follows');

# ---- its server ----

$r->standby->pg_ctl('-w', '-m', 'immediate', 'stop');
unhurt('PA13');
follows('osaka', 'PA13: the standby is started again by itself');

# ---- its site ----

$r->lose('osaka');
unhurt('PA7');
$r->told('tokyo', qr/peer_silent/, 'PA7: the loss is an event at the primary');
$r->sites->start_daemon('osaka');
follows('osaka', 'PA18: after kill -9 of all nothing is to be removed by hand');
$r->told('tokyo', qr/peer_silent.*peer_back/s, 'PA18: its return is an event');

# ---- the line to it ----

$r->isolate('osaka');
$r->wait_for('silence', sub {
	my $n = () = $r->events('tokyo') =~ /peer_silent/g;
	return $n > 1;
});
unhurt('PA15');
$r->join_again('osaka');
follows('osaka', 'PA15: what was missed comes when the line is back');

# ---- it is kept out by order, until it is ordered back ----

$osaka->pgkura_ok('PA8: a standby is taken out', 'standby', 'stop', 'main');
$r->wait_for('the end of the standby', sub { !$r->standby->running });
$r->sites->stop('osaka');
$r->sites->start_daemon('osaka');
$r->sites->wait_link('osaka', 'tokyo');
unhurt('PA8');
ok(!$r->standby->running, 'PA8: it stays out when its site starts again');
$osaka->pgkura_ok('PA8: until it is ordered back', 'standby', 'start', 'main');
follows('osaka', 'PA8: it follows');

# ---- it is made anew ----

$r->standby->kill9;
Kura::run('rm', '-rf', $r->standby->pgdata);
unhurt('PA9');
follows('osaka', 'PA9: a standby that is gone is made anew, nobody waits');

# ---- our own processes, each of them ----

sub duties
{
	return { map { ("$_->{duty} " . ($_->{cluster} // ''), $_->{pid}) }
		    grep { $_->{pid} } @{ $r->status('tokyo')->{duties} } };
}

my $before = duties();

cmp_ok(scalar(keys %$before), '>=', 4, 'PA17: processes of the daemon')
    or diag(explain($before));
kill('KILL', values %$before);
$r->wait_for('all processes anew', sub {
	my $now = eval { duties() } // return 0;
	return !grep { !$now->{$_} || $now->{$_} == $before->{$_} } keys %$before;
});
ok(1, 'PA17: each that is killed is started again');
unhurt('PG5');
follows('osaka', 'PG5: and all goes on');

# ---- a planned stop ----

$r->wait_promotable('osaka');
$tokyo->pgkura_ok('PA5: the role is handed over first', 'switchover', 'main',
	'--to=osaka', '--yes')
    or diag($r->events('tokyo'), $r->events('osaka'));
$r->wait_server('osaka');
follows('tokyo', 'PA5: the old primary follows');
$r->sites->stop('tokyo');
$r->insert($r->standby) for 1 .. 3;
is($r->rows($r->standby), "$r->{n} of $r->{n}",
	'PA5: the other site goes on alone');
$r->sites->start_daemon('tokyo');
$r->sites->wait_link('tokyo', 'osaka');
follows('tokyo', 'PA6: the old primary comes back as a standby');
is($r->role('tokyo')->{role}, 'standby', 'PA6: and takes no role');
ok($r->writes('osaka'), 'PA6: the primary does not notice');
$r->one_writer('PA6');

# ---- the server is stopped clean, then its site ----

$r->insert($r->standby) for 1 .. 20;
$r->standby->pg_ctl('-w', '-m', 'fast', 'stop');
my ($end) = $r->standby->command('pg_controldata', '-D', $r->standby->pgdata)
    =~ /^Latest checkpoint location: +(\S+)/m;
ok($r->sites->wait_committed('main', 'osaka', 'tokyo', $end, 60),
	'OP2: a server that stops clean has sent all')
    or diag("$end\n", $r->events('osaka'));
$r->wait_for('tokyo to know of the stop', sub {
	grep { $_->{clean_stop} } @{ ($r->role('tokyo')->{now} // {})->{sites} // [] }
});
$r->sites->stop('osaka');
$r->wait_for('silence', sub {
	($r->now('tokyo', 'command') // '') =~ /failover/
});
is($r->now('tokyo', 'state'), 'maintenance',
	'OP2: a stop that was announced is no death');
$tokyo->pgkura_ok('OP2: the other site takes over by order', 'failover', 'main',
	'--allow-data-loss=all', '--yes');
$r->wait_server('tokyo');
is($r->rows($r->primary), "$r->{n} of $r->{n}",
	'OP2: a clean stop loses nothing');
$r->sites->stop('tokyo');
done_testing();
