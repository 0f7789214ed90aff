#!/usr/bin/perl
# A switchover that is aborted before its line; rpo_limit, judged at the loss of
# contact; a hold that the operator ends, with a hook as the fence; a hook that fails.
# HD3 (a) and RK9.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $dir = Kura::tempdir();

chmod 0777, $dir;
Kura::write_file("$dir/fence",
	"#!/bin/sh\ntest \"\$PGKURA_FENCE\" = test && exit 0\necho \"\$@\" >>$dir/fenced\ntest -e $dir/works\n");
chmod 0755, "$dir/fence";

sub pair
{
	# A switchover ends when the other site is silent; a slow machine is not.
	my $pair = Kura::Roles->new(major => $major,
		peer => { beat_interval => '500ms', beat_misses => 6 }, cluster => {
		failover => 'automatic', fence => 'hook', hold => '5min',
		fence_hook => "$dir/fence", failover_backoff => '0s', @_ });

	$pair->wait_for('a proof of the fence',
		sub { $pair->now('osaka', 'fence_proved') });
	return $pair;
}

sub fenced { return eval { Kura::slurp("$dir/fenced") } // ''; }

my $r = pair(rpo_limit => '15s');
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

# ---- switchover --abort ----

my ($receiver) = map { $_->{pid} }
    grep { $_->{duty} eq 'receive' } @{ $r->status('tokyo')->{duties} };

like($tokyo->pgkura_ok('an abort of nothing', 'switchover', 'main', '--abort'),
	qr/no switchover is under way/, 'says so');
$r->insert($r->primary) for 1 .. 5;
$r->wait_there;
# The server cannot stop before its receiver has all.
kill('STOP', $receiver);
$r->insert($r->primary);
my $order = Kura::spawn($tokyo->words('switchover', 'main', '--to=osaka', '--yes'));
$r->wait_for('a switchover under way',
	sub { ($r->now('tokyo', 'handover') // '') eq 'announced' });
$osaka->pgkura_fails('it is not aborted by the one that takes', 1,
	qr/abort it there/, 'switchover', 'main', '--abort');
my $abort = Kura::spawn($tokyo->words('switchover', 'main', '--abort'));
$r->wait_for('the order', sub {
	my $n = () = $r->events('tokyo') =~ /order: abort/g;
	return $n > 1;
});
kill('CONT', $receiver);
$abort->wait(60);
like($abort->out, qr/the switchover is aborted/, 'it is aborted');
$order->wait(60);
like($order->err, qr/another order has taken the place/,
	'who ordered it is told');
$r->wait_server('tokyo');
$r->one_writer('after the abort');
is($r->role('tokyo')->{role}, 'primary', 'the primary is the primary');
is($r->now('tokyo', 'handover'), 'none', 'and nothing is under way');
is($r->rows($r->primary), '6 of 6', 'it has all');
$r->told('tokyo', qr/switchover_aborted/, 'there is an event');
unlike($r->events('osaka'), qr/switchover_taking/, 'the other took nothing');
$r->insert($r->primary);
$r->wait_there;

# ---- rpo_limit ----

# Heartbeats go on, but no WAL comes here.
($receiver) = map { $_->{pid} }
    grep { $_->{duty} eq 'receive' } @{ $r->status('tokyo')->{duties} };
kill('STOP', $receiver);
$r->wait_for('a loss above the limit',
	sub { ($r->now('osaka', 'rpo_us') // 0) > 17_000_000 });
$r->isolate('tokyo');
$r->wait_state('osaka', 'alarm');
like($r->now('osaka', 'reason'), qr/more would be lost than is allowed/,
	'rpo_limit: more than that is at stake when contact is lost');
$osaka->pgkura_fails('confirm does not go beyond it', 1,
	qr/more would be lost than is allowed/, 'failover', 'main', '--confirm');
is(fenced(), '', 'the fence is not touched');
ok(!$r->writes('osaka'), 'and nothing is promoted');
kill('CONT', $receiver);
$r->join_again('tokyo');
$r->wait_state('osaka', 'normal');
$r->wait_there;
$r->wait_for('a small loss',
	sub { ($r->now('osaka', 'rpo_us') // 1e9) < 3_000_000 });

# ---- confirm, and a hook that works ----

Kura::write_file("$dir/works", '');
$r->lose('tokyo');
$r->wait_state('osaka', 'hold');
ok(!$r->writes('osaka'), 'HD3: within the limit it is held');
is(fenced(), '', 'HD3: the fence waits, too');
$osaka->pgkura_ok('HD3: the operator confirms', 'failover', 'main', '--confirm');
$r->wait_server('osaka');
is(fenced(), "main tokyo\n", 'the hook is told whom to switch off, once');
is($r->rows($r->standby), '7 of 7', 'HD3: nothing is lost');
is((grep { $_->{role} eq 'primary' } @{ $r->role('osaka')->{history} })[-1]{reason},
	'automatic failover', 'HD3: it is an automatic failover');
$r->insert($r->standby);

# ---- who was switched off asks first ----

$r->primary->start;
$r->sites->start_daemon('tokyo');
$r->wait_role('tokyo', 'standby');
$r->wait_for('the end of the old server', sub { !$r->writes('tokyo') });
$r->one_writer('the old primary is back');
ok($r->writes('osaka'), 'the new one goes on');
$r->sites->stop($_) for qw(tokyo osaka);

# ---- a hook that fails ----

unlink "$dir/works", "$dir/fenced";
$r = pair(hold => '1s');
$r->insert($r->primary) for 1 .. 3;
$r->wait_there;
$r->lose('tokyo');
$r->wait_for('the hook', sub { fenced() ne '' });
$r->wait_state('osaka', 'alarm');
my $now = $r->role('osaka')->{now};

like($now->{reason}, qr/fence hook failed/, 'a hook that fails proves nothing');
like($now->{command}, qr/^pgkura failover main/, 'a command is prepared');
ok(!$r->writes('osaka'), 'nothing is promoted');
$r->told('osaka', qr/fence_hook returned 1/, 'there is an event');
$r->site('osaka')->pgkura_ok('a human answers for it', 'failover', 'main',
	'--allow-data-loss=all', '--yes');
$r->wait_server('osaka');
is($r->rows($r->standby), '3 of 3', 'nothing is lost');
$r->sites->stop('osaka');
done_testing();
