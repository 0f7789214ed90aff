#!/usr/bin/perl
# The primary is silent, and the standby's clock is set: what a failover would lose grows
# as time goes, and rpo_limit judges by that.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Clock;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;
my $clock = Kura::Clock->new
    or plan skip_all => 'no compiler, or sanitizers';
my $r = Kura::Roles->new(major => $major);

$r->insert($r->primary) for 1 .. 3;
$r->wait_there;
$r->sites->stop('osaka');
push @{ $r->site('osaka')->{in} }, $clock->in;
$r->sites->start_daemon('osaka');
$r->wait_promotable('osaka');
$r->isolate('tokyo');
$r->wait_state('osaka', 'peer silent');

sub rpo { return $r->now('osaka', 'rpo_us') // -1; }

for my $set ([-3600, 'back'], [3600, 'forward']) {
	my ($seconds, $how) = @$set;
	my $before = rpo();

	cmp_ok($before, '>=', 0, 'it is known what a failover would lose');
	$clock->set($seconds);
	ok(Kura::wait_until(sub { return rpo() > $before + 2e6 }, 60),
		"a clock set $how: it is more from second to second")
	    or diag("$before ", rpo());
	cmp_ok(rpo(), '<', $before + 1800e6, '... and no more than that');
}
$r->join_again('tokyo');
$r->wait_state('osaka', 'normal');
ok(Kura::wait_until(sub { my $us = rpo(); return $us >= 0 && $us < 10e6 }, 60),
	'when the primary is heard again it is little') or diag(rpo());
done_testing();
