#!/usr/bin/perl
# Restored servers as operators use them: started and waited for, a copy that
# leaves its cluster alone, configuration outside the data directory, an
# operator's error undone, WAL with a hole.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my $dir = Kura::tempdir();
my $archived = Kura::tempdir();
Kura::run('chmod', '777', $archived);
my $primary = Kura::Cluster->new(name => 'primary', conf => {
		autovacuum => 'off', archive_mode => 'on',
		archive_command => "touch $archived/%f",
		synchronous_standby_names => '' })->start;
my $site = Kura::Site->new;
$site->cluster('main', conninfo => $primary->conninfo, slot => 'none',
	bindir => $primary->bindir);
$site->pgkura_ok('init', 'init');
my $receiver = $site->receive('main');

# What a second server on this machine needs.
my $port = Kura::free_port();
my @elsewhere = ("--set=port=$port", "--set=unix_socket_directories=$dir");
my $conninfo = "host=$dir port=$port user=postgres dbname=postgres";

sub sql
{
	my ($sql) = @_;
	my ($status, $out, $err) =
	    Kura::run(Kura::client('psql'), '-XAtq', '-d', $conninfo, '-c', $sql);

	die "$sql: $err" if $status != 0;
	chomp $out;
	return $out;
}

sub stop
{
	my ($to) = @_;

	Kura::run(Kura::as_user($primary->bindir . '/pg_ctl', '-D', $to, '-w',
			'-m', 'fast', 'stop'));
	return;
}

$primary->psql('CREATE TABLE orders AS SELECT generate_series(1, 1000) n');
$primary->psql('CREATE TABLE t (n int)');
$site->pgkura_ok('backup', 'backup', 'main');

subtest 'BR3: an operator\'s error' => sub {
	$primary->psql('INSERT INTO orders SELECT generate_series(1001, 1200)');
	sleep 2;
	my $before = $primary->psql(
		"SELECT clock_timestamp() - interval '1 second'");
	$primary->psql('DELETE FROM orders WHERE n > 10');
	$primary->psql('CREATE TABLE after_it (n int)');
	$site->wait_wal('main', $primary->lsn);

	my $to = "$dir/undone";
	$site->pgkura_ok('restore to a second before, and start', 'restore',
		'main', "--to=$to", "--time=$before", '--start', @elsewhere);
	is(sql('SELECT count(*), max(n) FROM orders'), '1200|1200',
		'every row is back');
	is(sql("SELECT to_regclass('after_it') IS NULL"), 't',
		'nothing that came after');
	is(sql('SELECT pg_is_in_recovery()'), 'f', 'it takes writes');
	sql('INSERT INTO orders VALUES (0)');
	is($primary->psql('SELECT count(*) FROM orders'), '10',
		'the primary is as it was');

	is(sql('SHOW archive_mode'), 'off', 'a copy does not archive');
	my @was = glob("$archived/*");
	sql('SELECT pg_switch_wal()');
	sql('CHECKPOINT');
	is(scalar(glob("$archived/00000002*")) // '', '',
		'nothing of its timeline reached the archive');
	stop($to);
};

subtest 'actions' => sub {
	my $to = "$dir/paused";
	my $lsn = $primary->lsn;
	$primary->psql('INSERT INTO t VALUES (1)');
	$site->wait_wal('main', $primary->lsn);

	$site->pgkura_ok('pause', 'restore', 'main', "--to=$to", "--lsn=$lsn",
		'--exclusive', '--action=pause', '--start', @elsewhere);
	is(sql('SELECT pg_is_in_recovery(), pg_is_wal_replay_paused()'), 't|t',
		'it waits at the target, readable');
	is(sql('SELECT count(*) FROM t'), '0', 'before the row');
	stop($to);

	$to = "$dir/shut";
	$site->pgkura_ok('shutdown', 'restore', 'main', "--to=$to",
		"--lsn=$lsn", '--exclusive', '--action=shutdown', '--start',
		@elsewhere);
	my (undef, $out) = Kura::run(Kura::as_user(
			$primary->bindir . '/pg_ctl', '-D', $to, 'status'));
	like($out, qr/no server/, 'it has shut down');
};

subtest 'a server that does not start' => sub {
	my $to = "$dir/wrong";
	$site->pgkura_fails('the reason is the server\'s', 1,
		qr/is restored, but.*nonsense/s, 'restore', 'main', "--to=$to",
		'--start', @elsewhere, '--set=shared_preload_libraries=nonsense');
	ok(-e "$to/global/pg_control", 'the files are all there');
};

subtest 'take over' => sub {
	my $to = "$dir/taken";
	$site->pgkura_ok('restore', 'restore', 'main', "--to=$to", '--start',
		'--take-over', @elsewhere);
	is(sql('SHOW archive_mode'), 'on', 'it archives');
	is(sql('SELECT count(*) FROM t'), '1', 'all is there');
	sql('SELECT pg_switch_wal()');
	ok(Kura::wait_until(sub { return -e "$archived/00000002.history" }, 20),
		'its timeline reaches the archive');
	stop($to);
};

subtest 'a standby' => sub {
	my $to = "$dir/standby";
	$site->pgkura_ok('restore', 'restore', 'main', "--to=$to", '--standby',
		'--take-over', @elsewhere);
	ok(-e "$to/standby.signal" && !-e "$to/recovery.signal", 'its signal');
	my $c = $site->restored(of => $primary, to => $to,
		conf => { port => $port, unix_socket_directories => $dir });
	$c->start;
	$primary->psql('INSERT INTO t VALUES (2)');
	ok(Kura::wait_until(sub { return sql('SELECT count(*) FROM t') eq '2' },
			30), 'it follows the primary');
	stop($to);
};

# postgresql.conf and pg_hba.conf in a folder of their own, as Debian has them.
subtest 'configuration elsewhere' => sub {
	my $etc = "$dir/etc";
	my $debian = Kura::Cluster->new(name => 'debian');
	my $data = $debian->pgdata;
	Kura::run(Kura::as_user('mkdir', $etc));
	for my $file ('postgresql.conf', 'pg_hba.conf', 'pg_ident.conf') {
		Kura::run(Kura::as_user('mv', "$data/$file", "$etc/$file"));
	}
	Kura::append_file("$etc/postgresql.conf", <<"END");
data_directory = '$data'
hba_file = '$etc/pg_hba.conf'
ident_file = '$etc/pg_ident.conf'
external_pid_file = '$dir/debian.pid'
END
	my @ctl = ($debian->bindir . '/pg_ctl', '-D', $data, '-w', '-l',
		$debian->logfile);
	my ($status, $out, $err) = Kura::run(Kura::as_user(@ctl, '-o',
			"-c config_file=$etc/postgresql.conf", 'start'));
	is($status, 0, "it runs with its configuration elsewhere: $err");
	$debian->psql('CREATE TABLE d AS SELECT 42 AS n');
	$site->cluster('debian', conninfo => $debian->conninfo, slot => 'none',
		config_dir => $etc, bindir => $debian->bindir);
	$site->pgkura_ok('backup', 'backup', 'debian');

	my $to = "$dir/debian_copy";
	$site->pgkura_fails('without configuration it is not started', 1,
		qr/no postgresql\.conf.*pgkura\.config/s, 'restore', 'debian',
		"--to=$to", '--start', @elsewhere);
	ok(-e "$to/pgkura.config/postgresql.conf", 'but what was kept is there');
	my $verify = '/usr/lib/postgresql/' . $debian->major
	    . '/bin/pg_verifybackup';
	Kura::run_ok('also for pg_verifybackup',
		Kura::as_user($verify, '-n', $to)) if -x $verify;

	$site->pgkura_ok('with the kept one', 'restore', 'debian', "--to=$to",
		'--delta', '--start', "--config-dir=$to/pgkura.config",
		@elsewhere);
	is(sql('SELECT n FROM d'), '42', 'it runs');
	is(sql('SHOW data_directory'), $to, 'on its own directory');
	ok(-s "$dir/debian.pid", 'the other\'s pid file is there');
	stop($to);
	ok(-s "$dir/debian.pid", 'and stays');

	$site->pgkura_ok('with a new one', 'restore', 'debian',
		"--to=$dir/debian_new", '--start', "--config-dir=$dir/etc_new",
		@elsewhere);
	is(sql('SHOW config_file'), "$dir/etc_new/postgresql.conf",
		'made from what was kept');
	stop("$dir/debian_new");
	Kura::run(Kura::as_user(@ctl, '-m', 'fast', 'stop'));
};

subtest 'a hole' => sub {
	$receiver->kill('TERM');
	$receiver->wait(30);
	for (1 .. 3) { # nobody receives these
		$primary->psql('INSERT INTO t VALUES (3); SELECT pg_switch_wal()');
	}
	my $lost = $primary->lsn;
	# What is not archived yet stays, and would be received after all.
	my $last = $primary->switch_wal;
	$primary->wait_for(
		"SELECT last_archived_wal >= '$last' FROM pg_stat_archiver");
	$primary->psql('CHECKPOINT');
	$primary->psql('INSERT INTO t VALUES (4)');
	sleep 1;
	my $late = $primary->psql('SELECT clock_timestamp()');
	sleep 1;

	my $to = "$dir/hole";
	$site->pgkura_fails('a time that nobody received', 1,
		qr/after the last WAL.*can be restored to/s, 'restore', 'main',
		"--to=$to", "--time=$late");
	$site->pgkura_ok('a backup heals it', 'backup', 'main');
	$site->pgkura_fails('a position in the hole', 1,
		qr/WAL is missing.*can be restored to/s, 'restore', 'main',
		"--to=$to", "--lsn=$lost");
	$site->pgkura_fails('a time in the hole', 1,
		qr/WAL is missing.*can be restored to/s, 'restore', 'main',
		"--to=$to", "--time=$late");
	ok(!-e $to, 'nothing is made');
	my $list = $site->json('list', 'main');
	is(scalar(@{ $list->{recoverable} }), 2, 'list shows two windows')
	    || diag(explain($list));
	$site->pgkura_ok('the latest is behind it', 'restore', 'main',
		"--to=$to", '--start', @elsewhere);
	is(sql('SELECT string_agg(n::text, \' \' ORDER BY n) FROM t'),
		'1 2 3 3 3 4', 'with everything');
	stop($to);
};

done_testing();
