#!/usr/bin/perl
# A repository whose file system is full: a backup fails clearly and leaves
# nothing half, the receiver waits while the server keeps the WAL; with room
# again both go on and nothing is lost.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Site;

my $major = (Kura::servers())[-1];
plan skip_all => 'no PostgreSQL here' if !defined $major;
plan skip_all => 'only root may mount' if $< != 0;

my @mounted;
END { Kura::run('umount', '-l', $_) for @mounted; }

# A file system of so many MB, the servers' user's; undef when it cannot be.
sub mount_small
{
	my ($kind, $mb) = @_;
	my $dir = Kura::tempdir();
	my @command = ('mount', '-t', 'tmpfs', '-o', "size=${mb}m", 'none', $dir);

	if ($kind eq 'ext4') {
		my $image = Kura::tempdir() . '/image';
		Kura::run('truncate', '-s', "${mb}M", $image);
		return if (Kura::run('mkfs.ext4', '-q', '-m', '0', $image))[0] != 0;
		@command = ('mount', '-o', 'loop', $image, $dir);
	}
	return if (Kura::run(@command))[0] != 0;
	push @mounted, $dir;
	Kura::run('chown', Kura::user(), $dir);
	return $dir;
}

sub fill
{
	my ($dir) = @_;

	Kura::run(Kura::as_user('dd', 'if=/dev/zero', "of=$dir/ballast", 'bs=64k'));
	return;
}

for my $kind ('tmpfs', 'ext4') {
	subtest $kind => sub {
		my $dir = mount_small($kind, 100)
		    or plan skip_all => "no $kind can be mounted here";
		my $primary = Kura::Cluster->new(major => $major,
			init => { wal_segsize => 1 }, conf => { wal_level => 'replica',
				max_slot_wal_keep_size => '1GB' })->start;
		my $site = Kura::Site->new;
		$site->site(repository => "$dir/repo");
		$site->cluster('main', conninfo => $primary->conninfo);
		$site->pgkura_ok('a repository', 'init');
		my $receiver = $site->receive('main');
		$primary->wait_for(
			'SELECT count(*) = 1 FROM pg_replication_slots WHERE active');
		$site->pgkura_ok('a backup', 'backup', 'main');

		# The receiver.
		fill($dir);
		$primary->psql('CREATE TABLE t AS SELECT i, md5(i::text) AS s
			FROM generate_series(1, 60000) i');
		my $lsn = $primary->lsn;
		ok(Kura::wait_until(sub {
			return $receiver->err =~ /No space left on device/;
		}), 'the receiver says that there is no room') or diag($receiver->err);
		ok($receiver->alive, 'and stays') or diag($receiver->err);
		is($primary->psql('SELECT bool_or(restart_lsn < ' . "'$lsn'"
			. ') FROM pg_replication_slots'), 't', 'the server keeps the WAL');

		# A backup.
		$site->pgkura_fails('a backup fails clearly', 1,
			qr/No space left on device/, 'backup', 'main');
		is(scalar(@{ $site->json('list', 'main')->{backups} }), 1,
			'and is none');
		$site->pgkura_ok('what is there is sound', 'verify', 'main');
		# The receiver tries on: a moment without anything half is enough,
		# what is left for good is there at every moment.
		my $tmp;
		ok(Kura::wait_until(sub {
			(undef, $tmp) = Kura::run('find', "$dir/repo", '-name', '.tmp.*');
			return $tmp eq '';
		}), 'nothing half is left') or diag($tmp);

		unlink "$dir/ballast";
		$primary->psql('INSERT INTO t SELECT 0');
		ok(eval { $site->wait_wal('main', $primary->lsn) },
			'with room the receiver goes on by itself') or diag($@);
		$site->pgkura_ok('and a backup succeeds', 'backup', 'main');
		is(scalar(@{ $site->json('wal', 'list', 'main')->{spans} }), 1,
			'WAL has no hole');
		$site->pgkura_ok('all is sound', 'verify', 'main');
		$receiver->kill('TERM');
		$receiver->wait(20);

		my $to = Kura::tempdir() . '/data';
		$site->pgkura_ok('a restore', 'restore', 'main', "--to=$to");
		my $c = $site->restored(of => $primary, to => $to)->start;
		$c->wait_for('SELECT NOT pg_is_in_recovery()');
		is($c->psql('SELECT count(*) FROM t'), '60001', 'nothing is lost');
		$primary->stop;
	};
}
done_testing();
