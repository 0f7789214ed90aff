#!/usr/bin/perl
# fence = lease is turned on while the primary takes writes: its server is the same one
# afterwards, in maintenance too, and guarded once it has its first lease.  A server that
# does not run then has to have one before it may start.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major, witness => 1,
	cluster => { fence => 'none', lease => '6s' });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);
my $server = $r->primary;
my $pid = $server->running;

sub fence
{
	my ($site, $fence) = @_;

	$site->cluster('main', %{ $site->{clusters}{main} }, fence => $fence);
	return $site->pgkura_ok("fence = $fence", 'reload');
}

# What the rule says now; "" when it is being started anew.
sub says { return $r->now('tokyo', $_[0]) // ''; }

# It has a lease of its own, and the watchdog guards it.
sub is_guarded
{
	my ($what) = @_;

	$r->wait_for("$what: a lease, and its proof", sub {
		says('fence') eq 'lease'
			&& says('reason') eq 'this site has a lease'
			&& $r->now('tokyo', 'fence_proved');
	});
	$r->insert($server);
	is($server->running, $pid, "$what: it is the same server");
	return is($r->rows($server), "$r->{n} of $r->{n}", "$what: it takes writes");
}

sub is_free
{
	$r->wait_for('no fence', sub { says('fence') eq 'none' });
	return;
}

# ---- while it writes: first, and again where a watchdog is there already ----

$r->insert($server) for 1 .. 3;
for my $time ('the first time', 'again') {
	fence($_, 'lease') for $osaka, $tokyo;
	is_guarded($time);
	unlike($r->events('tokyo'), qr/server_stopped|watchdog_stopped_server/,
		"$time: nobody stopped it");
	fence($_, 'none') for $osaka, $tokyo;
	is_free();
}

# ---- in maintenance ----

$tokyo->pgkura_ok('maintenance begins', 'maintenance', 'main', 'on');
fence($_, 'lease') for $osaka, $tokyo;
$r->wait_for('a lease in maintenance', sub { $r->now('tokyo', 'lease_free') });
$tokyo->pgkura_ok('maintenance ends', 'maintenance', 'main', 'off');
is_guarded('in maintenance');

# ---- while nobody gives a lease: it goes on, and nobody takes it for proved ----

fence($_, 'none') for $osaka, $tokyo;
is_free();
$r->sites->stop($_) for qw(osaka nagoya);
$r->wait_for('the last lease is over', sub {
	my $now = $r->role('tokyo')->{now};

	return $now && !defined $now->{lease_left_us};
});
fence($tokyo, 'lease');
$r->wait_for('it is waived', sub {
	says('fence') eq 'lease'
		&& says('fence_unproved') eq 'this site has no lease yet';
});
ok(!$r->now('tokyo', 'fence_proved'), 'alone: the fence is not proved');
sleep 10; # longer than a lease: nothing may come of it
is($server->running, $pid, 'alone: it is the same server');
$r->sites->start_daemon($_) for qw(osaka nagoya);
is_guarded('the others are back');

# ---- a server that does not run ----

fence($tokyo, 'none');
is_free();
$r->sites->stop($_) for qw(osaka nagoya);
$server->stop;
$r->wait_for('it is seen to be gone',
	sub { !$r->now('tokyo', 'writable') });
fence($tokyo, 'lease');
$r->wait_for('the record has the lease',
	sub { says('fence') eq 'lease' });
$tokyo->pgkura_fails('it may not start without a lease', 1, qr/lease/,
	'may-start', 'main');

done_testing();
