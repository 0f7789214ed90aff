#!/usr/bin/perl
# restore_command: whole segments, histories, the tail; what is absent is told
# from what is missing; segments are read ahead; recovery with it.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Fcntl qw(:flock);
use Test::More;
use Time::HiRes qw(sleep time);
use Kura;
use Kura::Site;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my $client = Kura::program('pgkura-wal');
my $major = (Kura::servers())[-1];
my $mb = 1 << 20;

my $primary = Kura::Cluster->new(major => $major,
	init => { wal_segsize => 1 }, conf => { wal_level => 'replica',
		max_slot_wal_keep_size => '1GB', wal_keep_size => '1GB',
		autovacuum => 'off' })->start; # nothing writes but us
my $site = Kura::Site->new;
$site->cluster('main', conninfo => $primary->conninfo);
$site->pgkura_ok('a repository', 'init');
$primary->psql('CREATE TABLE t (a int, b text)');
my $copy = Kura::tempdir() . '/copy';
my $receiver = $site->receive('main');
$primary->wait_for('SELECT count(*) = 1 FROM pg_replication_slots WHERE active');
$primary->copy_to($copy);
$primary->psql("INSERT INTO t SELECT i, repeat(md5(i::text), 10)
	FROM generate_series(1, 80000) i");
# The open segment has its beginning only.
$primary->switch_wal;
$primary->psql("INSERT INTO t VALUES (0, 'the open one')");
my $lsn = $primary->lsn;
$site->wait_wal('main', $lsn);

my $folder = Kura::tempdir();
my $to = "$folder/RECOVERYXLOG";

# pgkura-wal get, as the server does it: the exit status.  The folder is new
# for each but those that read ahead.
sub get
{
	my ($name, @options) = @_;

	unlink($to);
	my ($status, $out, $err) = Kura::run({ cwd => '/' },
		Kura::as_user($client, 'get', '--config=' . $site->conf,
			'--cluster=main', @options, $name, $to));
	diag("status $status: $out$err") if $status != 0 && $ENV{PGKURA_KEEP};
	return $status;
}

sub name
{
	my ($segment, $timeline) = @_;

	return sprintf('%08X%08X%08X', $timeline // 1, $segment >> 12,
		$segment & 0xfff);
}

my $last = int(Kura::Site::lsn_number($lsn) / $mb); # is open
my $first = $last - 27;
my @none = ('--ahead=0');

subtest 'what is there' => sub {
	is(get(name($last - 3), @none), 0, 'a whole segment');
	ok(Kura::slurp($to) eq Kura::slurp($primary->pgdata . '/pg_wal/'
		    . name($last - 3)), 'is the one of the server');
	is(get(name($last), @none), 0, 'the open one');
	my $tail = Kura::slurp($to);
	my $end = Kura::Site::lsn_number($lsn) % $mb;
	is(length($tail), $mb, 'has the length of a segment');
	ok(substr($tail, 0, $end) eq substr(Kura::slurp($primary->pgdata
		    . '/pg_wal/' . name($last)), 0, $end),
		'holds what was received');
	like(substr($tail, -8192), qr/^\0+$/, 'and zeros behind');
	is(get(name($last - 3), '--standby', @none), 0, 'for a standby too');
	ok(!-e "$folder/pgkura.ahead", 'nothing is read ahead unless asked for');
};

subtest 'without us' => sub {
	my ($zstd) = grep { -x } map { "$_/zstd" } split /:/, $ENV{PATH};
	plan skip_all => 'no zstd here' if !defined $zstd;
	my $name = name($last - 3);
	my ($path) = glob($site->repo . "/main/*-1/wal/*/*/$name");
	Kura::run('sh', '-c', "'$zstd' -qdc <'$path' >'$folder/plain'");
	ok(Kura::slurp("$folder/plain") eq Kura::slurp($primary->pgdata
		    . "/pg_wal/$name"), 'zstd makes the plain segment');
};

subtest 'what is absent' => sub {
	is(get(name($last + 1), @none), 1, 'the segment behind the open one');
	is(get(name($last + 100), @none), 1, 'and a later one');
	is(get('00000002.history', @none), 1, 'a history');
	is(get('00000001.history', @none), 1, 'the first history');
	is(get(name($last - 3) . '.00000028.backup', @none), 1, 'a label');
	is(get(name($last, 2), @none), 1, 'a timeline that never was');
	ok(!-e $to, 'no file is made');
};

subtest 'what cannot be told' => sub {
	my $began = time;
	my ($path) = glob($site->repo . '/main/*-1/wal/00000001/00000000/'
		. name($last - 2));
	rename($path, "$folder/hidden") or die "rename: $!";
	cmp_ok(get(name($last - 2), '--wait=1', @none), '>', 125, 'a hole');
	cmp_ok(time - $began, '>=', 1, 'it is waited for');
	is(get(name($last - 2), '--wait=1', '--standby', @none), 1,
		'a standby is told "not now"');
	my $getter = Kura::spawn(Kura::as_user($client, 'get', '--config='
		    . $site->conf, '--wait=60', @none, name($last - 2), $to));
	sleep(0.5);
	rename("$folder/hidden", $path) or die "rename: $!";
	is($getter->wait(20), 0, 'when it fills, recovery goes on');

	my $bytes = Kura::slurp($path);
	Kura::write_file("$folder/damaged", substr($bytes, 0, 500)
		    . (substr($bytes, 500, 1) ^ "\x01") . substr($bytes, 501));
	rename($path, "$folder/hidden") or die "rename: $!";
	rename("$folder/damaged", $path) or die "rename: $!";
	Kura::run('chmod', '644', $path);
	cmp_ok(get(name($last - 2), '--wait=1', @none), '>', 125, 'damage');
	rename("$folder/hidden", $path) or die "rename: $!";

	rename($site->repo, $site->repo . '.away') or die "rename: $!";
	cmp_ok(get(name($last - 2), '--wait=1', @none), '>', 125,
		'a repository that is away');
	$getter = Kura::spawn(Kura::as_user($client, 'get', '--config='
		    . $site->conf, '--wait=60', @none, name($last - 2), $to));
	sleep(0.5);
	$getter->kill('TERM');
	is($getter->wait(5), 128 + 15, 'SIGTERM ends the waiting');
	rename($site->repo . '.away', $site->repo) or die "rename: $!";

	cmp_ok(get(name($last - 2), '--cluster=nobody', @none), '>', 125,
		'an unknown cluster');
	cmp_ok(get(name($last - 2), '--config=/nonexistent', @none), '>', 125,
		'no configuration');
	cmp_ok(get(name($last - 2), '--pgkura=/nonexistent', @none), '>', 125,
		'no pgkura');
	cmp_ok(get(name($last - 2), '--nonsense'), '>', 125, 'a wrong option');
	cmp_ok(get('a', 'b'), '>', 125, 'too many words');
};

subtest 'reading ahead' => sub {
	my $ahead = "$folder/pgkura.ahead";
	my $ready = sub { grep { /^[0-9A-F]{24}$/ } map { s{.*/}{}r } glob("$ahead/*") };

	is(get(name($first + 3), '--ahead=3'), 0, 'the first is fetched');
	ok(Kura::wait_until(sub { $ready->() == 3 }, 20),
		'then three are made ready');
	is_deeply([ sort($ready->()) ], [ map { name($first + $_) } 4 .. 6 ],
		'the next ones');
	my $began = time;
	for my $n ($first + 4 .. $first + 8) {
		Kura::wait_until(sub { -e "$ahead/" . name($n) }, 20);
		my $inode = (stat("$ahead/" . name($n)))[1];
		is(get(name($n), '--ahead=3'), 0, "segment $n");
		is((stat($to))[1], $inode, 'is handed over without a copy');
		ok(Kura::slurp($to) eq Kura::slurp($primary->pgdata . '/pg_wal/'
			    . name($n)), 'and is the right one');
	}
	SKIP: {
		my (undef, $type) = Kura::run('stat', '-f', '-c', '%T', $folder);
		skip 'no page cache to look at', 1 if $type !~ /ext|xfs/
		    || !grep { -x "$_/fincore" } split /:/, $ENV{PATH};
		my $in_cache = sub {
			(Kura::run('fincore', '-bnro', 'RES', "$folder/replayed"))[1]
		};
		link($to, "$folder/replayed") or die "link: $!";
		cmp_ok($in_cache->(), '>', 0, 'the last one is in the page cache');
		Kura::wait_until(sub { -e "$ahead/" . name($first + 9) }, 20);
		is(get(name($first + 9), '--ahead=3'), 0, 'when another is taken');
		ok(Kura::wait_until(sub { $in_cache->() == 0 }, 20),
			'it leaves the page cache');
	}
	is(get(name($first + 20), '--ahead=3'), 0, 'another one is fetched');
	ok(Kura::wait_until(sub {
		join(' ', sort($ready->())) eq join(' ', map { name($first + $_) } 21 .. 23);
	}, 20), 'then those behind it are made ready');
	$began = time;
	is(get(name($first + 21), '--ahead=3'), 0, 'one is handed over');
	diag(sprintf('handed over in %.1f ms, sudo and all',
			(time - $began) * 1000));

	# The process dies: what it left is not trusted.
	my ($pid) = grep { (readlink("/proc/$_/fd/0") // '') eq '/dev/null'
		    && (readlink_any($_, "$ahead/lock")) }
	    map { m{/proc/(\d+)$} } glob('/proc/[0-9]*');
	ok($pid, 'a process makes them ready');
	kill('KILL', $pid);
	open(my $lock, '<', "$ahead/lock") or die "open: $!";
	ok(Kura::wait_until(sub { flock($lock, LOCK_SH | LOCK_NB) }, 10),
		'it is killed');
	close($lock);
	Kura::write_file("$ahead/" . name($first + 22), 'stale');
	is(get(name($first + 22), '--ahead=3'), 0, 'it is fetched anew');
	is(-s $to, $mb, 'and what was left is not used');
	ok(Kura::wait_until(sub { $ready->() == 3 }, 20), 'by a new process');
	rename($ahead, "$ahead.gone") or die "rename: $!";
	ok(Kura::wait_until(sub {
		!grep { readlink_any($_, "$ahead.gone/lock") }
		    map { m{/proc/(\d+)$} } glob('/proc/[0-9]*');
	}, 20), 'it ends when its folder is gone');
};

# Does process $pid have this file open?
sub readlink_any
{
	my ($pid, $path) = @_;

	return grep { (readlink($_) // '') eq $path } glob("/proc/$pid/fd/*");
}

subtest 'recovery' => sub {
	$primary->psql('CREATE TABLE done AS SELECT count(*) FROM t');
	$primary->psql('INSERT INTO done VALUES (1)');
	$site->wait_wal('main', $primary->lsn);
	my $get = "'$client' get --ahead=4 --config=" . $site->conf
	    . ' --cluster=main %f %p';
	my $c = Kura::Cluster->adopt(pgdata => $copy, major => $major,
		name => 'recovered', conf => { restore_command => $get });

	Kura::run(Kura::as_user('touch', "$copy/recovery.signal"));
	Kura::run(Kura::as_user('sh', '-c', "rm -f '$copy'/pg_wal/0*"));
	$c->start;
	$c->wait_for('SELECT NOT pg_is_in_recovery()');
	is($c->psql('SELECT count(*) FROM t'), '80001', 'all rows are there');
	is($c->psql('SELECT count(*) FROM done'), '2',
		'up to the last byte that was received');
	$c->stop;
};

done_testing();
