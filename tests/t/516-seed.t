#!/usr/bin/perl
# A repository that was seeded by a carried disk (doc/runbook-seed.md): nothing of
# what it brought crosses again, and the other site restores.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $primary = Kura::Cluster->new(major => $major, name => 'main',
	init => { wal_segsize => 1 },
	conf => { max_slot_wal_keep_size => '1GB' })->start;
$primary->psql('CREATE TABLE t AS SELECT g AS a, md5(g::text) AS b'
	. ' FROM generate_series(1, 50000) g');
my $sites = Kura::Sites->new(names => [qw(tokyo osaka)]);
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
my @main = (conninfo => $primary->conninfo, fast_checkpoint => 'yes');
$tokyo->cluster('main', @main);
$osaka->cluster('main', accept_from => 'tokyo');
$sites->start;
$sites->wait_link('tokyo', 'osaka');

sub flushed { return $primary->psql('SELECT pg_current_wal_flush_lsn()'); }

$tokyo->pgkura_ok('a backup', 'backup');
$primary->psql('UPDATE t SET b = \'x\' WHERE a < 1000');
my $second = $tokyo->json('backup')->{backup};
$tokyo->wait_wal('main', flushed());

# As the runbook says; tar for where there is no rsync.
my $disk = Kura::tempdir();
Kura::run('chmod', '777', $disk);
my $copy = 'set -e; mkdir roots rest; (cd %1$s && tar cf - main/*/backups) |'
    . ' tar xpf - -C roots; (cd %1$s && tar cf - --exclude=backups'
    . ' --exclude=withdrawn --exclude=intents --exclude=wal/open'
    . ' --exclude=wal/known main) | tar xpf - -C rest;'
    . ' cp -a rest/. %2$s; cp -a roots/. %2$s';
my ($status, $out, $err) = Kura::run(Kura::as_user('sh', '-c',
		"cd $disk; " . sprintf($copy, $tokyo->repo, $osaka->repo)));
is($status, 0, 'the disk is filled, carried and unloaded') or diag($out . $err);
my (undef, $seeded) = Kura::run('du', '-sk', $osaka->repo);
my ($seeded_kib) = $seeded =~ /^(\d+)/;

$tokyo->cluster('main', @main, replicate_to => 'osaka');
$tokyo->pgkura_ok('the cluster is to go there now', 'reload');
$primary->psql('CREATE TABLE later AS SELECT 1 AS a');
ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed(), 120),
	'WAL follows') or diag($sites->daemon('tokyo')->err,
	$sites->daemon('osaka')->err);
my $last;
ok(Kura::wait_until(sub {
	($last) = @{ $sites->link('tokyo', 'osaka')->{ships} };
	return ($last->{newest_backup} // '') eq $second && !$last->{backup};
}, 60), 'the source knows that the backups are there');
is($last->{object_bytes}, 0, 'of which nothing has crossed');
cmp_ok($last->{wal_sent_bytes}, '<', 300_000,
	"and of WAL only what is new: $last->{wal_sent_bytes} bytes"
	. " of $seeded_kib KiB");
$osaka->pgkura_ok('all is sound', 'verify');
is(scalar @{ $osaka->json('wal', 'gaps')->{gaps} }, 0, 'without a gap');

my $third = $tokyo->json('backup')->{backup};
ok(Kura::wait_until(sub {
	return ($osaka->pgkura('list', '--json'))[1] =~ /\Q$third\E/;
}, 120), 'the next backup comes by the link');
my $to = $osaka->dir . '/copy';
$osaka->pgkura_ok('the other site restores', 'restore', "--to=$to");
my $restored = $osaka->restored(of => $primary, to => $to)->start;
$restored->wait_for('SELECT NOT pg_is_in_recovery()');
is($restored->psql('SELECT a FROM later'), '1', 'with what was written last');
is($restored->psql('SELECT count(*) FROM t WHERE b = \'x\''), '999', 'and before');
$restored->stop;
$sites->stop($_) for qw(tokyo osaka);
done_testing();
