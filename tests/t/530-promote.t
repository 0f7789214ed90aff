#!/usr/bin/perl
# BR4: a standby that followed becomes the primary: all that was here is there,
# it takes writes, and this site goes on with the new timeline.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Standby;

my @majors = grep { my $m = $_; grep { $_ == $m } 13, 15, 18 } Kura::servers();
plan skip_all => 'no PostgreSQL here' unless @majors;

my %conf = (wal_level => 'replica', max_slot_wal_keep_size => '1GB',
	wal_keep_size => '256MB', synchronous_commit => 'local');

sub fill
{
	my ($c, $rows) = @_;

	$c->psql("INSERT INTO t SELECT i, repeat(md5(i::text), 10)
		FROM generate_series(1, $rows) i");
	return;
}

sub begin
{
	my ($major, %cluster) = @_;
	my $primary = Kura::Cluster->new(major => $major, conf => {%conf})->start;
	my $y = Kura::Standby->new(primary => $primary, cluster => {%cluster});

	$primary->psql('CREATE TABLE t (a int, b text)');
	fill($primary, 2000);
	$y->site->pgkura_ok('a backup', 'backup', 'main');
	return ($primary, $y);
}

# All that the primary has is here, then it is gone.
sub lose
{
	my ($primary, $y) = @_;

	$y->site->wait_wal('main', $primary->lsn);
	my $digest = $y->digest($primary, 't');
	$primary->kill9;
	$y->receiver->kill('TERM');
	$y->receiver->wait(30);
	return $digest;
}

sub hook
{
	my ($dir, $text) = @_;
	my $path = "$dir/hook";

	Kura::write_file($path, "#!/bin/sh\n$text");
	chmod(0755, $path);
	return $path;
}

for my $major (@majors) {
	subtest "PostgreSQL $major: BR4" => sub {
		my $dir = Kura::tempdir();
		my $hook = hook($dir, <<"END");
{ echo "\$1 \$PGKURA_HOOK"; env | grep '^PGKURA_' | sort; } >>$dir/said
END
		my ($primary, $y) = begin($major, promote_hook => $hook);
		my ($site, $s) = ($y->site, $y->server);
		$y->start_duty;
		$y->wait_follows;
		fill($primary, 20000);
		my $digest = lose($primary, $y);

		my $plan = $y->job('plan', 'main');
		is($plan->{status}, 0, 'what a promotion would lose is told')
		    || diag(explain($plan));
		like($plan->{end}, qr{^0/[0-9A-F]{6,}$}, 'up to where');
		cmp_ok($plan->{loss_us}, '>=', 0, 'since when');
		ok(!-e "$dir/said" && $s->psql('SELECT pg_is_in_recovery()') eq 't',
			'and nothing is done');

		my $p = $y->job('promote', 'main');
		is($p->{status}, 0, 'it is promoted') || diag(explain($p), $y->log);
		is("$p->{promoted} $p->{probed} $p->{old_timeline} $p->{timeline}",
			'1 1 1 2', 'to timeline 2, and has taken a write');
		cmp_ok(Kura::Site::lsn_number($p->{fork}), '>=',
			Kura::Site::lsn_number($p->{end}),
			'the new timeline begins behind all that was here');
		is($y->digest($s, 't'), $digest, 'every row is there');
		my @said = grep { /^(before|after)/ } split /\n/,
		    Kura::slurp("$dir/said");
		is("@said", 'before before after after', 'the hook ran twice');
		like(Kura::slurp("$dir/said"),
			qr/^after.*^PGKURA_CLUSTER=main.*^PGKURA_CONNINFO=.*^PGKURA_TIMELINE=2/ms,
			'with what it needs to know');
		diag("PostgreSQL $major, us: " . join ', ',
			map { $p->{"step.$_"} } 0 .. 6);
		ok(Kura::wait_until(sub { $y->duty->err =~ /left alone/ }),
			'the duty leaves it alone');

		# This site goes on.
		$y->{primary} = $s;
		my $receiver = $site->receive('main');
		fill($s, 5000);
		$s->psql('INSERT INTO t VALUES (-1, \'after\')');
		$site->wait_wal('main', $s->lsn);
		my %timelines = map { $_->{timeline} => 1 }
		    @{ $site->json('wal', 'list', 'main')->{spans} };
		is(join(' ', sort keys %timelines), '1 2',
			'WAL of the new timeline is received here');
		my $to = Kura::tempdir() . '/back';
		$site->pgkura_ok('a restore goes over the promotion', 'restore',
			'main', "--to=$to");
		my $c = $site->restored(of => $primary, to => $to)->start;
		$c->wait_for('SELECT NOT pg_is_in_recovery()');
		is($y->digest($c, 't'), $y->digest($s, 't'), 'to the last row');
		$site->pgkura_ok('backups are taken of it', 'backup', 'main');
		$site->pgkura_fails('it is not dropped any more', 1, qr/promoted/,
			'standby', 'drop', 'main', '--yes');
		my $again = $y->job('promote', 'main');
		is("$again->{status} $again->{timeline}", '0 2',
			'a second promotion finds it done');
		$y->stop_duty;
		$s->stop;
		$y->start_duty;
		sleep 3;
		ok(!$s->running, 'a promoted one that is stopped is not started');
		$y->stop_duty;
	};
}

my $major = $majors[-1];

subtest 'a stopped one, far behind' => sub {
	my ($primary, $y) = begin($major);
	$y->start_duty;
	$y->wait_follows;
	$y->stop_duty;
	$y->server->stop;
	fill($primary, 200000);
	my $digest = lose($primary, $y);
	my $p = $y->job('promote', 'main');
	is($p->{status}, 0, 'is started, replays and is promoted')
	    || diag(explain($p), $y->log);
	is($y->digest($y->server, 't'), $digest, 'every row is there');
};

subtest 'a cold one' => sub {
	my ($primary, $y) = begin($major, standby_hot => 'no');
	$y->start_duty;
	ok(Kura::wait_until(sub { $y->duty->err =~ /the standby runs/ }, 60),
		'it runs') || diag($y->duty->err, $y->log);
	isnt(($y->server->psql_try('SELECT 1'))[0], 0, 'without sessions');
	fill($primary, 50000);
	my $digest = lose($primary, $y);
	my $p = $y->job('promote', 'main');
	is($p->{status}, 0, 'and is promoted') || diag(explain($p), $y->log);
	is($y->digest($y->server, 't'), $digest, 'every row is there');
	$y->stop_duty;
};

subtest 'none yet' => sub {
	my ($primary, $y) = begin($major);
	fill($primary, 5000);
	my $digest = lose($primary, $y);
	my $p = $y->job('promote', 'main');
	is($p->{status}, 0, 'is made and promoted') || diag(explain($p), $y->log);
	is($y->digest($y->server, 't'), $digest, 'every row is there');
};

subtest 'the hook fails' => sub {
	my $dir = Kura::tempdir();
	my ($primary, $y) = begin($major, promote_hook =>
		    hook($dir, "echo no fence; test \$1 = after\n"));
	$y->start_duty;
	$y->wait_follows;
	my $digest = lose($primary, $y);
	my $p = $y->job('promote', 'main');
	is($p->{status}, 1, 'before: nothing is promoted');
	like($p->{text}, qr/hook before.*ended with status 1: no fence/,
		'and it says why');
	is($y->server->psql('SELECT pg_is_in_recovery()'), 't', 'it still follows');

	hook($dir, "echo no address; test \$1 = before\n");
	$p = $y->job('promote', 'main');
	is("$p->{status} $p->{promoted} $p->{probed}", '1 1 1',
		'after: it is promoted, and that is told');
	like($p->{text}, qr/hook after.*no address/, 'with why');

	hook($dir, "sleep 100\n");
	$y->configure(promote_hook_timeout => '1s');
	$p = $y->job('promote', 'main');
	like($p->{text}, qr/did not end within 1s/, 'one that hangs is killed');
	hook($dir, "exit 0\n");
	$y->configure(promote_hook_timeout => undef);
	$p = $y->job('promote', 'main');
	is($p->{status}, 0, 'once it works, all is done');
	$y->stop_duty;
};

subtest 'killed on the way' => sub {
	my ($primary, $y) = begin($major);
	$y->start_duty;
	$y->wait_follows;
	my $digest = lose($primary, $y);
	for my $ms (1, 30, 80, 150, 400) {
		my $p = Kura::spawn(Kura::as_user('env',
			'PGKURA_CONF=' . $y->site->conf,
			Kura::program('sitejobs'), 'promote', 'main'));
		select(undef, undef, undef, $ms / 1000);
		$p->kill('KILL');
		$p->wait(10);
	}
	my $p = $y->job('promote', 'main');
	is("$p->{status} $p->{timeline}", '0 2', 'the last one finds all done')
	    || diag(explain($p), $y->log);
	is($y->digest($y->server, 't'), $digest, 'every row is there');
	$y->stop_duty;
};

done_testing();
