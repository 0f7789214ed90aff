#!/usr/bin/perl
# What is killed in the middle of an order: a switchover whose server stops only
# after the rule has died; an order that nobody took, since the rule hung.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

# Beats far apart: who begins anew has not heard the other site at its first look.
my $r = Kura::Roles->new(major => $major,
	peer => { beat_interval => '5s', beat_misses => 5 });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

sub order
{
	my @as = @_;

	return Kura::spawn(@as, 'env', 'PGKURA_CONF=' . $tokyo->conf,
		Kura::program('pgkura'), 'maintenance', 'main', 'on');
}

sub wait_anew
{
	my ($pid) = @_;

	$r->wait_for('a new rule', sub {
		my $now = $r->now('tokyo', 'pid');
		return $now && $now != $pid;
	});
	return;
}

$r->insert($r->primary) for 1 .. 3;
$r->wait_there;

# ---- the server stops after the rule has died ----

my $pid = $r->now('tokyo', 'pid');
my ($switchover, $checkpointer) = $r->switchover_hangs;
kill('KILL', $pid);
wait_anew($pid);
$r->told('tokyo', qr/switchover_aborted: the other site is silent/,
	'a switchover whose process was killed is given up');
isnt($switchover->wait(150), 0, 'who ordered it is told so');
kill('CONT', $checkpointer);
$r->wait_server('tokyo');
ok(1, 'its server, which stopped only then, is started again');
is($r->role('tokyo')->{role}, 'primary', 'it is the primary still');
$r->wait_for('the end', sub { ($r->now('tokyo', 'server') // '') eq 'alive' });
unlike($r->events('tokyo'), qr/ clean_stop: /,
	'nobody takes that for an administrator\'s stop');
$r->one_writer('after that');

# ---- an order that nobody took ----

$r->wait_state('osaka', 'normal');
$pid = $r->now('tokyo', 'pid');
kill('STOP', $pid);
my $lost = order(Kura::as_user());
my ($site) = glob($tokyo->dir . '/*/site');
my $file = "$site/main.order";
$r->wait_for('the order', sub { -e $file });
$r->told('tokyo', qr/ roles_unattended: /,
	'a rule that hangs is an alarm');
kill('KILL', $pid);
wait_anew($pid);
isnt($lost->wait(60), 0, 'an order that nobody took has failed');
like($lost->err, qr/started anew before it took the order/, 'it says why');
ok(!-e $file, 'nothing is left of it');
$r->told('tokyo', qr/order_dropped: /, 'an event says so');
ok(!$r->now('tokyo', 'maintenance'), 'it is not done later');

$pid = $r->now('tokyo', 'pid');
kill('STOP', $pid);
my $given = order(Kura::as_user());
$r->wait_for('the order', sub { -e $file });
kill('KILL', $pid);
is($given->wait(90), 0, 'one of a moment ago is done by the next process')
    or diag($given->err);

SKIP: {
	skip 'not root', 1 if $> != 0;
	my $mask = umask(077);
	my $root = order();

	umask($mask);
	is($root->wait(90), 0, 'root gives orders to a pgkurad of another user')
	    or diag($root->err);
}

# ---- the other site's rule hangs, and its link does not ----

$pid = $r->now('osaka', 'pid');
kill('STOP', $pid);
$r->wait_for('an alarm at the primary', sub {
	grep { $_->{name} eq 'no_standby' && $_->{message} =~ /does not say whether/ }
	    @{ $r->status('tokyo')->{alarms} };
}, 150);
ok(1, 'a site that says nothing of its standby is an alarm at the primary');
kill('CONT', $pid);
done_testing();
