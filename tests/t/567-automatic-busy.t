#!/usr/bin/perl
# Automatic failover with no hold, as for two sites in one building: not for a busy
# machine, but at once when the primary's site is lost; detected within heartbeat
# interval x misses, as configured and logged.
# HH3, PA10, PB1, PB5, PG4.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major, witness => 1,
	peer => { beat_interval => '500ms', beat_misses => 10 },
	cluster => { failover => 'automatic', fence => 'lease', hold => '0s',
		lease => '12s' });

$r->wait_role('nagoya', 'witness');
$r->wait_lease('tokyo');
$r->wait_proof;

# ---- PB1: all processors are busy ----

my $term = $r->role('tokyo')->{held};
my @busy = map { Kura::spawn('perl', '-e', '1 while 1') } 1 .. 4;
my $until = time + 10;

while (time < $until) {
	$r->insert($r->primary);
	select(undef, undef, undef, 0.2);
}
$_->kill('KILL') for @busy;
is($r->role('tokyo')->{role}, 'primary', 'PB1: the primary of a busy machine');
is($r->role('tokyo')->{held}, $term, 'PB1: ... goes on under its term');
is($r->role('osaka')->{role}, 'standby', 'PB1: ... and its standby');
unlike($r->events('osaka'), qr/ (?:taking|promotion_begins):/,
	'PB1: no failover');
is($r->rows($r->primary), "$r->{n} of $r->{n}", 'PB1: no row is refused');
$r->wait_there;

# ---- its site is lost ----

my $rows = $r->{n};

$r->lose('tokyo');
$r->wait_with_one_writer('HH3, PA10: the standby takes over',
	sub { $r->writes('osaka') });
is($r->rows($r->standby), "$rows of $rows",
	'PA10: with all that was reported durable there');
$r->insert($r->standby);
is($r->rows($r->standby), "$r->{n} of $r->{n}", 'PA10: and takes writes');
$r->told('osaka', qr/peer_silent:[^\n]*\ detection=5s\b/,
	'PG4, PB5: found within interval x misses: 0.5 s x 10');
$r->told('osaka', qr/hold_begins:[^\n]*\ left=0/, 'HH3: there is no hold');
$r->told('osaka', qr/peer_silent:.*hold_begins:.*taking:.*promotion_done:/s,
	'HH3: silence, two votes, promotion');
is((grep { $_->{role} eq 'primary' } @{ $r->role('osaka')->{history} })[-1]{reason},
	'automatic failover', 'HH3: nobody ordered it');
$r->sites->stop($_) for qw(osaka nagoya);
done_testing();
