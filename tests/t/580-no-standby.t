#!/usr/bin/perl
# A site that could not take over says so, and so does the primary: its standby does
# not start, is stopped by order, or the old primary does not follow yet.
# Maintenance that is on is seen, too.

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

sub alarms
{
	my ($name) = @_;

	return map { $_->{name} } @{ $r->status($name)->{alarms} };
}

# Its first line may be of something worse.
sub alarmed
{
	my ($name, $alarm, $what) = @_;
	my $is = sub { return grep { $_ eq $alarm } alarms($name) };

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(Kura::wait_until($is, 90), $what)
	    || diag(join ' ', alarms($name));
}

sub is_over
{
	my ($name, $alarm, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(Kura::wait_until(sub {
		return !grep { $_ eq $alarm } alarms($name);
	}, 120), $what) || diag(join ' ', alarms($name));
}

# ---- all is well ----

my ($status, $ready);
Kura::wait_until(sub {
	($status, $ready) = $osaka->pgkura('ready', 'main');
	return $ready =~ /^ok +standby /m && $ready =~ /^ok +clocks +within /m;
});
like($ready, qr/^ok +standby +(?:running|starting) /m, 'ready looks at the standby');
like($ready, qr/^ok +clocks +within .* of tokyo's$/m,
	'and at the clocks of the two sites, as the link measures them');

# ---- maintenance ----

$tokyo->pgkura_ok('maintenance begins', 'maintenance', 'main', 'on');
alarmed('tokyo', 'maintenance', 'maintenance that is on is an alarm');
$r->next_is('tokyo', 'pgkura maintenance main off', 'with its end to type');
isnt(($tokyo->pgkura('status'))[0], 0, 'not all is normal');
$tokyo->pgkura_ok('maintenance ends', 'maintenance', 'main', 'off');
is_over('tokyo', 'maintenance', 'and the alarm with it');

# ---- stopped by order ----

$osaka->pgkura_ok('the standby is stopped', 'standby', 'stop', 'main');
alarmed('osaka', 'standby_off', 'which is an alarm');
$r->next_is('osaka', 'pgkura standby start main', 'with the way back');

# ---- it does not start ----

my $auto = $r->standby->pgdata . '/postgresql.auto.conf';
my $whole = Kura::slurp($auto);
Kura::append_file($auto, "nobody_knows_this = 1\n");
$osaka->pgkura_ok('it is to start', 'standby', 'start', 'main');
alarmed('osaka', 'standby_failing', 'a standby that does not start is an alarm');
$r->next_is('osaka', 'pgkura standby status main', 'and where to look');
is_over('osaka', 'standby_off', 'it is not off by order any more');

# While it is started once more it may look well.
my $now;
ok(Kura::wait_until(sub {
	$now = $r->role('osaka')->{now};
	return !$now->{promotable} && $now->{why_not} =~ /nobody_knows_this/;
}), 'that site is not promotable, and says why') or diag(explain($now));
alarmed('tokyo', 'no_standby', 'the primary tells of it');
ok(Kura::wait_until(sub {
	return ($tokyo->pgkura('status'))[1] =~
	    /"osaka" could not take over: .*nobody_knows_this/;
}), 'with the reason') or diag(($tokyo->pgkura('status'))[1]);
ok(Kura::wait_until(sub {
	($status, $ready) = $osaka->pgkura('ready', 'main');
	return $status == 1 && $ready =~ /^FAULT +standby .*nobody_knows_this/m;
}), 'that site is not ready, and says why') or diag($status, $ready);
Kura::write_file($auto, $whole);
is_over('osaka', 'standby_failing', 'mended');
is_over('tokyo', 'no_standby', 'for the primary as well');
ok(Kura::wait_until(sub { $r->role('osaka')->{now}{promotable} }),
	'it is promotable');

# ---- the old primary is back, and nobody has ordered what becomes of it ----

$r->wait_there;
$r->lose('tokyo');
$r->wait_state('osaka', 'peer silent');
$osaka->pgkura_ok('failover', 'failover', 'main', '--allow-data-loss=all', '--yes');
$r->wait_server('osaka');
$r->sites->start_daemon('tokyo');
$r->wait_role('tokyo', 'standby');
alarmed('tokyo', 'failback_due', 'the old primary has to be made a standby');
$r->next_is('tokyo', 'pgkura failback main', 'by this command');
alarmed('osaka', 'no_standby', 'and the new one has no standby');
unlike(($tokyo->pgkura('check', 'main'))[1], qr/start the server/,
	'nobody is told to start the old server');
$tokyo->pgkura_ok('as it is told', 'failback', 'main', '--give-way', '--yes');
is_over('tokyo', 'failback_due', 'it follows');
is_over('osaka', 'no_standby', 'there is a standby again');
$r->sites->stop($_) for qw(tokyo osaka);
done_testing();
