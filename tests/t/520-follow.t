#!/usr/bin/perl
# A standby that follows the repository: made, restarted, adopted, over a
# timeline switch, made anew when it cannot go on; as the source of backups.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes qw(sleep time);
use Kura;
use Kura::Standby;

my @majors = grep { my $m = $_; grep { $_ == $m } 13, 15, 18 } Kura::servers();
plan skip_all => 'no PostgreSQL here' unless @majors;

my %conf = (wal_level => 'replica', max_slot_wal_keep_size => '1GB',
	wal_keep_size => '256MB', archive_mode => 'on',
	archive_command => '/bin/false', synchronous_commit => 'local');

sub fill
{
	my ($c, $rows) = @_;

	$c->psql("INSERT INTO t SELECT i, repeat(md5(i::text), 10)
		FROM generate_series(1, $rows) i");
	return;
}

for my $major (@majors) {
	subtest "PostgreSQL $major: it follows" => sub {
		my $primary = Kura::Cluster->new(major => $major,
			conf => {%conf})->start;
		my $y = Kura::Standby->new(primary => $primary);
		my ($site, $s) = ($y->site, $y->server);

		$primary->psql('CREATE TABLE t (a int, b text)');
		fill($primary, 5000);
		$site->pgkura_ok('a backup', 'backup', 'main');
		$y->start_duty;
		$y->wait_follows;
		is($y->digest($s, 't'), $y->digest($primary, 't'),
			'the standby has what the primary has');
		is($s->psql('SHOW primary_conninfo'), '',
			'it knows no way to the primary');
		is($s->psql('SELECT count(*) FROM pg_stat_wal_receiver'), '0',
			'and receives from nobody');
		is($s->psql('SHOW archive_mode'), 'off', 'it does not archive');

		# The open segment: no switch, no checkpoint.
		my @late;
		for my $i (1 .. 5) {
			$primary->psql("INSERT INTO t VALUES (-$i, 'one')");
			my $began = time;
			ok(Kura::wait_until(sub {
				$s->psql("SELECT count(*) FROM t WHERE a = -$i")
				    eq '1';
			}, 60), "row $i of the open segment comes");
			push @late, time - $began;
			sleep 0.3;
		}
		diag(sprintf('PostgreSQL %d: a commit is seen after %s s', $major,
			join ' ', map { sprintf '%.2f', $_ } sort { $a <=> $b } @late));
		fill($primary, 200000);
		$y->wait_follows;
		is($y->digest($s, 't'), $y->digest($primary, 't'),
			'also over many segments');

		my $v = $site->json('standby', 'status', 'main');
		is($v->{state}, 'running', 'status: its state');
		is($v->{timeline}, 1, 'its timeline');
		ok(Kura::wait_until(sub {
			$v = $site->json('standby', 'status', 'main');
			return $v->{behind_bytes} == 0 && $v->{behind_us} < 20e6;
		}), 'how far behind it is') || diag(explain($v));
		my (undef, $out) = $site->pgkura('standby', 'status', 'main');
		like($out, qr/^standby +running in.*^replayed .*^behind +[\d.]+ (?:bytes|kB)/ms,
			'for people, too');

		# Down and up.
		$s->kill9;
		ok(Kura::wait_until(sub { $s->running }, 60),
			'after a crash it is started again');
		fill($primary, 100);
		$y->wait_follows;
		is($y->stop_duty, 0, 'the duty ends when asked to');
		my $pid = $s->running;
		ok($pid, 'its server goes on');
		fill($primary, 100);
		$y->wait_follows;
		$y->start_duty;
		ok(Kura::wait_until(sub { $y->duty->err =~ /runs already/ }),
			'RK5: it is adopted');
		is($s->running, $pid, 'as it runs');
		$site->pgkura_ok('it is stopped by order', 'standby', 'stop', 'main');
		ok(!$s->running, 'then it does not run');
		sleep 3;
		ok(!$s->running, 'and is not started');
		$site->pgkura_ok('until the order', 'standby', 'start', 'main');
		fill($primary, 100);
		$y->wait_follows;
		is($y->digest($s, 't'), $y->digest($primary, 't'),
			'it has everything again');

		# A stopped one that somebody else starts.
		$y->stop_duty;
		$s->stop;
		$s->start;
		$y->start_duty;
		fill($primary, 100);
		$y->wait_follows;
		is($s->psql('SELECT pg_is_in_recovery()'), 't',
			'started by pg_ctl it is the same standby');

		$site->pgkura_fails('it is not dropped by mistake', 2,
			qr/--yes/, 'standby', 'drop', 'main');
		ok($s->running, 'and runs');
		$site->pgkura_ok('but by order', 'standby', 'drop', 'main', '--yes');
		ok(!-e $y->dir, 'and is gone');
		$y->stop_duty;
		$primary->stop;
	};
}

done_testing();
