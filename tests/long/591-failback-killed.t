#!/usr/bin/perl
# A failback whose site is killed, all of it, when pg_control is away: the daemon that is
# started again completes it, and an order meanwhile waits for that.  PG6.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

# Transactions are counted: only ours.  A slow machine is not silent.
my $r = Kura::Roles->new(major => $major, conf => { autovacuum => 'off' },
	peer => { beat_interval => '500ms', beat_misses => 10 });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

$r->grow_apart;

# WAL of the new timeline comes here.
$r->wait_there('osaka', 'tokyo');
$tokyo->pgkura_fails('diverged histories give way to nobody without an order', 1,
	qr/have diverged at .*2 transactions that the other site lacks/,
	'failback', 'main', '--yes');
ok(!$r->writes('tokyo'), 'nothing was started');

# ---- with an order ----

my $control = $r->primary->pgdata . '/global/pg_control';
my $order = Kura::spawn($tokyo->words('failback', 'main', '--give-way', '--yes'));
while ($order->alive && -e $control) {
	select(undef, undef, undef, 0.0005);
}
my $gone = !-e $control;
$r->sites->kill9('tokyo');
ok($gone && !-e $control, 'all of tokyo is killed, with no pg_control');
isnt($order->wait(90), 0, 'the order has failed');
note($order->err);
$r->sites->start_daemon('tokyo');
my $again = Kura::spawn($tokyo->words('failback', 'main', '--give-way', '--yes'));
is($again->wait(120), 0, 'a second order ends well') or diag($again->err);
note($again->out, $again->err);
$r->wait_for('the old primary following', sub {
	my ($status, $rows) = $r->primary->psql_try(
		'SELECT coalesce(max(a), 0) || \' of \' || count(*) FROM t');
	return $status == 0 && $rows eq '15 of 15';
}, 120);
ok(1, 'it follows the new history');
my $wal = $tokyo->json('wal', 'list', 'main');
ok((grep { $_->{timeline} == 1 } @{ $wal->{spans} }),
	'and what only it had is kept as WAL of the old timeline')
    or diag(explain($wal));
done_testing();
