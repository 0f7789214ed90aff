#!/usr/bin/perl
# archive_command: through the daemon's socket and without it; beside the
# stream; the same file again; other bytes of the same name.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Socket;
use Kura;
use Kura::Site;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my $client = Kura::program('pgkura-wal');

sub fill
{
	my ($c, $rows) = @_;

	$c->psql("INSERT INTO t SELECT i, repeat(md5(i::text), 10)
		FROM generate_series(1, $rows) i");
	return;
}

sub start_archiving
{
	my ($major, $site, %conf) = @_;

	return Kura::Cluster->new(major => $major, init => { wal_segsize => 1 },
		conf => { wal_level => 'replica', archive_mode => 'on',
			wal_keep_size => '1GB', max_slot_wal_keep_size => '1GB',
			archive_command => '', %conf })->start;
}

sub serve
{
	my ($site) = @_;
	my $daemon = Kura::spawn(Kura::as_user(Kura::program('walkit'),
		$site->conf, 'serve'));

	Kura::wait_until(sub { -S $site->dir . '/run/wal.sock' });
	return $daemon;
}

# Make the cluster known, as a backup does, and begin to archive.
sub introduce
{
	my ($site, $primary) = @_;
	my $receiver = $site->receive('main');
	my $command = "''$client'' push --config=" . $site->conf . ' --socket='
	    . $site->dir . '/run/wal.sock %p';

	$primary->wait_for('SELECT count(*) = 1 FROM pg_replication_slots
		WHERE active');
	$site->wait_wal('main', $primary->lsn);
	$receiver->kill('TERM');
	$receiver->wait(20);
	$primary->psql("ALTER SYSTEM SET archive_command = '$command'");
	$primary->reload;
	return;
}

sub wait_archived
{
	my ($primary, $name) = @_;

	return $primary->wait_for("SELECT last_archived_wal >= '$name'
		FROM pg_stat_archiver");
}

# Segments of a history: the first one, unless it is said.
sub stored
{
	my ($site, $number) = @_;
	my ($lineage) = glob($site->repo . '/main/*-' . ($number // 1));

	return map { m{/([0-9A-F]{24})$} ? $1 : () }
	    split /\n/, `find '$lineage/wal' -path '*/open' -prune -o -type f -print`;
}

# pgkura-wal push PATH, as the server does it: (status, out, err).
sub push_file
{
	my ($site, $path) = @_;

	return Kura::run({ cwd => '/' }, Kura::as_user($client, 'push',
		'--config=' . $site->conf,
		'--socket=' . $site->dir . '/run/wal.sock', $path));
}

for my $major (Kura::servers()) {
	subtest "PostgreSQL $major" => sub {
		my $site = Kura::Site->new;
		my $primary = start_archiving($major, $site);
		$site->cluster('main', conninfo => $primary->conninfo);
		$site->pgkura_ok('a repository', 'init');
		$primary->psql('CREATE TABLE t (a int, b text)');

		introduce($site, $primary);
		fill($primary, 5000);
		wait_archived($primary, $primary->switch_wal);
		pass('without the daemon it works');

		my $daemon = serve($site);
		fill($primary, 20000);
		my $last = $primary->switch_wal;
		wait_archived($primary, $last);
		my %stored = map { $_ => 1 } stored($site);
		ok($stored{$last}, 'with the daemon too');
		is(scalar(@{ $site->json('wal', 'list', 'main')->{spans} }), 1,
			'there is no hole');

		my $receiver = $site->receive('main');
		fill($primary, 20000);
		$last = $primary->switch_wal;
		wait_archived($primary, $last);
		$site->wait_wal('main', $primary->lsn);
		is(scalar(@{ $site->json('wal', 'list', 'main')->{spans} }), 1,
			'beside the stream too');
		unlike($receiver->err . $daemon->err, qr/conflict|error/,
			'they do not disturb each other');

		my ($status) = push_file($site, $primary->pgdata . "/pg_wal/$last");
		is($status, 0, 'the same file again is fine');
		$daemon->kill('TERM');
		is($daemon->wait(20), 0, 'the daemon stops when asked to');
		ok(!-e $site->dir . '/run/wal.sock', 'and its socket goes');
		($status) = push_file($site, $primary->pgdata . "/pg_wal/$last");
		is($status, 0, 'the same file again without the daemon too');
	};
}

# A cluster whose server runs twice, from the same files.
sub diverge
{
	my ($site, $primary) = @_;
	my $copy = Kura::tempdir() . '/twin';

	$primary->stop;
	Kura::run(Kura::as_user('cp', '-a', $primary->pgdata, $copy));
	my $twin = Kura::Cluster->adopt(pgdata => $copy,
		major => $primary->major, name => 'twin');
	$primary->start;
	$twin->start;
	return $twin;
}

subtest 'a conflict is refused' => sub {
	my $site = Kura::Site->new;
	my $primary = start_archiving((Kura::servers())[-1], $site);
	$site->cluster('main', conninfo => $primary->conninfo);
	$site->pgkura_ok('a repository', 'init');
	my $daemon = serve($site);
	introduce($site, $primary);
	$primary->psql('CREATE TABLE t (a int, b text)');
	my $twin = diverge($site, $primary);

	fill($primary, 3000);
	my $last = $primary->switch_wal;
	wait_archived($primary, $last);
	my @before = sort(stored($site));
	$twin->psql('CREATE TABLE other AS SELECT generate_series(1, 20000) i');
	$twin->switch_wal;
	$twin->wait_for('SELECT failed_count > 0 FROM pg_stat_archiver');
	pass('the twin cannot archive');
	ok(Kura::wait_until(sub {
		$twin->log =~ /is in the repository with other bytes/;
	}), 'its log says why');
	like($twin->log, qr/HINT:.*wal fork main/, 'and what to do');
	like($daemon->err, qr/wal_conflict/, 'it is told as an event');
	is_deeply([ sort(stored($site)) ], \@before, 'nothing was replaced');
	fill($primary, 3000);
	wait_archived($primary, $primary->switch_wal);
	pass('the first one goes on');

	# The operator decides for the twin.
	$site->pgkura_fails('a fork is asked for', 2, qr/--yes/,
		'wal', 'fork', 'main');
	$site->pgkura_ok('and made', 'wal', 'fork', 'main', '--yes');
	my $name = $twin->psql('SELECT last_failed_wal FROM pg_stat_archiver');
	@before = sort(stored($site));
	my ($again, undef, $why) = push_file($site,
		$twin->pgdata . "/pg_wal/$name");
	is($again, 0, 'then the twin gets through') or diag($why);
	ok((grep { $_ eq $name } stored($site, 2)), 'into a history of its own');
	is_deeply([ sort(stored($site)) ], \@before, 'and the other is as it was');

	# What a promoted server offers of the old timeline.
	my $partial = Kura::tempdir() . "/$last.partial";
	Kura::run('cp', $twin->pgdata . "/pg_wal/$last", $partial);
	Kura::run('chmod', '644', $partial);
	my ($status, undef, $err) = push_file($site, $partial);
	is($status, 0, 'a partial segment never conflicts') or diag($err);
};

subtest 'what is no WAL' => sub {
	my $site = Kura::Site->new;
	my $primary = start_archiving((Kura::servers())[-1], $site);
	$site->cluster('main', conninfo => $primary->conninfo);
	$site->pgkura_ok('a repository', 'init');
	my $daemon = serve($site);
	introduce($site, $primary);
	$primary->psql('CREATE TABLE t (a int, b text)');
	my $name = $primary->switch_wal;
	my $dir = Kura::tempdir();
	my $file = "$dir/0000000100000000000000EE";

	Kura::run('cp', $primary->pgdata . "/pg_wal/$name", $file);
	Kura::run('chmod', '644', $file);
	my ($status, undef, $err) = push_file($site, $file);
	is($status, 1, 'a segment under another name is refused');
	like($err, qr/pgkura-wal: .*HINT|pgkura-wal: /s, 'with the reason');
	Kura::write_file($file, "\0" x (1 << 20));
	($status) = push_file($site, $file);
	isnt($status, 0, 'so are zeros');
	Kura::write_file($file, 'x');
	($status) = push_file($site, $file);
	is($status, 1, 'and a byte');
	($status, undef, $err) = push_file($site, "$dir/none");
	is($status, 1, 'and no file at all');
	my $label = "$dir/0000000100000000000000EE.00000028.backup";
	Kura::write_file($label, 'START WAL LOCATION');
	($status) = push_file($site, $label);
	is($status, 0, 'the label of a backup is accepted');

	# Somebody who talks nonsense.
	socket(my $s, PF_UNIX, SOCK_SEQPACKET, 0) or die "socket: $!";
	connect($s, pack_sockaddr_un($site->dir . '/run/wal.sock'))
	    or die "connect: $!";
	send($s, 'x' x 3000, 0);
	ok(Kura::wait_until(sub { $daemon->err =~ /wal_push_refused/ }),
		'nonsense is refused');
	ok($daemon->alive, 'and harms nobody');
	close($s);
	$primary->psql('CREATE TABLE u AS SELECT 1');
	wait_archived($primary, $primary->switch_wal);
	pass('the server still gets through');

	$daemon->kill('KILL');
	$daemon->wait(10);
	$primary->psql('CREATE TABLE v AS SELECT 1');
	my $last = $primary->switch_wal;
	wait_archived($primary, $last);
	pass('a killed daemon is no obstacle');
	$daemon = serve($site);
	$primary->psql('CREATE TABLE w AS SELECT 1');
	wait_archived($primary, $primary->switch_wal);
	pass('nor is what it left');
};

done_testing();
