#!/usr/bin/perl
# Base backups from standbys, idle and lagging; a promotion in the middle of one;
# backups over TCP, held to a rate, stopped by Ctrl-C and by SIGKILL.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes qw(sleep time);
use Kura;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my $major = (grep { $_ == 15 } Kura::servers()) ? 15 : (Kura::servers())[-1];
my $primary = Kura::Cluster->new(major => $major, name => 'primary',
	init => { checksums => 1 }, tcp => 1,
	conf => { wal_level => 'replica', autovacuum => 'off',
		max_wal_senders => 8, wal_keep_size => '256MB' })->start;
$primary->psql(
	"CREATE TABLE t AS SELECT g AS n, repeat(md5(g::text), 10) AS s FROM generate_series(1, 40000) g"
);
my $standby = $primary->standby(name => 'standby')->start;
$primary->wait_replay($standby);

sub new_site
{
	my (%c) = @_;
	my $site = Kura::Site->new;

	$site->cluster('main', conninfo => $standby->conninfo, slot => 'none', %c);
	$site->pgkura_ok('init', 'init');
	return $site;
}

# Restore the newest backup; the number of rows of t.
sub rows_restored
{
	my ($site, @target) = @_;
	my $to = Kura::tempdir() . '/data';

	$site->pgkura_ok('restores', 'restore', 'main', "--to=$to", @target);
	my $c = $site->restored(of => $primary, to => $to)->start;
	$c->wait_for('SELECT NOT pg_is_in_recovery()');
	my $rows = $c->psql('SELECT count(*) FROM t');
	$c->stop;
	return $rows;
}

# How many backups are listed; none before the first.
sub backups
{
	my ($site) = @_;
	my $list = eval { $site->json('list', 'main') };

	return defined $list ? scalar @{ $list->{backups} } : 0;
}

# Wait until a backup has begun to arrive.
sub wait_running
{
	my ($site) = @_;
	my $file = $site->state . '/main/backup.progress';

	return Kura::wait_until(sub {
		-e $file && (Kura::slurp($file) =~ /"done":\s*([1-9]\d*)/)
		    && $1 > 1_000_000;
	}, 120);
}

subtest 'an idle standby' => sub {
	my $site = new_site();

	$site->pgkura_ok('is backed up', 'backup', 'main');
	is($site->json('list', 'main')->{backups}[0]{from_standby}
		? 1 : 0, 1, 'the backup says where it comes from');
	is(rows_restored($site, '--immediate'), '40000', 'and restores');
	$site->pgkura_ok('twice, without a checkpoint between', 'backup', 'main');
};

subtest 'a standby behind the last backup' => sub {
	my $site = new_site(conninfo => $primary->conninfo);

	$standby->psql('SELECT pg_wal_replay_pause()');
	$primary->psql('INSERT INTO t SELECT g FROM generate_series(40001, 41000) g');
	$site->pgkura_ok('a backup of the primary', 'backup', 'main');
	$site->cluster('main', conninfo => $primary->conninfo, slot => 'none',
		backup_conninfo => $standby->conninfo);
	# It cannot reach a consistent point while replay is held.
	$standby->psql('SELECT pg_wal_replay_resume()');
	$primary->psql('CHECKPOINT');
	$site->pgkura_ok('then one of the standby', 'backup', 'main');
	is(rows_restored($site, '--immediate'), '41000',
		'which is whole by itself');
};

# A standby's backup begins at its last restart point, a receiver at the segment
# of the moment: nobody would bring what lies between.
subtest 'a receiver that began behind the standby\'s restart point' => sub {
	my $source = Kura::Cluster->new(major => $major, name => 'source',
		init => { wal_segsize => 1 },
		conf => { autovacuum => 'off', wal_keep_size => '256MB',
			checkpoint_timeout => '1h' })->start;
	$source->psql('CREATE TABLE t AS SELECT 1 AS n');
	my $behind = $source->standby(name => 'behind')->start;
	$source->wait_replay($behind);
	for (1 .. 4) {
		$source->psql('INSERT INTO t SELECT generate_series(1, 100)');
		$source->switch_wal;
	}
	$source->wait_replay($behind);
	my $site = new_site(conninfo => $source->conninfo,
		backup_conninfo => $behind->conninfo);
	my $receiver = $site->receive('main');
	my $spans = sub {
		return eval { $site->json('wal', 'list', 'main')->{spans} } // [];
	};
	$source->psql('INSERT INTO t VALUES (1)');
	ok(Kura::wait_until(sub { return @{ $spans->() } == 1 }), 'WAL arrives');
	my $began = $spans->()->[0]{start_lsn};

	$site->pgkura_ok('the backup fetches the rest', 'backup', 'main');
	my ($span, @more) = @{ $spans->() };
	is(scalar @more, 0, 'WAL is whole');
	cmp_ok(Kura::Site::lsn_number($span->{start_lsn}), '<',
		Kura::Site::lsn_number($began), 'from before');
	is(rows_restored($site, '--immediate'), '402', 'it restores');
	$site->pgkura_ok('all is sound', 'verify', 'main');
	$receiver->kill('TERM');
	is($receiver->wait(30), 0, 'the receiver did not mind');
	$_->stop('immediate') for $behind, $source;
};

subtest 'B2: over TCP, and held to a rate' => sub {
	my $site = new_site(
		conninfo => 'host=127.0.0.1 port=' . $primary->port
		    . ' user=postgres',
		max_rate => '20MB');
	my $began = time;

	$site->pgkura_ok('is taken', 'backup', 'main');
	my ($b) = @{ $site->json('list', 'main')->{backups} };
	cmp_ok($b->{stored_bytes}, '<', $b->{bytes},
		'fewer bytes are written than a copy would');
	diag(sprintf('%.1f MB in %.1f s at no more than 20 MB/s',
		$b->{bytes} / 1e6, time - $began));
};

subtest 'Ctrl-C leaves nothing half' => sub {
	my $site = new_site(conninfo => $primary->conninfo, max_rate => '2MB');
	my $backup = Kura::spawn($site->words('backup', 'main'));

	ok(wait_running($site), 'a backup runs');
	$backup->kill('INT');
	is($backup->wait(60), 1, 'it ends');
	like($backup->err, qr/stop|cancel|interrupt/i, 'and says why');
	is(backups($site), 0,
		'no backup is listed');
	is((Kura::run('find', $site->repo, '-name', '.tmp.*'))[1], '',
		'nothing temporary is left');
	$site->cluster('main', conninfo => $primary->conninfo, slot => 'none');
	$site->pgkura_ok('the next one works', 'backup', 'main');
	$site->pgkura_ok('and all is sound', 'verify', 'main');
};

subtest 'a promotion between start and stop' => sub {
	my $site = new_site(max_rate => '2MB');
	my $backup = Kura::spawn($site->words('backup', 'main'));

	ok(wait_running($site), 'a backup of the standby runs');
	$standby->promote;
	isnt($backup->wait(120), 0, 'it fails');
	like($backup->err, qr/promoted/, 'with the server\'s words');
	is(backups($site), 0,
		'no backup is listed');
	$site->cluster('main', conninfo => $standby->conninfo, slot => 'none');
	$site->pgkura_ok('the new primary is backed up', 'backup', 'main');
	is(rows_restored($site), '41000', 'and restores on its timeline');
};

done_testing();
