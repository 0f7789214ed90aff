#!/usr/bin/perl
# PA3: sites whose configurations do not fit together do not mix anything: another
# cluster by the same name, another site by the same name, another key.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my %server = map {
	$_ => Kura::Cluster->new(major => $major, name => $_,
		conf => { max_slot_wal_keep_size => '1GB' })->start
} qw(tokyo osaka);
my $sites = Kura::Sites->new(
	peer => { beat_interval => '500ms', beat_misses => 6 });
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);

# Both have a cluster "main", and they are two.
$tokyo->cluster('main', conninfo => $server{tokyo}->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka');
$osaka->cluster('main', conninfo => $server{osaka}->conninfo,
	fast_checkpoint => 'yes', accept_from => 'tokyo');
$sites->start;
my $own = $osaka->json('backup')->{backup};
my ($lineage) = map { $_->{lineage} } $osaka->json('list', 'main');
$tokyo->json('backup');
$sites->wait_link('tokyo', 'osaka');

sub ship { return (($sites->link('tokyo', 'osaka') // {})->{ships} // [])->[0] // {} }

# A session that began before osaka had anything is begun again.
$sites->stop('osaka');
$sites->start_daemon('osaka');
ok(Kura::wait_until(sub {
	return (ship()->{why} // '') =~ /is not the one here: its system identifier is \d+, here it is \d+/;
}, 90), 'PA3: another cluster by the same name is refused on connect')
    or diag(JSON::PP::encode_json(ship()), $sites->daemon('osaka')->err);
is(ship()->{state}, 'refused', 'PA3: nothing of it goes');
ok(Kura::wait_until(sub {
	return ($tokyo->pgkura('status'))[1] =~ /^alarm replication_refused: .*is not the one here/m;
}), 'PA3: the sending site has an alarm that says why');
ok(Kura::wait_until(sub {
	return $sites->daemon('osaka')->err =~ /accept_refused: .*is not the one here/;
}), 'PA3: the other one an event') or diag($sites->daemon('osaka')->err);
$server{tokyo}->psql('CREATE TABLE t AS SELECT 1 AS a');
my $list = $osaka->json('list', 'main');
is("$list->{lineage} $list->{backups}[0]{backup}", "$lineage $own",
	'PA3: what the site has of its own is as it was');

# With a name of its own it is taken.
$tokyo->cluster('east', conninfo => $server{tokyo}->conninfo,
	slot => 'east', fast_checkpoint => 'yes', replicate_to => 'osaka');
delete $tokyo->{clusters}{main};
$tokyo->write_conf;
$osaka->cluster('east', accept_from => 'tokyo');
$_->pgkura_ok('with another name', 'reload') for $osaka, $tokyo;
$tokyo->json('backup');
ok($sites->wait_committed('east', 'tokyo', 'osaka',
		$server{tokyo}->psql('SELECT pg_current_wal_flush_lsn()'), 120),
	'PA3: it is taken') or diag($sites->daemon('osaka')->err);

# ---- a site that is not the one that was paired ----

my $key = $osaka->state . '/link.key';

$sites->stop('osaka');
rename($key, "$key.aside") or die "no key to move: $!";
$sites->start_daemon('osaka');
ok(Kura::wait_until(sub {
	return $sites->daemon('tokyo')->err =~ /link_refused|link_unreachable: .*key/;
}, 90), 'PA3: a site with another key is refused')
    or diag($sites->daemon('tokyo')->err);
ok(Kura::wait_until(sub { return !($sites->link('tokyo', 'osaka') // {})->{up} }),
	'PA3: nothing passes');
$sites->stop('osaka');
unlink($key);
rename("$key.aside", $key) or die "no key to put back: $!";
$sites->start_daemon('osaka');
$sites->wait_link('tokyo', 'osaka');
ok(1, 'PA3: with its own it is heard again');
$sites->stop($_) for qw(tokyo osaka);
done_testing();
