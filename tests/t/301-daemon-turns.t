#!/usr/bin/perl
# Jobs of many clusters take turns.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use IO::Socket::INET;
use Kura;
use Kura::Daemon;
use Test::More;

# A server that takes connections and says nothing: backups wait for it.
my $deaf = IO::Socket::INET->new(
	LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 64)
    or die "no socket: $!";
my $conninfo = 'host=127.0.0.1 user=x connect_timeout=100 port=' . $deaf->sockport;

my %clusters = map {
	("c$_" => { conninfo => $conninfo, receive => 'no',
			backup_schedule => 'every 1h' })
} 1 .. 9;
my $d = Kura::Daemon->new(site => { parallel_jobs => 3 },
	clusters => \%clusters);
$d->init_repository;
$d->start;

sub running
{
	my ($job) = @_;

	return scalar grep { $_->{duty} eq $job && $_->{state} eq 'running' }
	    @{ $d->status->{duties} };
}

ok(Kura::wait_until(sub { running('backup') == 3 }, 20),
	'three backups of nine begin');
my @first = grep { $_->{duty} eq 'backup' } @{ $d->status->{duties} };
kill('KILL', $first[0]{pid});
ok(Kura::wait_until(sub {
	my @now = grep { $_->{duty} eq 'backup' } @{ $d->status->{duties} };
	return @now == 3 && !grep { $_->{cluster} eq $first[0]{cluster} } @now;
}, 20), 'when one has failed, another cluster has its turn');
is(scalar($d->events('backup_failed')) + 0, 0, 'it could not say why');
my ($failed) = grep { $_->{name} eq $first[0]{cluster} }
    @{ $d->status->{clusters} };
is($failed->{jobs}{backup}{error}, 'it ended without a word', 'status says so');
ok($d->ask('run', job => 'verify', cluster => 'c1')->{ok},
	'a verification does not wait for backups');
ok($d->wait_event('verify_done'), 'and ends');
is($d->stop, 0, 'all of them stop');
is_deeply([$d->processes], [], 'nothing is left');

done_testing();
