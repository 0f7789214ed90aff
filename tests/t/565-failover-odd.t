#!/usr/bin/perl
# Failover that is interrupted, without the daemon, without a witness or a fence,
# held and canceled.  PA1, HD3 (b), PB4.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

subtest 'automatic without a witness and a fence stays at an alarm' => sub {
	my $r = Kura::Roles->new(major => $major,
		cluster => { failover => 'automatic' });
	my $osaka = $r->site('osaka');

	$r->insert($r->primary) for 1 .. 5;
	$r->wait_there;
	$r->lose('tokyo');
	$r->wait_state('osaka', 'alarm');
	sleep 3;	# longer than the hold
	ok(!$r->writes('osaka'), 'PA1: nothing is promoted');
	my $now = $r->role('osaka')->{now};
	like($now->{reason}, qr/no witness/, 'PA1: it says why');
	like($now->{command}, qr/^pgkura failover main/, 'and what to type');
	$r->wait_for('the alarm', sub {
		my $status = $r->status('osaka');

		return $status->{health}{sentence} =~ /pgkura failover main/;
	});
	ok(1, 'status says so in its first line');

	# Killed again and again while it promotes.
	my $order = Kura::spawn($osaka->words('failover', 'main',
		'--allow-data-loss=all', '--force', '--yes'));

	$r->wait_role('osaka', 'primary');
	$r->sites->kill9('osaka');
	$order->kill('KILL');
	$order->wait(10);
	$r->sites->start_daemon('osaka');
	$r->wait_server('osaka');
	is($r->rows($r->standby), '5 of 5',
		'PB4: a promotion that was cut off by kill -9 goes on by itself');
	$r->wait_for('the end of the promotion', sub {
		$r->events('osaka') =~ /promotion_done/
	});
	$r->insert($r->standby);
	$r->sites->stop('osaka');
};

subtest 'without the daemon' => sub {
	my $r = Kura::Roles->new(major => $major);
	my $osaka = $r->site('osaka');

	$r->insert($r->primary) for 1 .. 5;
	$r->wait_there;
	$r->lose('tokyo');
	$osaka->pgkura_fails('refused while the daemon runs', 75, qr/running/,
		'failover', 'main', '--offline', '--allow-data-loss=all', '--yes');
	$r->sites->kill9('osaka');
	# A process of the killed daemon that has not ended yet.
	my $end = $osaka->dir . '/end';
	my $dying = Kura::spawn('flock', $osaka->state . '/locks/main.follow', 'sh',
		'-c', "echo held; until test -e $end; do sleep 0.1; done");
	Kura::wait_until(sub { $dying->out =~ /held/ });
	my $offline = Kura::spawn($osaka->words('failover', 'main', '--offline',
		'--yes'));
	ok(Kura::wait_until(sub {
		$offline->err =~ /waiting until the process "follow" of pgkurad has ended/
	}, 30), 'a process that is about to end is waited for, and named');
	Kura::write_file($end, '');
	is($offline->wait(60), 1, 'without the daemon, what would be lost is refused');
	like($offline->err, qr/more would be lost/, 'and then it says why');
	$osaka->pgkura_ok('failover --offline', 'failover', 'main', '--offline',
		'--allow-data-loss=all', '--yes');
	ok($r->writes('osaka'), 'the standby takes writes');
	is($r->rows($r->standby), '5 of 5', 'with all that was durable there');
	$osaka->pgkura_ok('and may start', 'may-start', 'main');
	$r->primary->start;
	$r->sites->start_daemon($_) for qw(osaka tokyo);
	$r->wait_role('tokyo', 'standby');
	$r->wait_for('the end of the old server',
		sub { !$r->writes('tokyo') });
	$r->one_writer('both daemons are back');
	ok($r->writes('osaka'), 'the new primary goes on');
	$r->sites->stop($_) for qw(tokyo osaka);
};

subtest 'a hook is the fence; the hold is canceled' => sub {
	my $dir = Kura::tempdir();

	Kura::write_file("$dir/fence",
		"#!/bin/sh\ntest \"\$PGKURA_FENCE\" = test && exit 0\necho \"\$@\" >>$dir/fenced\ntest -e $dir/works\n");
	chmod 0755, "$dir/fence";
	chmod 0777, $dir;
	my $r = Kura::Roles->new(major => $major, cluster => {
		failover => 'automatic', fence => 'hook', hold => '30s',
		fence_hook => "$dir/fence", failover_backoff => '0s' });
	my $osaka = $r->site('osaka');

	$r->insert($r->primary) for 1 .. 5;
	$r->wait_there;
	$r->lose('tokyo');
	$r->wait_state('osaka', 'hold');
	cmp_ok($r->now('osaka', 'hold_left_us'), '>', 0,
		'the time that is left is shown');
	$osaka->pgkura_ok('HD3: it is canceled', 'failover', 'main', '--cancel');
	$r->wait_state('osaka', 'canceled');
	ok(!$r->writes('osaka'), 'and nothing happens');
	$osaka->pgkura_ok('an order goes all the same', 'failover', 'main',
		'--allow-data-loss=all', '--yes');
	$r->wait_server('osaka');
	is($r->rows($r->standby), '5 of 5', 'nothing is lost');
	$r->sites->stop('osaka');
};
done_testing();
