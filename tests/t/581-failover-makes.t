#!/usr/bin/perl
# The primary is lost, and no standby is there: by order one is made from the newest
# backup and promoted, with and without the daemon; never by itself.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

for my $how ('with the daemon', 'without it') {
	subtest $how => sub {
		my $r = Kura::Roles->new(major => $major);
		my $osaka = $r->site('osaka');
		my @words = ('failover', 'main', '--allow-data-loss=all', '--yes');

		$osaka->pgkura_ok('the standby is removed', 'standby', 'drop',
			'main', '--yes');
		$r->wait_for('its loss', sub {
			!($r->role('osaka')->{now}{promotable} // 1);
		});
		$r->insert($r->primary) for 1 .. 5;
		$r->wait_there;
		$r->lose('tokyo');
		$r->wait_state('osaka', 'peer silent');
		if ($how eq 'without it') {
			$r->sites->stop('osaka');
			push @words, '--offline';
		}
		$osaka->pgkura_ok('an order makes it', @words);
		$r->wait_server('osaka');
		is($r->rows($r->standby), '5 of 5', 'with all that was there');
		is($r->role('osaka')->{role}, 'primary', 'it is the primary')
		    if $how eq 'with the daemon';
		$r->sites->stop('osaka') if $how eq 'with the daemon';
	};
}
done_testing();
