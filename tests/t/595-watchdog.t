#!/usr/bin/perl
# pgkura-fence alone: what it kills when a lease has ended, and what not.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes ();
use Kura;

my ($major) = Kura::servers();
plan skip_all => 'no PostgreSQL here' if !defined $major;

# ---- the page: src/fence/page.h ----

my %at = (until_us => 48, quit_us => 56, kill_us => 64, rule_us => 72,
	server_pid => 80, device => 88, inode => 96, path => 104, pid => 2168,
	beat_us => 2176, may_kill => 2200, stops => 2208, killed => 2216,
	stopped_us => 2224);
my $page_bytes = 2232;
my $unguarded = 9_223_372_036_854_775_807;
my $dir = Kura::tempdir();
my $page = "$dir/fence.main";

sub now { return int(Time::HiRes::clock_gettime(7) * 1e6); }	# CLOCK_BOOTTIME

sub put
{
	my (%values) = @_;

	open(my $file, '+<:raw', $page) or die "could not open $page: $!\n";
	for my $name (sort { $a eq 'until_us' ? 1 : -1 } keys %values) {
		sysseek($file, $at{$name}, 0);
		syswrite($file, $name eq 'path' ? $values{$name}
			: pack('q<', $values{$name}));
	}
	close($file);
	return;
}

sub get
{
	my ($name) = @_;

	open(my $file, '<:raw', $page) or return 0;
	sysseek($file, $at{$name}, 0);
	sysread($file, my $bytes, 8);
	close($file);
	return unpack('q<', $bytes);
}

sub make_page
{
	my ($pgdata) = @_;
	my ($boot) = split /\n/, Kura::slurp('/proc/sys/kernel/random/boot_id');
	my @st = stat($pgdata);

	Kura::write_file($page, pack('a8 a40', "PGKFNC1\n", $boot)
		. "\0" x ($page_bytes - 48));
	chown((stat($dir))[4, 5], $page);
	put(until_us => $unguarded, device => $st[0], inode => $st[1],
		path => $pgdata, rule_us => now());
	return;
}

# A lease of so many ms, of which the server gets all but 300.
sub lease
{
	my ($ms, $server) = @_;

	put(rule_us => now(), quit_us => 300_000, kill_us => 150_000,
		(defined $server ? (server_pid => $server->pid) : ()),
		until_us => now() + $ms * 1000);
	return;
}

sub unguard
{
	return put(until_us => $unguarded, server_pid => 0, rule_us => now());
}

# ---- servers ----

sub processes
{
	my ($server) = @_;

	return grep {
		(readlink("/proc/$_/cwd") // '') eq $server->pgdata
		    && Kura::slurp("/proc/$_/stat") !~ /\) [ZX] /
	} map { m{(\d+)$} ? $1 : () } glob('/proc/[0-9]*');
}

sub Kura::Cluster::pid
{
	my ($self) = @_;
	my ($pid) = Kura::slurp($self->pgdata . '/postmaster.pid') =~ /^(\d+)/;

	return $pid;
}

sub gone
{
	my ($server, $what) = @_;

	return ok(Kura::wait_until(sub { return !processes($server) }, 60), $what)
	    || diag(join ' ', processes($server));
}

sub lives
{
	my ($server, $what) = @_;

	return is(($server->psql_try('SELECT 1'))[1], '1', $what);
}

my $server = Kura::Cluster->new(major => $major, name => 'main',
	init => { nosync => 1 })->start;
my $other = Kura::Cluster->new(major => $major, name => 'other',
	init => { nosync => 1 })->start;

$server->psql('CREATE TABLE t (a int)');
make_page($server->pgdata);

my $dog = Kura::spawn(Kura::as_user(Kura::program('pgkura-fence'), $page));

sub dog_pid { return get('pid'); }

ok(Kura::wait_until(sub { return get('beat_us') > 0 }, 30), 'it moves');
is((Kura::run(Kura::as_user(Kura::program('pgkura-fence'), $page)))[0], 0,
	'a second one leaves it to the first');
ok($dog->alive, 'which goes on');

# ---- a lease that is prolonged, and then not ----

my $pid = $server->pid;

lease(20_000, $server);
ok(Kura::wait_until(sub { return get('may_kill') == 1 }, 30),
	'it may kill the server');
for (1 .. 5) {
	lease(20_000, $server);
	Time::HiRes::sleep(0.05);
}
lives($server, 'a server whose lease is prolonged lives');
my $writer = $server->psql_spawn(
	"DO 'BEGIN LOOP INSERT INTO t VALUES (1); COMMIT; END LOOP; END'");
lease(400, $server);
gone($server, 'when it is not, all of its processes go');
ok(Kura::wait_until(sub { return get('stops') == 1 }, 30), 'which it tells');
isnt($writer->wait(60), 0, 'the writer was cut off');
diag(sprintf 'gone %.0f ms after the end of the lease, %d processes were killed',
	(get('stopped_us') - get('until_us')) / 1000, get('killed'));
ok($dog->alive, 'it goes on');
$server->running;
$server->pg_ctl('-W', '-l', $server->logfile, 'start');
ok(Kura::wait_until(sub { return get('stops') == 2 }, 60),
	'one that is started without a lease goes, too');
gone($server, 'all of it');

# ---- that do not move, or have nobody above them ----

unguard();
$server->start;
lives($server, 'unguarded, it lives');
lease(60_000, $server);
kill('STOP', $server->pid);
lease(400);
gone($server, 'a server that is stopped goes');
unguard();
$server->start;
lease(60_000, $server);
$writer = $server->psql_spawn(
	"DO 'BEGIN LOOP INSERT INTO t VALUES (1); COMMIT; END LOOP; END'");
my $backend;
ok(Kura::wait_until(sub {
	($backend) = ($server->psql_try("SELECT pid FROM pg_stat_activity"
			. " WHERE query LIKE 'DO %'"))[1] =~ /(\d+)/;
	return $backend;
}, 30), '(a writer)');
kill('STOP', $backend);
kill('KILL', $server->pid);
ok(Kura::wait_until(sub { return (processes($server))[0] // 0 }, 30)
	    && -e "/proc/$backend", '(its server dies, it does not)');
lease(400);
kill('CONT', $backend);
gone($server, 'a backend without a server goes');
$writer->wait(60);

# ---- all of it sleeps over the end ----

unguard();
$server->start;
lease(60_000, $server);
ok(Kura::wait_until(sub { return get('may_kill') == 1
	&& now() - get('beat_us') < 500_000 }, 30), '(guarded)');
Time::HiRes::sleep(0.3);
my @all = processes($server);
kill('STOP', dog_pid(), @all);
lease(1);
Time::HiRes::sleep(0.2);
kill('CONT', @all);
kill('CONT', dog_pid());
gone($server, 'what slept over the end of its lease goes when it wakes up');

# ---- what is left alone ----

Kura::write_file($server->pgdata . '/standby.signal', '');
$server->start;
ok(scalar processes($server), 'a standby starts');
my $looked = now();
ok(Kura::wait_until(sub { return get('beat_us') > $looked + 1_000_000 }, 60),
	'(it is looked at)');
lives($server, 'and lives, though nobody has a lease');
put(server_pid => $other->pid);
Time::HiRes::sleep(0.3);
lives($other, 'the server of another directory is never touched');
$server->stop('immediate');

SKIP: {
	skip('only root can be another user', 2) if $< != 0;
	unguard();
	kill('TERM', dog_pid());
	ok(Kura::wait_until(sub { return !$dog->alive }, 30),
		'it ends when it is asked and nothing is guarded');
	unlink($server->pgdata . '/standby.signal');
	$server->start;
	chmod(0666, $page);
	chmod(0755, $dir);
	my $stranger = Kura::spawn('setpriv', '--reuid=65534', '--regid=65534',
		'--clear-groups', Kura::program('pgkura-fence'), $page);
	put(may_kill => 0);
	lease(60_000, $server);
	ok(Kura::wait_until(sub { return get('may_kill') == -1 }, 30),
		'a stranger says that it may not stop the server');
	unguard();
	$stranger->kill('TERM');
	$stranger->wait(30);
	$dog = Kura::spawn(Kura::as_user(Kura::program('pgkura-fence'), $page));
	Kura::wait_until(sub { return get('pid') == $dog->pid
		&& now() - get('beat_us') < 500_000 }, 30);
}
lease(300, $server);
unlink($page);
ok(Kura::wait_until(sub { return !$dog->alive }, 60),
	'without its page it kills, and ends when nothing is left');
gone($server, 'the server is gone');
lives($other, 'the other is there');
done_testing();
