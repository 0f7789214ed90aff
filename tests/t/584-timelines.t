#!/usr/bin/perl
# Two sites that are promoted from one timeline, the one not knowing of the other, do
# not give their timelines one number: what each wrote can be told apart, and one gives
# way.  RK8, PA23.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major,
	peer => { beat_interval => '500ms', beat_misses => 10 });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

sub timeline
{
	my ($cluster) = @_;

	return $cluster->psql('SELECT timeline_id FROM pg_control_checkpoint()')
	    if $cluster->psql('SELECT pg_is_in_recovery()') eq 't';
	return hex(substr($cluster->psql('SELECT pg_walfile_name('
		. 'pg_current_wal_lsn())'), 0, 8));
}

$r->insert($r->primary) for 1 .. 3;
$r->wait_there;
$tokyo->pgkura_ok('a switchover', 'switchover', 'main', '--to=osaka', '--yes')
    or diag($r->events('tokyo'), $r->events('osaka'));
$r->wait_server('osaka');
is(timeline($r->standby), 2, 'osaka has even timelines');
$r->insert($r->standby);
$r->wait_promotable('tokyo');

# ---- home again, and osaka does not hear what becomes of it ----

my $p = Kura::spawn($tokyo->words('switchover', 'main', '--to=tokyo', '--yes'));
$r->told('tokyo', qr/switchover_taking/, 'tokyo takes the role');
$r->sites->kill9('osaka');
$r->wait_server('tokyo');
is(timeline($r->primary), 3, 'tokyo has odd ones');
$r->insert($r->primary) for 1 .. 2;
my $lost = $r->{n};
$p->kill('KILL');
$p->wait(30);
$r->lose('tokyo');

# ---- so osaka goes on from timeline 2, too ----

$r->sites->start_daemon('osaka');
$r->wait_role('osaka', 'standby');
$osaka->pgkura_ok('its server is a standby again', 'failback', 'main', '--yes');
$r->wait_for('a failover', sub {
	($osaka->pgkura('failover', 'main', '--allow-data-loss=all', '--force',
		'--yes'))[0] == 0;
}, 120);
$r->wait_server('osaka');
is(timeline($r->standby), 4, 'a number is passed by that may be the other one\'s')
    or diag($r->events('osaka'));
is($r->standby->psql('SELECT count(*) FROM t'), $lost - 2,
	'(two rows are at tokyo alone)');
$r->{n} = $lost - 2;
$r->insert($r->standby) for 1 .. 5;

# ---- tokyo gives way, by an order ----

$r->sites->start_daemon('tokyo');
$r->sites->wait_link('tokyo', 'osaka');
$r->wait_role('tokyo', 'standby');
$r->wait_for('the new timeline at tokyo', sub {
	return grep { $_->{timeline} == 4 }
	    @{ $tokyo->json('wal', 'list', 'main')->{spans} };
}) or diag($r->events('tokyo'), $r->events('osaka'));
$tokyo->pgkura_fails('both have written: an order is needed', 1,
	qr/give-way/, 'failback', 'main', '--yes');
my $out = $tokyo->pgkura_ok('tokyo gives way', 'failback', 'main', '--give-way',
	'--yes') or diag($r->events('tokyo'));
# More than two: a probe, and what the server does by itself.
my ($gave) = $out =~ /rewound to timeline 4.* (\d+) transactions gave way/s;
cmp_ok($gave // 0, '>=', 2, 'with what only it has') or diag($out);
$r->wait_promotable('tokyo');
$r->insert($r->standby);
$r->wait_for('tokyo follows timeline 4', sub {
	my ($status, $rows) = $r->primary->psql_try(
		'SELECT coalesce(max(a), 0) || \' of \' || count(*) FROM t');
	return $status == 0 && $rows eq "$r->{n} of $r->{n}";
}, 120);
is_deeply([ sort grep { $_ > 1 } map { $_->{timeline} }
		@{ $tokyo->json('wal', 'list', 'main')->{spans} } ], [ 2, 3, 4 ],
	'what gave way is kept under its own timeline');
$tokyo->pgkura_ok('home', 'switchover', 'main', '--to=tokyo', '--yes')
    or diag($r->events('tokyo'), $r->events('osaka'));
$r->wait_server('tokyo');
is(timeline($r->primary), 5, 'the next one is behind all of these');
is($r->rows($r->primary), "$r->{n} of $r->{n}", 'with all rows');
$r->wait_promotable('osaka');
$r->one_writer('at the end');

# ---- what is restored to be the primary begins one of its site, too ----

my $to = Kura::tempdir() . '/data';
$r->wait_there;
$tokyo->pgkura_ok('a restore that takes over', 'restore', 'main', "--to=$to",
	'--take-over', '--immediate');
my $c = $tokyo->restored(of => $r->primary, to => $to)->start;
$c->wait_for('SELECT NOT pg_is_in_recovery()');
is(timeline($c) % 2, 1, 'an odd timeline');
cmp_ok(timeline($c), '>', 5, 'behind all that are known');
$c->stop;
done_testing();
