#!/usr/bin/perl
# A primary's server is dead for good, its site lives: with server_failed = failover
# the site gives its term up and the other takes over with no hold; by default an
# operator decides.
# HH4, HD4, OP6.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my %all = (failover => 'automatic', failover_backoff => '0s', hold => '1h',
	local_recovery => 'yes', rpo_limit => '8s');
# An attempt to start it fails after 12 looks, and there are three.
my %peer = (beat_interval => '300ms', beat_misses => 6);

# Its configuration keeps a server from starting, until it is mended.
sub break_it
{
	my ($server) = @_;
	my $file = $server->pgdata . '/postgresql.conf';

	$server->{good} = Kura::slurp($file);
	Kura::write_file($file, "$server->{good}\nno_such_setting = on\n");
	return;
}

sub mend
{
	my ($server) = @_;

	Kura::write_file($server->pgdata . '/postgresql.conf', $server->{good});
	return;
}

# Longer than three attempts: nothing may come of it, so there is nothing to wait
# for.
sub no_switch
{
	my ($r, $what) = @_;

	sleep 14;
	is($r->role('tokyo')->{role}, 'primary', "$what: the primary is the primary");
	unlike($r->events('tokyo'), qr/ term_given_up:/, "$what: it gives nothing up");
	unlike($r->events('osaka'), qr/ (?:taking|promotion_begins):/,
		"$what: the other site takes nothing");
	return ok(!$r->writes('osaka'), "$what: and promotes nothing");
}

subtest 'server_failed = failover' => sub {
	my $r = Kura::Roles->new(major => $major, witness => 1, peer => {%peer},
		cluster => { %all, fence => 'lease', server_failed => 'failover' });
	my ($tokyo, $server) = ($r->site('tokyo'), $r->primary);

	$r->wait_role('nagoya', 'witness');
	$r->wait_proof;
	$tokyo->pgkura('check', 'main');

	# ---- what is no death ----

	$server->pg_ctl('-w', '-m', 'fast', 'stop');
	$r->wait_for('a clean stop',
		sub { ($r->now('tokyo', 'server') // '') eq 'stopped' });
	break_it($server);
	no_switch($r, 'OP6: stopped by its administrator');
	mend($server);
	$server->start;
	$r->wait_for('its start',
		sub { ($r->now('tokyo', 'server') // '') eq 'alive' });
	$tokyo->pgkura_ok('maintenance begins', 'maintenance', 'main', 'on');
	break_it($server);
	$server->kill9;
	no_switch($r, 'maintenance');
	mend($server);
	$tokyo->pgkura_ok('maintenance ends', 'maintenance', 'main', 'off');
	$r->wait_server('tokyo');
	ok(1, 'it is started again');

	# ---- death ----

	$r->insert($server) for 1 .. 20;
	$r->wait_there;
	my $held = $r->role('tokyo')->{held};

	break_it($server);
	$server->kill9;
	$r->wait_with_one_writer('HH4: the other site takes over by itself',
		sub { $r->writes('osaka') });
	is($r->rows($r->standby), '20 of 20', 'HH4: with all rows');
	$r->told('tokyo', qr/ term_given_up:/, 'HH4: the old site gave its term up');
	is(scalar(() = $r->events('tokyo') =~ / local_recovery:/g), 3,
		'HH4: after three attempts, one of them after the maintenance');
	unlike($r->events('osaka'), qr/ hold_begins:/, 'HH4: there was no hold');
	is((grep { $_->{role} eq 'primary' } @{ $r->role('osaka')->{history} })[-1]{reason},
		'automatic failover', 'HH4: nobody ordered it');
	cmp_ok($r->role('osaka')->{held}, '>', $held, 'HH4: under a later term');
	$r->insert($r->standby);
	$r->wait_role('tokyo', 'standby');
	mend($server);
	$tokyo->pgkura_fails('HH4: the old server may not start', 1,
		qr/not the primary|later term/, 'may-start', 'main');
	$server->start;	# by somebody who does not ask
	$r->wait_for('the end of the old server', sub { !$r->writes('tokyo') });
	$r->one_writer('HH4: the old server was started');

	# ---- and home ----

	$r->wait_there('osaka', 'tokyo');
	$tokyo->pgkura_ok('HH4: the old primary follows', 'failback', 'main',
		'--give-way', '--yes')
	    or diag($r->events('tokyo'));
	$r->wait_promotable('tokyo');
	# It is given up when the other site is silent, as on a slow machine.
	$r->wait_for('a switchover', sub {
		($tokyo->pgkura('switchover', 'main', '--to=tokyo', '--yes'))[0] == 0
	});
	ok(1, 'HH4: and takes over again');
	$r->wait_server('tokyo');
	is($r->rows($server), '21 of 21', 'HH4: with all rows of both');
	$r->one_writer('HH4: at home');
	$r->wait_for('leave to start',
		sub { ($tokyo->pgkura('may-start', 'main'))[0] == 0 });
	ok(1, 'HH4: where it may start');
	$r->sites->stop($_) for qw(tokyo osaka nagoya);
};

subtest 'by default an operator decides' => sub {
	my $r = Kura::Roles->new(major => $major, witness => 1, peer => {%peer},
		cluster => { %all, fence => 'lease' });

	$r->insert($r->primary) for 1 .. 5;
	$r->wait_there;
	break_it($r->primary);
	$r->primary->kill9;
	$r->wait_state('osaka', 'server dead');
	no_switch($r, 'HD4');
	is($r->now('tokyo', 'server'), 'dead', 'HD4: the server stays down');
	like($r->now('osaka', 'command'), qr/^pgkura failover main/,
		'HD4: with one command');
	$r->site('osaka')->pgkura_ok('HD4: which promotes', 'failover', 'main',
		'--allow-data-loss=all', '--yes');
	$r->wait_server('osaka');
	is($r->rows($r->standby), '5 of 5', 'HD4: with all rows');
	$r->sites->stop($_) for qw(tokyo osaka nagoya);
};

subtest 'with a hook that is not proved, and one that is' => sub {
	my $dir = Kura::tempdir();
	my $r;

	chmod 0777, $dir;
	Kura::write_file("$dir/fence", "#!/bin/sh\necho \"\$@\" >>$dir/fenced\n");
	chmod 0755, "$dir/fence";
	$r = Kura::Roles->new(major => $major, peer => {%peer},
		cluster => { %all, fence => 'hook', fence_hook => "$dir/fence",
			server_failed => 'failover' });
	$r->insert($r->primary) for 1 .. 5;
	$r->wait_there;
	break_it($r->primary);
	$r->primary->kill9;
	$r->wait_state('osaka', 'server dead');
	$r->wait_for('why', sub { ($r->now('osaka', 'reason') // '') =~ /not proved/ });
	no_switch($r, 'HH4: the fence is not proved');
	ok(!-e "$dir/fenced", 'HH4: and the hook is left alone');
	Kura::write_file("$dir/fence", "#!/bin/sh\n"
		. "test \"\$PGKURA_FENCE\" = test && exit 0\necho \"\$@\" >>$dir/fenced\n");
	$r->wait_with_one_writer('HH4: with the proof the other site takes over',
		sub { $r->writes('osaka') });
	is(Kura::slurp("$dir/fenced"), "main tokyo\n",
		'HH4: the hook has fenced the old site, once');
	is($r->rows($r->standby), '5 of 5', 'HH4: with all rows');
	$r->wait_role('tokyo', 'standby');
	$r->sites->stop($_) for qw(tokyo osaka);
};
done_testing();
