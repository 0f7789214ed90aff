#!/usr/bin/perl
# The primary's site is lost, failover is manual: the standby's site says so, with
# the command to type; what would be lost is shown, and refused unless allowed;
# then it takes writes and has all that was reported durable there.
# HD3 without a witness, PA2.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

# A slow machine is not silent: what is refused while the primary lives would be done.
my $r = Kura::Roles->new(major => $major,
	peer => { beat_interval => '500ms', beat_misses => 10 });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

is($r->role('tokyo')->{held}, $r->now('osaka', 'number'),
	'both sites know the first term');
$tokyo->pgkura_ok('the primary may start', 'may-start', 'main');
$osaka->pgkura_fails('the standby may not', 1, qr/not the primary/,
	'may-start', 'main');
$osaka->pgkura_fails('no failover while the primary lives', 1,
	qr/alive: use switchover.*pgkura switchover main/s,
	'failover', 'main', '--allow-data-loss=all', '--yes');
ok(!$r->writes('osaka'), 'and nothing was promoted');
$tokyo->pgkura_fails('none at the primary', 1, qr/only a standby/,
	'failover', 'main', '--yes');
for my $word (qw(create start stop drop)) {
	$tokyo->pgkura_fails("the primary is no standby to $word", 1,
		qr/this site is the primary/, 'standby', $word, 'main',
		$word eq 'drop' ? '--yes' : ());
}
ok($r->writes('tokyo'), 'and goes on');

# ---- the site is lost ----

$r->insert($r->primary) for 1 .. 20;
$r->wait_there;
$r->lose('tokyo');
$r->wait_state('osaka', 'peer silent');
ok(!$r->writes('osaka'), 'failover is manual: nothing happens by itself');
my $now = $r->role('osaka')->{now};
like($now->{command}, qr/^pgkura failover main --allow-data-loss \d+s$/,
	'but the command is prepared');
$osaka->pgkura_fails('it is not done without a word', 2, qr/confirmed/,
	'failover', 'main');
$osaka->pgkura_fails('what would be lost is not lost unasked', 1,
	qr/more would be lost than is allowed/, 'failover', 'main', '--yes');
ok(!$r->writes('osaka'), 'and still nothing was promoted');

my @words = split ' ', $now->{command};
shift @words;
my $out = $osaka->pgkura_ok('the command as prepared', @words, '--yes');
like($out, qr/would lose at most/, 'shows what would be lost');
$r->wait_server('osaka');
is($r->rows($r->standby), '20 of 20', 'all that was reported durable is there');
$r->insert($r->standby);
is($r->rows($r->standby), '21 of 21', 'and it takes writes');
my $role = $r->role('osaka');
is($role->{role}, 'primary', 'it is the primary by its record');
is_deeply([map { $_->{role} } @{ $role->{history} }], [qw(standby primary)],
	'and so says the history of its roles');
$osaka->pgkura_ok('its server may start', 'may-start', 'main');
$r->told('osaka', qr/promotion_done/, 'there is an event of it');
$r->told('osaka', qr/ order: failover .*by="?\w+ \(user \d+\) on /,
	'and one of who has ordered it');

# ---- the old primary comes back ----

$r->primary->start;
$r->sites->start_daemon('tokyo');
$r->wait_role('tokyo', 'standby');
$r->wait_for('the end of the old server', sub { !$r->writes('tokyo') });
$r->one_writer('the old primary is back');
$tokyo->pgkura_fails('and it may not start again', 1,
	qr/not the primary|later term/, 'may-start', 'main');
$r->insert($r->standby);
is($r->rows($r->standby), '22 of 22', 'the new one goes on');
$r->sites->stop($_) for qw(tokyo osaka);
done_testing();
