#!/usr/bin/perl
# Restore of what is not everyday: a relation of more than 1 GiB, a backup that
# a standby gave, WAL of more than one timeline.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my $site = Kura::Site->new;
my $dir = Kura::tempdir();
$site->pgkura_ok('init', 'init');

# What a server on to holds; it is stopped again.
sub restored_says
{
	my ($of, $to, $sql) = @_;
	my $c = $site->restored(of => $of, to => $to);

	$c->start;
	$c->wait_for('SELECT NOT pg_is_in_recovery()');
	my $says = $c->psql($sql);
	$c->stop;
	return $says;
}

# Pages without checksums may be copied: with copies of them at 70 and 250 MB and
# in a second segment, among new pages, all rows are there four times.
subtest 'a relation of more than 1 GiB' => sub {
	my $c = Kura::Cluster->new(name => 'large', init => { checksums => 0 },
		conf => { autovacuum => 'off' })->start;
	$c->psql('CREATE TABLE big AS SELECT generate_series(1, 100000) n');
	my $path = $c->pgdata . '/' . $c->psql("SELECT pg_relation_filepath('big')");
	$c->stop;
	Kura::run_ok('it grows', Kura::as_user('sh', '-c',
			"cp $path $path.1 && "
			    . "dd if=$path.1 of=$path bs=8k seek=9000 conv=notrunc 2>&1 && "
			    . "dd if=$path.1 of=$path bs=8k seek=32000 conv=notrunc 2>&1 && "
			    . "truncate -s 1G $path"));
	unlink("${path}_fsm");
	$c->start;
	is($c->psql('SELECT count(*) FROM big'), '400000', 'rows of both segments');

	$site->cluster('large', conninfo => $c->conninfo, slot => 'none');
	$site->pgkura_ok('backup', 'backup', 'large');
	my $to = "$dir/large";
	my $r = $site->json('restore', 'large', "--to=$to");
	cmp_ok($r->{bytes}, '>', 1.07e9, 'all of it is restored');
	cmp_ok($r->{written_bytes}, '<', 2e8, 'but no runs of zeros are written');
	my (undef, $used) = Kura::run('du', '-sm', $to);
	cmp_ok((split ' ', $used)[0], '<', 300, 'nor take space');
	my ($same) = Kura::run('cmp', $path,
		"$to/" . substr($path, length($c->pgdata) + 1));
	is($same, 0, 'the first segment is the same');
	$r = $site->json('restore', 'large', "--to=$to", '--delta');
	is($r->{written_blocks}, 0, 'and again: nothing differs');
	is(restored_says($c, $to, 'SELECT count(*) FROM big'), '400000',
		'all rows are there');
	$c->stop;
	Kura::run('rm', '-rf', $to, $c->pgdata);
};

subtest 'from a standby, over a promotion' => sub {
	my $primary = Kura::Cluster->new(name => 'primary',
		conf => { autovacuum => 'off', wal_keep_size => '1GB' })->start;
	$primary->psql('CREATE TABLE t (n int)');
	$primary->psql('INSERT INTO t VALUES (1)');
	my $standby = $primary->standby(name => 'standby', slot => 0)->start;
	$primary->wait_replay($standby);
	$site->cluster('main', conninfo => $primary->conninfo, slot => 'none',
		backup_conninfo => $standby->conninfo);
	# A standby's backup begins at its last restart point: that is to lie where
	# the receiver begins, or behind.
	$primary->psql('CHECKPOINT');
	$primary->wait_replay($standby);
	$standby->psql('CHECKPOINT');
	my $receiver = $site->receive('main');
	# A standby's backup ends where it has replayed: keep it moving.
	my $load = Kura::spawn('sh', '-c', 'while :; do '
		    . Kura::client('psql') . " -Xq -d '"
		    . $primary->conninfo(dbname => 'postgres')
		    . "' -c 'CHECKPOINT' -c 'INSERT INTO t VALUES (1)' "
		    . '>/dev/null; sleep 0.5; done');
	$site->pgkura_ok('backup from the standby', 'backup', 'main');
	$load->kill('TERM');
	$load->wait(10);
	my ($b) = @{ $site->json('list', 'main')->{backups} };
	ok($b->{from_standby}, 'it says so');

	sleep 1;
	$primary->psql('INSERT INTO t VALUES (2)');
	my $before = $primary->psql('SELECT clock_timestamp()');
	sleep 1;
	$primary->psql('INSERT INTO t VALUES (3)');
	$primary->wait_replay($standby);
	$standby->promote;
	# The old primary goes on for a while: a branch that is lost.
	$primary->psql('INSERT INTO t VALUES (10)');
	my $lost = $primary->psql('SELECT max(xmin::text::int) FROM t WHERE n = 10');
	$site->wait_wal('main', $primary->lsn);
	my $old = $primary->psql('SELECT clock_timestamp()');
	$receiver->kill('TERM');
	$receiver->wait(30);
	$primary->stop;

	$site->cluster('main', conninfo => $standby->conninfo, slot => 'none');
	$receiver = $site->receive('main');
	$standby->psql('INSERT INTO t VALUES (4)');
	my $now = $standby->psql('SELECT clock_timestamp()');
	$standby->psql('SELECT pg_switch_wal()');
	$standby->psql('INSERT INTO t VALUES (5)');
	ok(Kura::wait_until(sub {
			my ($status) = $site->pgkura('restore', 'main', '--plan',
				"--time=$now");
			return $status == 0;
		}, 60), 'WAL of the new timeline arrives');
	ok(Kura::wait_until(sub {
			my $w = $site->json('list', 'main')->{recoverable};
			return grep { $_->{timeline} == 2 } @$w;
		}, 60), 'and has a window of its own');

	my $sql = "SELECT string_agg(DISTINCT n::text, ' ') FROM t";
	my $rows = sub {
		my ($name, @target) = @_;
		my $to = Kura::tempdir() . '/data';
		$site->pgkura_ok("$name: restores", 'restore', 'main', "--to=$to",
			@target);
		return restored_says($standby, $to, $sql);
	};
	my $end = $standby->lsn;
	Kura::wait_until(sub {
			my ($status) = $site->pgkura('restore', 'main', '--plan',
				"--lsn=$end");
			return $status == 0;
		}, 60);
	is($rows->('immediate', '--immediate'), '1', 'immediate');
	is($rows->('time', "--time=$before"), '1 2', 'a time before the promotion');
	is($rows->('new', "--time=$now"), '1 2 3 4', 'a time after it');
	is($rows->('latest'), '1 2 3 4 5', 'the latest is on the new timeline');
	is($rows->('xid', "--xid=$lost", '--timeline=1'), '1 10 2 3',
		'what the old primary did alone, when its timeline is named');
	$receiver->kill('TERM');
	$standby->stop;
};

done_testing();
