#!/usr/bin/perl
# A standby that follows, when the primary is replaced, when WAL that it needs is
# gone, when the primary's settings grow; and as the source of backups.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Standby;

my @majors = grep { my $m = $_; grep { $_ == $m } 13, 15, 18 } Kura::servers();
plan skip_all => 'no PostgreSQL here' unless @majors;

my %conf = (wal_level => 'replica', max_slot_wal_keep_size => '1GB',
	wal_keep_size => '256MB');

sub fill
{
	my ($c, $rows) = @_;

	$c->psql("INSERT INTO t SELECT i, repeat(md5(i::text), 10)
		FROM generate_series(1, $rows) i");
	return;
}

sub begin
{
	my ($major) = @_;
	my $primary = Kura::Cluster->new(major => $major,
		init => { wal_segsize => 1 }, conf => {%conf})->start;
	my $y = Kura::Standby->new(primary => $primary);

	$primary->psql('CREATE TABLE t (a int, b text)');
	fill($primary, 2000);
	$y->site->pgkura_ok('a backup', 'backup', 'main');
	return ($primary, $y);
}

sub receive_from
{
	my ($y, $c) = @_;

	$y->{receiver}->kill('TERM');
	$y->{receiver}->wait(30);
	$y->configure(conninfo => $c->conninfo);
	$y->{receiver} = $y->site->receive('main');
	$y->{primary} = $c;
	return;
}

subtest 'the primary is replaced' => sub {
	my ($old, $y) = begin($majors[-1]);
	my $new = $old->standby(name => 'new')->start;

	$y->start_duty;
	$y->wait_follows;
	my $pid = $y->server->running;
	$old->wait_replay($new);
	$old->stop;
	$new->promote;
	fill($new, 500);
	receive_from($y, $new);
	$y->wait_follows;
	is($y->digest($y->server, 't'), $y->digest($new, 't'),
		'it follows the new timeline');
	is($y->server->running, $pid, 'without a restart');
	ok(Kura::wait_until(sub {
		$new->psql('CHECKPOINT');
		$y->server->psql('CHECKPOINT');
		return $y->site->json('standby', 'status', 'main')->{timeline}
		    == 2;
	}), 'status says so');
	$y->stop_duty;
};

subtest 'it is ahead of the new primary' => sub {
	my ($old, $y) = begin($majors[-1]);
	my $new = $old->standby(name => 'new', slot => 0)->start;

	$y->start_duty;
	$old->wait_replay($new);
	$new->stop;
	fill($old, 300);
	$y->wait_follows;
	$old->kill9;
	Kura::write_file($new->pgdata . '/pg_hba.conf',
		Kura::slurp($new->pgdata . '/pg_hba.conf'));
	$new->start;
	$new->promote;
	fill($new, 100);
	receive_from($y, $new);
	ok(Kura::wait_until(sub {
		$y->duty->err =~ /is made anew.*never had/ }, 120),
		'it says that it has diverged') || diag($y->duty->err, $y->log);
	$y->wait_follows;
	is($y->digest($y->server, 't'), $y->digest($new, 't'),
		'and follows again');
	like($y->duty->err, qr/kept_blocks=[1-9]/, 'most blocks were kept');
	$y->stop_duty;
};

subtest 'WAL that it needs is gone' => sub {
	my ($primary, $y) = begin($majors[0]);

	$y->start_duty;
	$y->wait_follows;
	$y->stop_duty;
	$y->server->stop;
	my $was = $y->server->psql_try('SELECT 1');
	fill($primary, 20000);
	$primary->switch_wal;
	$y->site->wait_wal('main', $primary->lsn);
	# What expire would have taken.
	my ($wal) = glob($y->site->repo . '/main/*-1/wal/00000001/00000000');
	my $low = (sort { $a <=> $b } map { hex substr((split m{/})[-1], 16, 8) }
		    glob("$wal/*"))[-1];
	$y->site->pgkura_ok('a newer backup', 'backup', 'main');
	for my $file (glob("$wal/*")) {
		unlink $file if hex(substr((split m{/}, $file)[-1], 16, 8)) < $low;
	}
	# And what the process that reads ahead has had of it, if it lives still.
	unlink glob($y->server->pgdata . '/pg_wal/pgkura.ahead/0*');
	$y->start_duty;
	ok(Kura::wait_until(sub { $y->duty->err =~ /is made anew/ }, 180),
		'it is made anew') || diag($y->duty->err, $y->log);
	$y->wait_follows;
	is($y->digest($y->server, 't'), $y->digest($primary, 't'),
		'and follows');
	$y->stop_duty;
};

for my $major (@majors) {
	subtest "PostgreSQL $major: settings grow" => sub {
		my ($primary, $y) = begin($major);

		$y->start_duty;
		$y->wait_follows;
		my $n = $primary->psql('SHOW max_connections') + 37;
		$primary->psql("ALTER SYSTEM SET max_connections = $n");
		$primary->restart;
		fill($primary, 100);
		$y->wait_follows;
		cmp_ok($y->server->psql('SHOW max_connections'), '>=', $n,
			'the standby has them too');
		$y->stop_duty;
	};
}

subtest 'BR5: backups of it' => sub {
	my ($primary, $y) = begin($majors[-1]);

	$y->start_duty;
	$y->wait_follows;
	$y->configure(backup_conninfo => $y->server->conninfo);
	$y->site->pgkura_ok('one is taken', 'backup', 'main');
	my ($b) = $y->site->json('list', 'main')->{backups}[-1];
	ok($b->{from_standby}, 'from the standby');
	fill($primary, 100);
	my $before = $primary->lsn;
	my $want = $y->digest($primary, 't');
	$primary->psql('DELETE FROM t');
	$y->site->wait_wal('main', $primary->lsn);
	my $to = Kura::tempdir() . '/back';
	$y->site->pgkura_ok('it restores to before an error', 'restore', 'main',
		"--to=$to", "--backup=$b->{backup}", "--lsn=$before", '--take-over',
		'--exclusive');
	my $auto = Kura::slurp("$to/postgresql.auto.conf");
	unlike($auto, qr/standby|wal_retrieve|port/,
		'with nothing of the standby in it');
	ok(!-e "$to/pgkura.standby", 'and no mark');
	my $c = $y->site->restored(of => $primary, to => $to)->start;
	$c->wait_for('SELECT NOT pg_is_in_recovery()');
	is($y->digest($c, 't'), $want, 'all rows are there');
	$y->stop_duty;
};

subtest 'what is not ours' => sub {
	my ($primary, $y) = begin($majors[-1]);
	my $other = Kura::Cluster->new(major => $majors[-1]);

	$y->configure(standby_dir => $other->pgdata);
	$y->site->pgkura_fails('is not made a standby', 1,
		qr/not a standby that pgkura has made/,
		'standby', 'create', 'main');
	$y->start_duty;
	ok(Kura::wait_until(sub {
		$y->duty->err =~ /not a standby that pgkura has made/ }),
		'the duty says what is there');
	$y->stop_duty;
	$other->start;
	is($other->psql('SELECT 1'), '1', 'and it is as it was');
};

done_testing();
