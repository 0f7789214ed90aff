#!/usr/bin/perl
# Two servers have written one timeline, each its own WAL: what one site has is not gone
# on with by the other's, though records follow each other at the seam.  PA23.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $server = Kura::Cluster->new(major => $major,
	conf => { max_slot_wal_keep_size => '1GB', autovacuum => 'off' })->start;
my $sites = Kura::Sites->new(names => [qw(tokyo osaka)]);
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);

$tokyo->cluster('main', conninfo => $server->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka');
$osaka->cluster('main', accept_from => 'tokyo');
$sites->start;
$sites->wait_link('tokyo', 'osaka');
$server->psql('CREATE TABLE t (a int)');

sub flushed { return $server->psql('SELECT pg_current_wal_flush_lsn()'); }

$tokyo->pgkura_ok('a backup', 'backup', 'main');
$server->psql('INSERT INTO t SELECT 1');
ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed()), 'WAL goes over');
$sites->stop('osaka');

# ---- a copy of the server goes on by itself, and osaka has its WAL ----

$server->stop;
my $copy = Kura::tempdir() . '/data';
Kura::run('cp', '-a', $server->pgdata, $copy);
my $other = $tokyo->restored(of => $server, to => $copy)->start;
$other->psql('INSERT INTO t SELECT i FROM generate_series(100, 120) AS i');
my ($end, $segment) = split /\|/, $other->psql('SELECT pg_current_wal_flush_lsn(),'
	. ' pg_walfile_name(pg_current_wal_flush_lsn())');
$other->stop('immediate');
my $at = hex((split m{/}, $end)[1]) % (16 << 20);
my ($open) = glob($osaka->repo . "/main/*/wal/open/$segment");
ok(defined $open, 'both are in one segment') or diag($segment);
my $there = substr(Kura::slurp($other->pgdata . "/pg_wal/$segment"), 0, $at);
Kura::write_file($open, $there);

# ---- the first one goes on ----

$server->start;
$server->psql('INSERT INTO t SELECT i FROM generate_series(200, 260) AS i');
$server->psql('INSERT INTO t SELECT 1');
$sites->start_daemon('osaka');
$sites->wait_link('tokyo', 'osaka');
ok(Kura::wait_until(sub {
	return $sites->daemon('tokyo')->err =~ /timeline 1 is not the same at site "osaka"/;
}), 'tokyo says so') or diag($sites->daemon('tokyo')->err, $sites->daemon('osaka')->err);
like($sites->daemon('tokyo')->err, qr/Two servers have written one timeline/,
	'with the next step');
ok(Kura::wait_until(sub {
	my ($status, $out) = $tokyo->pgkura('status');
	return $status != 0 && $out =~ /is not the same at site/;
}, 30), 'so does status') or diag(($tokyo->pgkura('status'))[1]);
ok(Kura::slurp($open) eq $there, 'nothing is added to what is there');

# ---- the way out: what osaka has is kept aside ----

$sites->stop('osaka');
rename($osaka->repo, $osaka->repo . '.aside');
$osaka->pgkura_ok('a new repository', 'init');
$sites->start_daemon('osaka');
ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed()),
	'to which all comes anew')
    or diag($sites->daemon('tokyo')->err, $sites->daemon('osaka')->err);
$osaka->pgkura_ok('it is sound', 'verify', 'main');

# ---- the same, where one segment ends and the next begins ----

$sites->stop('osaka');
$server->stop;
my $second = Kura::tempdir() . '/data';
Kura::run('cp', '-a', $server->pgdata, $second);
$other = $tokyo->restored(of => $server, to => $second)->start;

# A segment that both end at one point, where the next record is the same again.
sub end_segment
{
	my ($of, $value) = @_;
	my $name = $of->psql('SELECT pg_walfile_name(pg_current_wal_flush_lsn())');

	$of->psql("INSERT INTO t SELECT $value");
	$of->psql('SELECT pg_switch_wal()');
	return $name;
}

$segment = end_segment($other, 100);
$other->stop('immediate');
$there = Kura::slurp($other->pgdata . "/pg_wal/$segment");
$server->start;
is(end_segment($server, 200), $segment, 'both end the same segment');
$server->psql('INSERT INTO t SELECT 1');
Kura::write_file($osaka->repo . "/$_", $there)
    for map { s{.*?/repo/}{}r . "/$segment" }
    glob($osaka->repo . '/main/*/wal/open');
my $had = length $sites->daemon('tokyo')->err;
$sites->start_daemon('osaka');
$sites->wait_link('tokyo', 'osaka');
ok(Kura::wait_until(sub {
	return substr($sites->daemon('tokyo')->err, $had)
	    =~ /timeline 1 is not the same at site "osaka"/;
}), 'at the border of two segments it is seen, too')
    or diag(substr($sites->daemon('tokyo')->err, $had), $sites->daemon('osaka')->err);
is(join(' ', map { m{([^/]+)$} && $1 gt $segment ? $1 : () }
	glob($osaka->repo . '/main/*/wal/open/0*')), '',
	'nothing of the next segment is taken');
done_testing();
