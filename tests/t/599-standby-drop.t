#!/usr/bin/perl
# A standby that is removed: at any moment while it is being made, with a folder that cannot be
# removed whole, with tablespaces; what is left can be made anew.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes ();
use Kura;
use Kura::Roles;
use Kura::Standby;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my @mounted;
END { Kura::run('umount', '-l', $_) for reverse @mounted; }

# A file system of its own.
sub mount_at
{
	my ($dir) = @_;

	return 0 if $> != 0 || (Kura::run('mount', '-t', 'tmpfs', '-o',
			'size=300m', 'none', $dir))[0] != 0;
	push @mounted, $dir;
	Kura::run('chown', Kura::user(), $dir);
	Kura::run('chmod', '700', $dir);
	return 1;
}

sub unmount
{
	my ($dir) = @_;

	# A server that has removed its pid file may be in it for a moment.
	ok(Kura::wait_until(sub { return (Kura::run('umount', $dir))[0] == 0; }),
		'(unmounted)');
	@mounted = grep { $_ ne $dir } @mounted;
	return;
}

my $primary = Kura::Cluster->new(major => $major,
	conf => { wal_level => 'replica', max_slot_wal_keep_size => '1GB' })->start;
my $places = Kura::tempdir();
for my $name (qw(ssd log new)) {
	is((Kura::run(Kura::as_user('mkdir', "$places/$name")))[0], 0, "($name)");
}
$primary->psql("CREATE TABLESPACE ssd LOCATION '$places/ssd'");
$primary->psql('CREATE TABLE t (a int, b text);
	CREATE TABLE s (a int, b text) TABLESPACE ssd;
	INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 20000) i;
	INSERT INTO s SELECT i, md5(i::text) FROM generate_series(1, 20000) i');
my $y = Kura::Standby->new(primary => $primary);
my $site = $y->site;

sub follows
{
	my ($name) = @_;

	$y->wait_follows;
	is($y->digest($y->server, qw(t s)), $y->digest($primary, qw(t s)),
		"$name: it has what the primary has");
	return;
}

sub state
{
	my (undef, $out) = $site->pgkura('standby', 'status', 'main', '--json');

	return JSON::PP::decode_json($out)->{state};
}

# What is left of its tablespace goes, too.
sub empty_place
{
	is((Kura::run('sh', '-c', "rm -r $places/new/PG_*"))[0], 0,
		'(its tablespace is emptied)');
	return;
}

sub dropped
{
	my ($name) = @_;

	$site->pgkura_ok("$name: it is removed", 'standby', 'drop', 'main', '--yes');
	is(state(), 'absent',
		"$name: nothing is left of it");
	return;
}

# ---- tablespaces ----

$site->pgkura_ok('a backup', 'backup', 'main');
$site->pgkura_fails('the place of the tablespace is taken', 1,
	qr/"\Q$places\E\/ssd" of tablespace \d+ is not empty.*standby_tablespaces = \d+=FOLDER/s,
	'standby', 'create', 'main');
$y->configure(standby_tablespaces => 'ssd=/data');
$site->pgkura_fails('what names no place', 2, qr/standby_tablespaces/, 'standby',
	'create', 'main');
$y->configure(
	standby_tablespaces => "$places/ssd=$places/new, 99=$places/nothing");
$y->start_duty;
follows('with a tablespace elsewhere');
is($y->server->psql("SELECT pg_tablespace_location(oid) FROM pg_tablespace
	WHERE spcname = 'ssd'"), "$places/new", 'it lies where it should');
my ($status, undef, $err) = $site->pgkura('standby', 'drop', 'main', '--yes');
is($status, 0, 'it is removed');
like($err, qr/a tablespace of the standby stays.*directory=\Q$places\E\/new$/m,
	'what it leaves is named');
ok(!-e $y->dir, 'the directory is gone');
is(scalar(() = glob("$places/$_/PG_*")), 1, "... and of tablespace at $_ nothing")
    for qw(new ssd);
$site->pgkura_ok('it is wanted again', 'standby', 'start', 'main');
ok(Kura::wait_until(sub {
	return $y->duty->err =~ /"\Q$places\E\/new" of tablespace \d+ is not empty/;
}, 60), 'what was left is in the way, and that is said') or diag($y->duty->err);
empty_place();
follows('made again');

# ---- it cannot be removed whole ----

SKIP: {
	my $inside = $y->dir . '/zzz';
	Kura::run(Kura::as_user('mkdir', $inside));
	skip 'no tmpfs can be mounted here', 5 if !mount_at($inside);
	$site->pgkura_fails('a folder of it is a file system', 1,
		qr/could not remove folder .*zzz.*busy/i, 'standby', 'drop', 'main',
		'--yes');
	ok(!-e $y->dir . '/PG_VERSION', '(half of it is done)');
	is(state(), 'unfinished',
		'what is left is no server');
	unmount($inside);
	empty_place();
	$site->pgkura_ok('it is wanted all the same', 'standby', 'start', 'main');
	follows('made of what was left');
}

# ---- while it is being made ----

dropped('for the next part');
empty_place();
$y->stop_duty;
$primary->psql('CREATE TABLE big AS SELECT i, sha256(i::text::bytea)
	FROM generate_series(1, 400000) i');
$site->pgkura_ok('a larger backup', 'backup', 'main');
my $duty;
for my $try (1 .. 20) {
	unlink($site->state . '/main/standby.off');
	$duty = $y->start_duty;
	my $until = time() + 60;
	while ($duty->alive && !-e $y->dir . '/pgkura.restore' && time() < $until) {
		Time::HiRes::sleep(0.0005);
	}
	$duty->kill('STOP');
	last if -e $y->dir . '/pgkura.restore';
	$duty->kill('CONT'); # it was too fast
	dropped("try $try");
	empty_place();
	$y->stop_duty;
}
ok(-e $y->dir . '/pgkura.restore', 'it is being made');
my $drop = Kura::spawn(Kura::as_user('env', 'PGKURA_CONF=' . $site->conf,
		Kura::program('pgkura'), 'standby', 'drop', 'main', '--yes'));
ok(Kura::wait_until(sub { return $drop->err =~ /given up/; }, 60),
	'it is removed meanwhile: that is given up') or diag($drop->err);
ok(-e $y->dir . '/pgkura.restore', 'not before the other process has ended');
$duty->kill('CONT');
is($drop->wait(60), 0, 'then it is done') or diag($drop->err);
is($duty->wait(60), 0, 'who made it has ended');
ok(!-e $y->dir, 'nothing is there');

# ---- the directory is a file system of its own ----

SKIP: {
	my $own = Kura::tempdir();
	skip 'no tmpfs can be mounted here', 5 if !mount_at($own);
	Kura::run('sh', '-c', "rm -rf $places/new/PG_*");
	$y->configure(standby_dir => $own);
	$site->pgkura_ok('made there', 'standby', 'create', 'main');
	ok(-e "$own/PG_VERSION", '(it is there)');
	dropped('on a file system of its own');
	is(join(' ', glob("$own/*")), '', 'that is empty');
	unmount($own);
}
$primary->stop;

# ---- at any moment while pgkurad makes and starts it ----

my $r = Kura::Roles->new(major => $major);
my $osaka = $r->site('osaka');
for my $delay (0, .05, .1, .2, .3, .5, .8, 1.2) {
	$osaka->pgkura_ok("$delay s after the order", 'standby', 'drop', 'main',
		'--yes');
	ok(!$r->standby->running, '... no server of it runs');
	ok(!-e $r->standby->pgdata, '... and nothing is there');
	$osaka->pgkura_ok('... it is wanted again', 'standby', 'create', 'main');
	Time::HiRes::sleep($delay);
}
$r->insert($r->primary) for 1 .. 3;
ok(Kura::wait_until(sub {
	my ($ok, $out) = $r->standby->psql_try('SELECT count(*) FROM t');
	return $ok == 0 && $out eq '3';
}, 120), 'the last one follows') or diag($r->events('osaka'));
$r->sites->stop($_) for qw(tokyo osaka);
$r->primary->stop;
done_testing();
