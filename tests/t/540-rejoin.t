#!/usr/bin/perl
# An old primary that wrote on comes back: what only it had is kept as WAL of its
# own timeline, only blocks that differ are written, and both servers end with
# the same data.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Standby;

my @majors = grep { my $m = $_; grep { $_ == $m } 13, 15, 18 } Kura::servers();
plan skip_all => 'no PostgreSQL here' unless @majors;

my %conf = (wal_level => 'replica', max_slot_wal_keep_size => '1GB',
	wal_keep_size => '256MB', autovacuum => 'off');

sub fill
{
	my ($c, $rows) = @_;

	$c->psql("INSERT INTO t SELECT i, repeat(md5(i::text), 10)
		FROM generate_series(1, $rows) i");
	return;
}

# A primary, and a standby that has been promoted in its place.  What is done to
# the primary behind the end of the receiver is up to $last.
sub promoted
{
	my ($major, $last) = @_;
	my $primary = Kura::Cluster->new(major => $major, conf => {%conf})->start;
	my $y = Kura::Standby->new(primary => $primary);

	$primary->psql('CREATE TABLE t (a int, b text);
		CREATE TABLE big AS SELECT i, repeat(md5(i::text), 20) AS b
			FROM generate_series(1, 20000) i');
	fill($primary, 2000);
	$y->site->pgkura_ok('a backup', 'backup', 'main');
	$y->start_duty;
	fill($primary, 500);
	$y->wait_follows;
	$last->($primary, $y);
	my $p = $y->job('promote', 'main');
	is($p->{status}, 0, 'the standby is promoted') || diag(explain($p));
	$y->stop_duty;
	$y->{primary} = $y->server;
	$y->{receiver} = $y->site->receive('main');
	fill($y->server, 3000);
	$y->site->wait_wal('main', $y->server->lsn);
	return ($primary, $y, $p);
}

# From now on the site's standby is the old primary; the receiver goes on with
# the new one.  Gives a second Kura::Standby for it.
sub old_as_standby
{
	my ($primary, $y) = @_;
	my $conninfo = $y->server->conninfo;

	$y->{receiver}->kill('TERM');
	$y->{receiver}->wait(30);
	$y->configure(conninfo => $conninfo, standby_dir => $primary->pgdata,
		standby_port => undef, standby_settings => undef);
	unlink($y->site->state . '/main/promoted.json');
	my $z = bless { %{$y}, server => $primary, dir => $primary->pgdata },
	    ref $y;
	$z->{receiver} = $y->site->receive('main');
	return $z;
}

for my $major (@majors) {
	subtest "PostgreSQL $major: it wrote on" => sub {
		my ($primary, $y, $p) = promoted($major, sub {
			my ($primary, $y) = @_;

			# Nobody receives what it writes now.
			$y->receiver->kill('TERM');
			$y->receiver->wait(30);
			$primary->psql('INSERT INTO t VALUES (-7, \'lost\')');
			$primary->psql("DELETE FROM t WHERE a = 3");
			fill($primary, 60000);
			$primary->psql('CREATE TABLE only_here AS SELECT 1 AS n');
			$primary->psql('CHECKPOINT');
		});
		my $end = $primary->lsn;
		my $z = old_as_standby($primary, $y);

		my $j = $z->job('rejoin', 'main');
		is($j->{status}, 1, 'a server that runs does not rejoin');
		like($j->{text}, qr/is running/, 'and that is said');
		$primary->kill9;
		$j = $z->job('rejoin', 'main');
		is($j->{status}, 0, 'stopped it does')
		    || diag(explain($j), $z->log);
		is("$j->{old_timeline} $j->{timeline}", '1 2', 'from 1 to 2');
		is($j->{fork}, $p->{fork}, 'they part where the promotion was');
		cmp_ok($j->{diverged_commits}, '>=', 4,
			'what it committed behind that is counted');
		like($j->{salvaged}, qr/segments, up to/, 'and kept');
		cmp_ok($j->{kept}, '>', 3 * $j->{written},
			"only blocks that differ are written: $j->{written} of "
			    . ($j->{kept} + $j->{written}));

		$z->start_duty;
		$z->wait_follows;
		is($z->digest($primary, 't', 'big'),
			$y->digest($y->server, 't', 'big'),
			'both have the same data');
		is($primary->psql("SELECT to_regclass('only_here') IS NULL
			AND NOT EXISTS (SELECT FROM t WHERE a = -7)"), 't',
			'nothing was merged');
		fill($y->server, 200);
		$z->wait_follows;
		is($z->digest($primary, 't'), $y->digest($y->server, 't'),
			'and it follows');
		is($primary->psql('SELECT pg_is_in_recovery()'), 't',
			'as a standby');

		# The lost rows are there for whoever wants them.
		my $spans = $y->site->json('wal', 'list', 'main')->{spans};
		my ($old) = grep { $_->{timeline} == 1 } @{$spans};
		cmp_ok(Kura::Site::lsn_number($old->{end_lsn}), '>=',
			Kura::Site::lsn_number($end),
			'WAL of the old timeline reaches to its end');
		my $to = Kura::tempdir() . '/lost';
		$y->site->pgkura_ok('a restore of that timeline', 'restore',
			'main', "--to=$to", '--timeline=1');
		my $c = $y->site->restored(of => $primary, to => $to)->start;
		$c->wait_for('SELECT NOT pg_is_in_recovery()');
		is($c->psql('SELECT b FROM t WHERE a = -7'), 'lost',
			'has what was lost');
		$c->stop;
		$z->stop_duty;
		$y->site->pgkura_ok('all is sound', 'verify', 'main');
	};
}

subtest 'a switchover: nothing was written behind' => sub {
	my ($primary, $y) = promoted($majors[-1], sub {
		my ($primary, $y) = @_;

		# A clean stop ends when the receiver has everything.
		$primary->stop;
		$y->receiver->kill('TERM');
		$y->receiver->wait(30);
	});
	my $z = old_as_standby($primary, $y);
	my $j = $z->job('rejoin', 'main');
	is($j->{status}, 0, 'the old primary rejoins')
	    || diag(explain($j), $z->log);
	is($j->{diverged_commits}, 0, 'it has nothing of its own');
	is($j->{written}, 0, 'and no block is written');
	$z->start_duty;
	$z->wait_follows;
	is($z->digest($primary, 't', 'big'), $y->digest($y->server, 't', 'big'),
		'both have the same data');
	$z->stop_duty;

	# And back: the old primary is promoted.
	$y->server->stop;
	$z->{receiver}->kill('TERM');
	$z->{receiver}->wait(30);
	my $p = $z->job('promote', 'main');
	is("$p->{status} $p->{timeline}", '0 3', 'and can be promoted again')
	    || diag(explain($p), $z->log);
	fill($primary, 10);
};

subtest 'killed on the way' => sub {
	my ($primary, $y) = promoted($majors[-1], sub {
		my ($primary, $y) = @_;

		$y->receiver->kill('TERM');
		$y->receiver->wait(30);
		$primary->psql('INSERT INTO t VALUES (-7, \'lost\')');
		fill($primary, 20000);
	});
	my $end = $primary->lsn;
	my $z = old_as_standby($primary, $y);
	$primary->kill9;
	for my $ms (20, 60, 120, 250, 500) {
		my $p = Kura::spawn(Kura::as_user('env',
			'PGKURA_CONF=' . $y->site->conf,
			Kura::program('sitejobs'), 'rejoin', 'main'));
		select(undef, undef, undef, $ms / 1000);
		$p->kill('KILL');
		$p->wait(10);
	}
	# The duty completes what has begun; what has not is done.
	my $j = $z->job('rejoin', 'main');
	$z->start_duty;
	$z->wait_follows;
	is($z->digest($primary, 't', 'big'), $y->digest($y->server, 't', 'big'),
		'both have the same data');
	my ($old) = grep { $_->{timeline} == 1 }
	    @{ $y->site->json('wal', 'list', 'main')->{spans} };
	cmp_ok(Kura::Site::lsn_number($old->{end_lsn}), '>=',
		Kura::Site::lsn_number($end), 'and what was lost is kept');
	$z->stop_duty;
};

done_testing();
