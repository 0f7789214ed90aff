#!/usr/bin/perl
# Two sites on loopback: what one has, the other gets: a backup with all that it
# needs, and WAL up to the last byte; from which it restores.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $primary = Kura::Cluster->new(major => $major, name => 'main',
	init => { checksums => 1 },
	conf => { max_slot_wal_keep_size => '1GB' })->start;
$primary->psql('CREATE TABLE t AS SELECT g AS a, md5(g::text) AS b'
	. ' FROM generate_series(1, 50000) g');
my $sites = Kura::Sites->new(names => [qw(tokyo osaka)]);
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
$tokyo->cluster('main', conninfo => $primary->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka');
$osaka->cluster('main', accept_from => 'tokyo');
$sites->start;
$sites->wait_link('tokyo', 'osaka');
ok(1, 'two sites, paired, are linked');

# ---- a backup ----

my $first = $tokyo->json('backup')->{backup};
my $there = sub {
	my ($id) = @_;

	return Kura::wait_until(sub {
		my ($status, $out) = $osaka->pgkura('list', '--json');
		return $status == 0 && $out =~ /\Q$id\E/;
	}, 120);
};
ok($there->($first), 'the first backup comes to the other site')
    or diag($sites->daemon('tokyo')->err, $sites->daemon('osaka')->err);
$osaka->pgkura_ok('which verifies it by itself', 'verify');

# ---- WAL, up to the last byte ----

$primary->psql('CREATE TABLE later AS SELECT 42 AS answer');
my $lsn = $primary->psql('SELECT pg_current_wal_flush_lsn()');
ok($sites->wait_committed('main', 'tokyo', 'osaka', $lsn),
	'WAL is durable there, of the open segment too')
    or diag(JSON::PP::encode_json($sites->link('tokyo', 'osaka')));
my $copy = $osaka->dir . '/copy';
$osaka->pgkura_ok('the other site restores', 'restore', "--to=$copy");
my $restored = $osaka->restored(of => $primary, to => $copy)->start;
$restored->wait_for('SELECT NOT pg_is_in_recovery()');
is($restored->psql('SELECT answer FROM later'), '42', 'what was written last');
is($restored->psql('SELECT count(*), md5(string_agg(b, \'\' ORDER BY a)) FROM t'),
	$primary->psql('SELECT count(*), md5(string_agg(b, \'\' ORDER BY a)) FROM t'),
	'and all before it');
$restored->stop;

# ---- a second backup: only what is new crosses ----

my $object_bytes = sub {
	return $sites->link('tokyo', 'osaka')->{ships}[0]{object_bytes};
};
my $before = $object_bytes->();
$primary->psql('UPDATE t SET b = \'x\' WHERE a < 100');
my $second = $tokyo->json('backup');
ok($there->($second->{backup}), 'the second one too');
Kura::wait_until(sub { return $object_bytes->() > $before }, 10);
my $sent = $object_bytes->() - $before;
cmp_ok($sent, '<', 3 * $second->{stored_bytes} + 1_000_000,
	'of which only what is new has crossed');
note("$sent bytes crossed, $second->{stored_bytes} were stored");

# ---- the other site is killed, and its daemon comes again ----

$sites->kill9('osaka');
$primary->psql('INSERT INTO later VALUES (43)');
$primary->psql('SELECT pg_switch_wal()');
$primary->psql('INSERT INTO later VALUES (44)');
$lsn = $primary->psql('SELECT pg_current_wal_flush_lsn()');
$sites->start_daemon('osaka');
ok($sites->wait_committed('main', 'tokyo', 'osaka', $lsn, 90),
	'after kill -9 of the other site it goes on by itself')
    or diag($sites->daemon('tokyo')->err, $sites->daemon('osaka')->err);
my $gaps = $osaka->json('wal', 'gaps');
is(scalar @{ $gaps->{gaps} }, 0, 'without a gap');
$sites->kill9('tokyo');
$primary->psql('INSERT INTO later VALUES (45)');
$lsn = $primary->psql('SELECT pg_current_wal_flush_lsn()');
$sites->start_daemon('tokyo');
ok($sites->wait_committed('main', 'tokyo', 'osaka', $lsn, 90),
	'and after kill -9 of the source');
$osaka->pgkura_ok('all that is there is sound', 'verify');
$sites->stop($_) for qw(tokyo osaka);
done_testing();
