#!/usr/bin/perl
# A switchover whose taker is lost right behind the line: nothing takes writes, which
# is an alarm; the operator is told what to type, and that brings the giver back, with
# all that there was.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

# The giver must not find the taker silent before the line.
my $r = Kura::Roles->new(major => $major,
	peer => { beat_interval => '1s', beat_misses => 20 });
my $tokyo = $r->site('tokyo');

$r->insert($r->primary) for 1 .. 3;
$r->wait_there;

# The taker hangs while the giver's server stops.
my ($switchover, $checkpointer) = $r->switchover_hangs;
my $taker = $r->now('osaka', 'pid');
kill('STOP', $taker);
kill('CONT', $checkpointer);
$r->wait_for('the line', sub { ($r->now('tokyo', 'handover') // '') eq 'given' });
$r->lose('osaka');
kill('KILL', $taker);
$switchover->kill('TERM');

$r->wait_for('an alarm', sub {
	grep { $_->{name} eq 'role' && $_->{message} =~ /nothing takes writes/ }
	    @{ $r->status('tokyo')->{alarms} };
});
ok(1, 'nobody who takes writes is an alarm');
$tokyo->pgkura_fails('a failover is refused', 1,
	qr/gave its term to the other one.*HINT: .*--force/s,
	'failover', 'main', '--allow-data-loss=all', '--yes');
$tokyo->pgkura_fails('one by force says what is to be done first', 1,
	qr/not promotable: .*pgkura failback/,
	'failover', 'main', '--allow-data-loss=all', '--force', '--yes');
$tokyo->pgkura_ok('a failback', 'failback', 'main', '--yes');
$tokyo->pgkura_ok('then it goes', 'failover', 'main', '--allow-data-loss=all',
	'--force', '--yes');
$r->wait_server('tokyo');
is($r->rows($r->primary), '3 of 3', 'nothing is lost');
$r->wait_for('the end of the alarm', sub {
	!grep { $_->{name} eq 'role' && $_->{message} =~ /nothing takes writes/ }
	    @{ $r->status('tokyo')->{alarms} };
});
ok(1, 'the alarm is over');
done_testing();
