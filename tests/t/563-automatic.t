#!/usr/bin/perl
# Automatic failover with a witness and a lease: the primary's site is lost, or
# only cut off; at no time do two servers take writes.
# HD3 with a witness, PA16, PA19-PA21, PA23, PB4.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major, witness => 1,
	cluster => { failover => 'automatic', fence => 'lease', lease => '12s' });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

$r->wait_role('nagoya', 'witness');
my ($status, $check);
ok(Kura::wait_until(sub {
	($status, $check) = $r->site('nagoya')->pgkura('check', 'main');
	return $status == 0 && $check =~ /^ok +peer tokyo +reached/m;
}), 'a witness checks itself, and looks at the sites that it votes for')
    or diag($status, $check);
unlike($check, qr/null|backups|WAL/, 'and not at what it does not store');
unlike(($r->site('nagoya')->pgkura('status'))[1], qr/WAL|ready/,
	'neither does its status');
$r->wait_lease('tokyo');
ok(1, 'the primary has a lease');
$tokyo->pgkura_ok('with which its server may start', 'may-start', 'main');

# ---- PA20: the standby is cut off: nothing happens ----

$r->isolate('osaka');
$r->wait_for('osaka alone', sub {
	($r->now('osaka', 'state') // '') =~ /alarm|hold|taking/
});
$r->insert($r->primary) for 1 .. 5;
ok(!$r->writes('osaka'), 'PA20: a standby that is alone promotes nothing');
ok($r->writes('tokyo'), 'the primary goes on, with the witness');
$r->join_again('osaka');
$r->wait_state('osaka', 'normal');
$r->wait_there;

# ---- HD3, PB4: the primary's site is lost ----

$r->lose('tokyo');
$r->wait_with_one_writer('PA19: the standby takes over by itself',
	sub { $r->writes('osaka') });
is($r->rows($r->standby), '5 of 5', 'with all that was reported durable there');
$r->told('osaka', qr/hold_begins.*taking.*promotion_done/s,
	'silence, hold, promotion are events');
$r->insert($r->standby);
$r->primary->start;	# by somebody who does not ask
$r->sites->start_daemon('tokyo');
$r->wait_role('tokyo', 'standby');
$r->wait_for('the end of the old server', sub { !$r->writes('tokyo') });
$r->one_writer('the old primary is back');
$r->wait_there('osaka', 'tokyo');
$tokyo->pgkura_ok('it is made a standby', 'failback', 'main', '--give-way',
	'--yes')
    or diag($r->events('tokyo'));
$r->wait_promotable('tokyo');

# ---- PA16, PA21, PA23: the primary is cut off, and lives ----

$r->wait_lease('osaka');
$r->insert($r->standby) for 1 .. 5;
$r->wait_there('osaka', 'tokyo');
$r->isolate('osaka');
# What is to be proved anew after the last one may be a reason before.
$r->wait_for('an alarm of failover_backoff', sub {
	my $now = $r->role('tokyo')->{now} // {};
	return ($now->{state} // '') eq 'alarm'
	    && $now->{reason} =~ /too short a time ago/;
});
ok(1, 'failover_backoff: no second one within a day, whichever site took over');
ok(!$r->writes('tokyo'), '... by itself');
$tokyo->cluster('main', %{ $tokyo->{clusters}{main} },
	failover_backoff => '0s');
$tokyo->pgkura_ok('failover_backoff = 0s', 'reload');
$r->wait_with_one_writer('PA16, PA21: one that is cut off stops, the other takes over',
	sub { $r->writes('tokyo') });
ok(!$r->writes('osaka'), 'the old one does not write');
$r->told('osaka', qr/server_stopped/, 'and has told why');
is($r->rows($r->primary), "$r->{n} of $r->{n}", 'nothing is lost');
$r->insert($r->primary);
$r->join_again('osaka');
$r->wait_role('osaka', 'standby');
$r->one_writer('all are joined again');
$r->sites->stop($_) for qw(tokyo osaka nagoya);
done_testing();
