#!/usr/bin/perl
# switchback_after: after a failover the role comes home by itself, when home has been
# ready for so long, with all that was written meanwhile; not after a switchover that
# somebody ordered, not in maintenance, and not where nobody has set it.  PG6.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major,
	peer => { beat_interval => '500ms', beat_misses => 10 });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

# From now on at tokyo; undef: not any more.
sub switchback_after
{
	my ($after) = @_;
	my %main = %{ $tokyo->{clusters}{main} };

	$main{switchback_after} = $after;
	delete $main{switchback_after} if !defined $after;
	$tokyo->cluster('main', %main);
	return $tokyo->pgkura_ok('switchback_after is ' . ($after // 'not set'),
		'reload');
}

sub left { return $r->now($_[0], 'switchback_left_us'); }

sub wait_ready
{
	$r->wait_for('a switchover that could begin', sub {
		return ($r->now('tokyo', 'obstacle') // 'none yet') eq '';
	}, 120);
	return;
}

switchback_after('6s');
$r->insert($r->primary) for 1 .. 3;
$r->wait_there;

# ---- what somebody ordered stays ----

$tokyo->pgkura_ok('a switchover', 'switchover', 'main', '--to=osaka', '--yes')
    or diag($r->events('tokyo'), $r->events('osaka'));
wait_ready();
is(left('tokyo'), undef, 'PG6: a switchover that was ordered is not undone');
$tokyo->pgkura_ok('home by an order', 'switchover', 'main', '--to=tokyo', '--yes');
$r->wait_server('tokyo');
$r->wait_promotable('osaka');

# ---- a failover ----

switchback_after(undef);
$r->lose('tokyo');
$r->wait_state('osaka', 'peer silent');
$osaka->pgkura_ok('a failover', 'failover', 'main', '--allow-data-loss=all', '--yes')
    or diag($r->events('osaka'));
$r->wait_server('osaka');
$r->insert($r->standby) for 1 .. 4;
$osaka->pgkura('maintenance', 'main', 'on'); # nobody is there to hear of it
$r->sites->start_daemon('tokyo');
$r->sites->wait_link('tokyo', 'osaka');
$r->wait_role('tokyo', 'standby');
$tokyo->pgkura_ok('a failback', 'failback', 'main', '--give-way', '--yes');
$r->wait_promotable('tokyo');
wait_ready();
is(left('tokyo'), undef, 'PG6: in maintenance the role stays');
is($r->role('osaka')->{role}, 'primary', 'PG6: ... at the other site');
my $n = $r->{n};
$osaka->pgkura_ok('maintenance ends', 'maintenance', 'main', 'off');
$r->wait_state('tokyo', 'normal');
wait_ready();
unlike($r->events('tokyo'), qr/ switchback: /,
	'PG6: nor does it come home where nobody has set it');
switchback_after('6s');
$r->wait_for('the count', sub { defined left('tokyo') });
like(($tokyo->pgkura('role', 'main'))[1], qr/comes home in/, 'PG6: it says when');
is(left('osaka'), undef, 'only this site counts');
$r->insert($r->standby);
$r->wait_with_one_writer('PG6: the role comes home by itself',
	sub { $r->writes('tokyo') });
$r->told('tokyo', qr/ switchback: /, 'an event says so');
$r->told('osaka', qr/switchover_given/, 'it was a switchover');
is($r->rows($r->primary), "$r->{n} of $r->{n}",
	'PG6: with what was written at the other site');
cmp_ok($r->{n}, '>', $n, '(there was some)');
$r->wait_promotable('osaka');
$r->one_writer('at home');
done_testing();
