#!/usr/bin/perl
# Two sites that reach each other by IPv6, over two paths of which one is IPv4.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use IO::Socket::IP;
use Kura;
use Kura::Sites;

my ($major) = Kura::servers();
plan skip_all => 'no PostgreSQL here' if !defined $major;
plan skip_all => 'no IPv6 here'
    if !IO::Socket::IP->new(LocalHost => '::1', LocalPort => 0, Listen => 1);

my $primary = Kura::Cluster->new(major => $major, name => 'main',
	conf => { max_slot_wal_keep_size => '1GB' })->start;
my $sites = Kura::Sites->new(
	peer => { beat_interval => '500ms', beat_misses => 6 });
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
my $port = $sites->{port}{tokyo};
$tokyo->site(listen => "127.0.0.1:$port, [::1]:$port");
delete $tokyo->{peers}{osaka}{address}; # osaka dials
$osaka->peer('tokyo', %{ $osaka->{peers}{tokyo} },
	address => "[::1]:$port, 127.0.0.1:$port");
$tokyo->cluster('main', conninfo => $primary->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka');
$osaka->cluster('main', accept_from => 'tokyo');
$sites->start;
$sites->wait_link('tokyo', 'osaka');
ok(Kura::wait_until(sub {
	my @up = grep { $_->{up} } @{ ($sites->link('osaka', 'tokyo') // {})->{paths} // [] };
	return @up == 2 && grep { $_->{remote} eq "[::1]:$port" } @up;
}), 'two paths are up, one of them IPv6')
    or diag(JSON::PP::encode_json($sites->link('osaka', 'tokyo') // {}));
$primary->psql('CREATE TABLE t AS SELECT generate_series(1, 100000) a');
ok($sites->wait_committed('main', 'tokyo', 'osaka',
		$primary->psql('SELECT pg_current_wal_flush_lsn()'), 60), 'WAL crosses');

$osaka->peer('tokyo', %{ $osaka->{peers}{tokyo} }, address => "[::1]:$port");
$osaka->pgkura_ok('IPv6 alone', 'reload');
ok(Kura::wait_until(sub {
	my @paths = @{ ($sites->link('osaka', 'tokyo') // {})->{paths} // [] };
	return @paths == 1 && $paths[0]{up} && $paths[0]{remote} eq "[::1]:$port";
}), 'one path, of IPv6');
$primary->psql('INSERT INTO t SELECT generate_series(1, 100000)');
ok($sites->wait_committed('main', 'tokyo', 'osaka',
		$primary->psql('SELECT pg_current_wal_flush_lsn()'), 60), 'WAL crosses it');
$sites->stop($_) for qw(tokyo osaka);
done_testing();
