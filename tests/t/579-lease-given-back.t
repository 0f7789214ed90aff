#!/usr/bin/perl
# A lease that is given back binds nobody: a switchover, and a live drill, under a
# lease that would run for minutes do not wait for its end; also when pgkurad is
# killed in the middle of one, the server runs again afterwards.  RK9.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major, witness => 1,
	conf => { track_commit_timestamp => 'on' },
	peer => { beat_interval => '500ms', beat_misses => 10 },
	cluster => { failover => 'automatic', fence => 'lease', lease => '150s',
		failover_backoff => '0s' });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

# When the lease of a site ends, by the clock of this machine.
sub lease_end
{
	my ($site) = @_;

	$r->wait_lease($site);
	return time() + $r->now($site, 'lease_left_us') / 1e6;
}

sub wait_ready
{
	$r->wait_for('a switchover that could begin', sub {
		return !grep {
			($_->pgkura('drill', 'main', '--live', '--dry-run'))[0] != 0
		} $tokyo, $osaka;
	}, 120);
	return;
}

# The other site has a lease while the one that was given back would still run.
sub is_given_back
{
	my ($end, $to) = @_;

	lease_end($to);
	return cmp_ok(time(), '<', $end,
		"$to has a lease before the other one's would have ended");
}

$r->wait_role('nagoya', 'witness');
$r->insert($r->primary) for 1 .. 3;
wait_ready();

# ---- a switchover ----

my $end = lease_end('tokyo');
$tokyo->pgkura_ok('a switchover', 'switchover', 'main', '--to=osaka', '--yes')
    or diag($r->events('tokyo'), $r->events('osaka'));
is_given_back($end, 'osaka');
$r->one_writer('there');
is($r->rows($r->standby), "$r->{n} of $r->{n}", 'nothing is lost');
wait_ready();

# ---- a live drill ----

$end = lease_end('osaka');
my ($status, $out, $err);
# The link is made anew when a promotion's settings come into effect.
$r->wait_for('a live drill that begins', sub {
	($status, $out, $err) = $osaka->pgkura('drill', 'main', '--live', '--yes',
		'--hold=1s', '--json');
	return $err !~ /could not begin/;
});
is($status, 0, 'a live drill') or diag($out, $err, $r->events('tokyo'),
	$r->events('osaka'));
my $d = JSON::PP::decode_json($out)->{drill};
is("$d->{result} $d->{primary_at}", 'passed osaka', 'goes there and back');
is(scalar(grep { $_->{nothing_lost} } @{ $d->{directions} }), 2,
	'and loses nothing');
cmp_ok(time(), '<', $end, 'within one lease');
$r->one_writer('after the drill');
wait_ready();

# ---- pgkurad is killed when it has just won its lease ----

my $pid = $r->standby->running;
$r->sites->kill9('osaka');
$r->sites->start_daemon('osaka');
lease_end('osaka');
is($r->standby->running, $pid, 'the next process knows of a lease just won');

# ---- pgkurad of the giver is killed on the way ----

sub stops { return scalar(() = $r->events('osaka') =~ /switchover_stopped/g); }

wait_ready();
my $stops = stops();
my $p = Kura::spawn($osaka->words('switchover', 'main', '--to=tokyo', '--yes'));
$r->wait_for('the stop of the server', sub { stops() > $stops });
$r->sites->kill9('osaka');
$r->one_writer('killed on the way');
$r->sites->start_daemon('osaka');
# Before the line it is aborted; behind it tokyo waits, as nobody can give back what a
# process that is dead has asked for.
$r->wait_with_one_writer('it is brought to its end, or back to its beginning',
	sub { $r->writes('tokyo') || $r->writes('osaka') }, 400);
$p->kill('KILL');
$p->wait(30);
my ($writer) = grep { $r->writes($_) } qw(tokyo osaka);
my $server = $writer eq 'tokyo' ? $r->primary : $r->standby;
is($r->rows($server), "$r->{n} of $r->{n}", "$writer has all rows");
done_testing();
