#!/usr/bin/perl
# The clock of the primary's machine is set back, and forward, by an hour: nobody is
# alarmed by that; and what stands still behind it is seen as soon as ever.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Clock;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;
my $clock = Kura::Clock->new
    or plan skip_all => 'no compiler, or sanitizers';

my $primary = Kura::Cluster->new(major => $major, in => [$clock->in],
	conf => { max_slot_wal_keep_size => '1GB' })->start;
my $sites = Kura::Sites->new(
	peer => { beat_interval => '500ms', beat_misses => 20 });
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);

$tokyo->cluster('main', conninfo => $primary->conninfo, rpo_target => '15s',
	wal_gap_alarm => '15s', fast_checkpoint => 'yes', replicate_to => 'osaka');
$osaka->cluster('main', accept_from => 'tokyo', rpo_target => '15s');
push @{ $tokyo->{in} }, $clock->in;
$sites->start;
$sites->wait_link('tokyo', 'osaka');
$tokyo->pgkura_ok('a backup', 'backup', 'main');
ok($sites->wait_committed('main', 'tokyo', 'osaka', $primary->lsn), 'it crosses');

sub facts
{
	my ($site) = @_;

	return JSON::PP::decode_json(($site->pgkura('status', '--json'))[1]);
}

sub alarms
{
	my ($site) = @_;

	return join ' ', sort map { $_->{name} } @{ facts($site)->{alarms} };
}

# By how many seconds tokyo's clock is said to be ahead, of what osaka has.
sub ahead
{
	my $link = $sites->link('osaka', 'tokyo') // {};
	my $us = ($link->{accepts} // [])->[0]{source_us} // 0;

	return $us / 1e6 - time;
}

sub late
{
	return ((($sites->link('osaka', 'tokyo') // {})->{accepts} // [])->[0]
		// {})->{late_us} // -1;
}

sub is_set
{
	my ($seconds, $how) = @_;
	my %had = map { $_ => length $sites->daemon($_)->err } qw(tokyo osaka);

	$clock->set($seconds);
	ok(Kura::wait_until(sub {
		return abs(ahead() - $seconds) < 600 && late() >= 0
		    && late() < 10e6;
	}), "set $how: what osaka has is known to be young")
	    or diag(ahead(), ' ', late());
	ok(Kura::wait_until(sub {
		return abs($sites->link('osaka', 'tokyo')->{skew_us} / 1e6
			- $seconds) < 60;
	}, 30), "set $how: by how much is measured at once");

	# The watcher has spoken since, twice.
	$primary->psql('CREATE TABLE IF NOT EXISTS t (a int)');
	ok($sites->wait_committed('main', 'tokyo', 'osaka', $primary->lsn),
		"set $how: WAL goes on");
	is(alarms($_), '', "set $how: nobody is alarmed") for $tokyo, $osaka;
	unlike(substr($sites->daemon($_)->err, $had{$_}),
		qr/rpo_exceeded|receiver_lagging|watcher_silent|peer_unreachable/,
		"set $how: nor was for a moment") for qw(tokyo osaka);
	return;
}

sub is_seen
{
	my ($how) = @_;
	my ($receiver) = map { $_->{pid} } grep { $_->{duty} eq 'receive' }
	    @{ facts($tokyo)->{duties} };

	kill('STOP', $receiver);
	ok(Kura::wait_until(sub { return alarms($osaka) =~ /rpo_exceeded/ }),
		"set $how: a receiver that hangs is an alarm at the other site")
	    or diag(explain($sites->link('osaka', 'tokyo')));
	ok(Kura::wait_until(sub { return alarms($tokyo) =~ /receiver_lagging/ }),
		"set $how: and here") or diag(alarms($tokyo));
	kill('CONT', $receiver);
	ok(Kura::wait_until(sub { return alarms($osaka) . alarms($tokyo) eq '' }),
		"set $how: until it goes on")
	    or diag(alarms($osaka), alarms($tokyo));
	return;
}

ok(Kura::wait_until(sub { return alarms($osaka) . alarms($tokyo) eq '' }, 120),
	'all is well') or diag(alarms($osaka), alarms($tokyo));
is_set(-3600, 'back');
is_seen('back');
is_set(3600, 'forward');
done_testing();
