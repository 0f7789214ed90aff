#!/usr/bin/perl
# M4: the primary's site is lost and its disk survives: what it had not sent is kept
# before it may start again, and can be restored.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major);
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

$r->insert($r->primary) for 1 .. 10;
$r->wait_there;

# Its daemon is killed first: what comes then only its own disk has.
$r->sites->kill9('tokyo');
$r->primary->psql('INSERT INTO t (a) VALUES (1001), (1002)');
$r->primary->psql('SELECT pg_switch_wal()');
$r->primary->psql('INSERT INTO t (a) VALUES (1003)');
my $end = $r->primary->psql('SELECT pg_current_wal_flush_lsn()');
$r->lose('tokyo');
$r->wait_state('osaka', 'peer silent');
$osaka->pgkura_ok('the standby takes over', 'failover', 'main',
	'--allow-data-loss=all', '--yes');
$r->wait_server('osaka');
$r->insert($r->standby) for 1 .. 5;
is($r->rows($r->standby), '15 of 15', 'without what was not sent');

# ---- the machine comes back ----

$r->sites->start_daemon('tokyo');
$r->wait_role('tokyo', 'standby');
$tokyo->pgkura_fails('M4: the old primary is fenced', 1,
	qr/not the primary|later term/, 'may-start', 'main');
$r->wait_there('osaka', 'tokyo');
$tokyo->pgkura_fails('M4: what only it has is not given up unasked', 1,
	qr/have diverged at .*2 transactions that the other site lacks/,
	'failback', 'main', '--yes');
my $out = $tokyo->pgkura_ok('M4: with an order it is salvaged first', 'failback',
	'main', '--give-way', '--yes')
    or diag($r->events('tokyo'));
my ($old) = grep { $_->{timeline} == 1 }
    @{ $tokyo->json('wal', 'list', 'main')->{spans} };
cmp_ok(Kura::Site::lsn_number($old->{end_lsn}), '>=',
	Kura::Site::lsn_number($end), 'M4: all of its WAL is in the repository');
my $to = $tokyo->dir . '/lost';
$tokyo->pgkura_ok('M4: it restores', 'restore', 'main', "--to=$to",
	'--timeline=1');
my $copy = $tokyo->restored(of => $r->primary, to => $to)->start;
$copy->wait_for('SELECT NOT pg_is_in_recovery()');
is($copy->psql('SELECT count(*) FROM t WHERE a > 1000'), '3',
	'M4: with the rows that were not sent');
$copy->stop;
$r->wait_for('the old primary following', sub {
	my ($status, $rows) = $r->primary->psql_try(
		'SELECT coalesce(max(a), 0) || \' of \' || count(*) FROM t');
	return $status == 0 && $rows eq '15 of 15';
}, 120);
is($r->primary->psql('SELECT pg_is_in_recovery()'), 't',
	'M4: and the old primary follows');
$tokyo->pgkura_fails('M4: still it may not start as a primary', 1,
	qr/not the primary|later term/, 'may-start', 'main');
$r->one_writer('M4');
$r->sites->stop($_) for qw(tokyo osaka);
done_testing();
