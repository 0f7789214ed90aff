#!/usr/bin/perl
# An old primary whose way back is killed, or finds a full disk, at any moment: the
# next attempt brings it to an end, whoever makes it; what only the old primary had is
# kept once and whole.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes ();
use Kura;
use Kura::Standby;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $mounted;
END { Kura::run('umount', '-l', $mounted) if defined $mounted; }

my $primary = Kura::Cluster->new(major => $major, init => { checksums => 1 },
	conf => { wal_level => 'replica', max_slot_wal_keep_size => '1GB',
		min_wal_size => '32MB', autovacuum => 'off' })->start;
my $y = Kura::Standby->new(primary => $primary);
my $site = $y->site;

# ---- a primary that wrote on, and the standby that took its place ----

$primary->psql('CREATE TABLE t (a int, b text); CREATE TABLE big AS
	SELECT i, repeat(md5(i::text), 20) AS b FROM generate_series(1, 10000) i');
$site->pgkura_ok('a backup', 'backup', 'main');
$y->start_duty;
$y->wait_follows;
$y->receiver->kill('TERM');
$y->receiver->wait(30);
$primary->psql("INSERT INTO t VALUES (-7, 'lost')");
$primary->psql('SELECT pg_switch_wal()');
$primary->psql('INSERT INTO t SELECT i, repeat(md5(i::text), 10)
	FROM generate_series(1, 20000) i');
$primary->psql('UPDATE big SET b = b WHERE i % 50 = 0');
my $end = $primary->lsn;
is($y->job('promote', 'main')->{status}, 0, 'the standby is promoted');
$y->stop_duty;
my $new = $y->server;
$y->configure(conninfo => $new->conninfo);
my $receiver = $site->receive('main');
$new->psql('INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 3000) i');
my $last = $new->lsn;
$site->wait_wal('main', $last);
$receiver->kill('TERM');
$receiver->wait(30);
my $wanted = $y->digest($new, 't', 'big');
my @of_tables = map { $new->psql("SELECT pg_relation_filepath('$_')") } qw(t big);
$new->stop;
$primary->kill9;

# ---- as often as is wanted ----

my $saved = Kura::tempdir();

$y->configure(standby_dir => $primary->pgdata, standby_port => undef,
	standby_settings => undef);
unlink($site->state . '/main/promoted.json');
my %place = (data => $primary->pgdata, repo => $site->repo, state => $site->state);

sub command
{
	my ($status, undef, $err) = Kura::run(@_);

	die "@_: $err" if $status != 0;
	return;
}

sub again
{
	for my $what (keys %place) {
		command('rm', '-rf', $place{$what});
		command('cp', '-a', "$saved/$what", $place{$what});
	}
	return;
}

command('cp', '-a', $place{$_}, "$saved/$_") for keys %place;

sub rejoin
{
	return Kura::spawn(Kura::as_user('env', 'PGKURA_CONF=' . $site->conf,
		Kura::program('sitejobs'), 'rejoin', 'main'));
}

sub kept_once
{
	my ($name) = @_;
	my @old = grep { $_->{timeline} == 1 }
	    @{ $site->json('wal', 'list', 'main')->{spans} };

	is(scalar @old, 1, "$name: the old timeline's WAL has no hole");
	cmp_ok(Kura::Site::lsn_number($old[0]{end_lsn}), '>=',
		Kura::Site::lsn_number($end), "$name: and reaches to its end");
	my %seen;
	my @twice = grep { $seen{$_}++ } map { m{([^/]+)$} }
	    glob($site->repo . '/main/*/wal/*/*/*');
	is("@twice", '', "$name: nothing of it is there twice");
	return;
}

# The server that the next attempt leaves.
sub is_right
{
	my ($name) = @_;

	$y->start_duty;
	ok(Kura::wait_until(sub {
		my ($status, $out) = $primary->psql_try(
			"SELECT pg_last_wal_replay_lsn() >= '$last'::pg_lsn");
		return $status == 0 && $out eq 't';
	}, 60), "$name: it follows") or diag($y->duty->err, $y->log);
	is($y->digest($primary, 't', 'big'), $wanted,
		"$name: with the new primary's data");
	is($primary->psql('SELECT pg_is_in_recovery()'), 't', "$name: as a standby");
	is((Kura::run(Kura::as_user($primary->bindir . '/pg_amcheck',
		'-h', $primary->dir, '-p', $primary->port, '-U', 'postgres',
		'--no-strict-names', 'postgres')))[1], '', "$name: pg_amcheck")
	    if -x $primary->bindir . '/pg_amcheck' && $name =~ /third/;
	$y->stop_duty;
	$primary->stop;
	is((Kura::run(Kura::as_user($primary->bindir . '/pg_checksums', '-c', '-D',
		$primary->pgdata)))[0], 0, "$name: every checksum holds");
	return;
}

my $begun = Time::HiRes::time();
my $whole = rejoin();

is($whole->wait(60), 0, 'undisturbed it goes back') or diag($whole->err);
my $took = Time::HiRes::time() - $begun;

# Instants: seconds, or what must have come true.
my $building = "$place{state}/main/standby.building";
my $control = "$place{data}/global/pg_control";
my @instants = (
	['in the salvage' => sub { glob($place{repo} . '/main/*/wal/00000001/*/*.partial*')
		|| -e $building }],
	['when it was decided' => sub { -e $building }],
	['with no pg_control' => sub { !-e $control }],
	map { my $s = $_ * $took; [sprintf('at %d %%', 100 * $_) => sub {
		Time::HiRes::time() - $begun >= $s }] } .4, .8);
my ($missing, $n) = (0, 0);

for my $instant (@instants) {
	my ($name, $due) = @$instant;

	again();
	$begun = Time::HiRes::time();
	my $p = rejoin();
	while ($p->alive && !$due->()) {
		Time::HiRes::sleep(0.0005);
	}
	$p->kill('KILL');
	$p->wait(30);
	$missing++ if !-e $control;
	my $j = $y->job('rejoin', 'main');
	is($j->{status}, 0, "killed $name: the second attempt ends well")
	    or diag(explain($j));
	$n++;
	next if $n % 3 != 0; # all of it takes a second or two
	kept_once("killed $name");
	is_right("killed $name" . ($n == 3 ? ', the third' : ''));
}
cmp_ok($missing, '>=', 1, 'pg_control was away at least once');

# ---- the duty that keeps the standby completes it, too ----

again();
my $half = rejoin();
Kura::wait_until(sub { return !$half->alive || !-e $control });
$half->kill('KILL');
$half->wait(30);
$y->start_duty;
my $ordered = $y->job('failback', 'main');
is($ordered->{status}, 0, 'an order meanwhile ends well, too')
    or diag(explain($ordered));
like($ordered->{result}, qr/follows already|as an attempt before had begun/,
	'and says what became of it');
$y->stop_duty;
kept_once('completed by the duty');
is_right('completed by the duty');

# ---- a full disk ----

SKIP: {
	skip 'only root may mount', 5 if $> != 0;
	my $mount = Kura::tempdir();
	skip 'no tmpfs can be mounted here', 5
	    if (Kura::run('mount', '-t', 'tmpfs', '-o', 'size=300m', 'none',
		$mount))[0] != 0;
	$mounted = $mount;
	command('chown', Kura::user(), $mount);
	again();
	command('cp', '-a', $place{data}, "$mount/data");
	# What is to be written anew takes more room than there is, and whatever is
	# removed gives none back, nor is there a table that is cut shorter: files
	# are restored in the order in which the old primary's folders gave them.
	for my $of (@of_tables) {
		unlink("$mount/data/$of") or die "$of: $!";
	}
	command('cp', '-al', "$mount/data", "$mount/held");
	$y->configure(standby_dir => "$mount/data");
	my ($free_kb) =
	    (Kura::run('df', '-k', '--output=avail', $mount))[1] =~ /(\d+)\s*$/;
	command('dd', 'if=/dev/zero', "of=$mount/ballast", 'bs=1k',
		'count=' . ($free_kb - 1024));
	my $j = $y->job('rejoin', 'main');
	isnt($j->{status}, 0, 'a full disk: it fails') or diag(explain($j));
	like($j->{text}, qr/No space left/, 'and says why');
	ok(!-e "$mount/data/global/pg_control", '(half of it is done)');
	unlink("$mount/ballast");
	$j = $y->job('rejoin', 'main');
	is($j->{status}, 0, 'with room again it ends well') or diag(explain($j));
	is((Kura::run(Kura::as_user($primary->bindir . '/pg_controldata',
		"$mount/data")))[0], 0, 'a server can start there');
}
done_testing();
