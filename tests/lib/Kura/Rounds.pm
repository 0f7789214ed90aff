package Kura::Rounds;

# Kura::Rounds: rounds of kill -9 at random moments.
#
#	Kura::Rounds::run($rounds);	# all checks; plans and ends the test
#
# A server commits only what its receiver has made durable.  In each round one
# of receiver, backup, restore or the server is killed.  Then everything goes on
# unattended, list shows backups that verify, and a killed restore's directory
# does not start until --delta has completed it.  In the end every insert that a
# client was told of is in a restored copy.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep);
use Kura;
use Kura::Site;

my ($primary, $site, $receiver, $client, $go, $told);

# A client that writes down what it was told of, and comes back when the server
# does.
sub start_client
{
	my ($psql, $conninfo) = (Kura::client('psql'), $primary->conninfo);

	$go = Kura::tempdir() . '/go';
	$told = "$go.told";
	Kura::write_file($_, '') for $go, $told;
	return Kura::spawn('sh', '-c', <<"END");
while test -e '$go'; do
	(while test -e '$go'; do
		echo "INSERT INTO t (filler) VALUES (repeat('x', 300)) RETURNING id;"
	done) | '$psql' -XAtq -v ON_ERROR_STOP=1 -d '$conninfo' >>'$told' 2>/dev/null
	sleep 0.1
done
END
}

sub told { return grep { /^\d+$/ } split /\n/, Kura::slurp($told); }

# Commits are acknowledged again.
sub goes_on
{
	my ($what) = @_;
	my $before = told();

	ok(Kura::wait_until(sub { return told() > $before + 5 }),
		"$what: commits go on") or diag($receiver->err);
	return;
}

my %round = (
	receiver => sub {
		$receiver->kill('KILL');
		$receiver->wait(10);
		$receiver = $site->receive('main');
	},
	server => sub {
		$primary->kill9;
		$primary->start;
	},
	backup => sub {
		my $backup = Kura::spawn($site->words('backup', 'main'));
		sleep(rand(1.5));
		$backup->kill('KILL');
		$backup->wait(10);
		$site->pgkura_ok('the next backup succeeds', 'backup', 'main');
	},
	restore => sub {
		my $to = Kura::tempdir() . '/data';
		my @words = ('restore', 'main', "--to=$to", '--immediate');
		my $restore = Kura::spawn($site->words(@words));
		sleep(rand(0.6));
		$restore->kill('KILL');
		$restore->wait(10);
		# One may be killed when nothing is left to do but to say so.
		my $whole = -e "$to/global/pg_control";
		my $r = $site->json(@words, -d $to ? '--delta' : ());
		ok(!$whole || $r->{written_blocks} == 0,
			'what a killed restore left cannot start, or is whole');
		ok(-e "$to/global/pg_control", '--delta completes it');
		Kura::run('rm', '-rf', $to);
	},
);

sub all_listed_verify
{
	my ($what) = @_;

	for my $backup (@{ $site->json('list', 'main')->{backups} }) {
		$site->pgkura_ok("$what: a listed backup is whole", 'verify',
			'main', $backup->{backup});
	}
	return;
}

sub set_up
{
	$primary = Kura::Cluster->new(init => { wal_segsize => 1 },
		conf => { wal_level => 'replica', max_slot_wal_keep_size => '1GB',
			fsync => 'on', restart_after_crash => 'on' })->start;
	$site = Kura::Site->new;
	$site->cluster('main', conninfo => $primary->conninfo,
		keep_backups => 2, keep_age => '0s', expire_grace => '0s');
	$site->pgkura_ok('a repository', 'init');
	$primary->psql('CREATE TABLE t (id serial PRIMARY KEY, filler text)');
	$receiver = $site->receive('main');
	$primary->wait_for(
		'SELECT count(*) = 1 FROM pg_replication_slots WHERE active');
	$site->pgkura_ok('a first backup', 'backup', 'main');
	$primary->psql(q{ALTER SYSTEM SET synchronous_standby_names = 'pgkura'});
	$primary->reload;
	$primary->wait_for(q{SELECT sync_state = 'sync' FROM pg_stat_replication});
	$client = start_client();
	return;
}

# Every insert that was acknowledged is in a restored copy.
sub check_nothing_lost
{
	my $to = Kura::tempdir() . '/data';

	unlink $go;
	$primary->kill9;
	$receiver->kill('KILL');
	$_->wait(20) for $receiver, $client;
	$site->pgkura_ok('a restore of the latest', 'restore', 'main', "--to=$to");
	my $copy = $site->restored(of => $primary, to => $to);
	$copy->start;
	$copy->wait_for('SELECT NOT pg_is_in_recovery()');
	my %there = map { $_ => 1 } split /\n/, $copy->psql('SELECT id FROM t');
	my @told = told();
	my @lost = grep { !$there{$_} } @told;
	is("@lost", '', scalar(@told) . ' acknowledged inserts are all there');
	cmp_ok(scalar(@told), '>', 20, 'there were some');
	return;
}

# The names of killed processes go once they are old.
sub check_no_garbage
{
	my ($old) = (time - 7200);
	my $find = sub {
		my (undef, $out) = Kura::run('find', $site->repo, '-name', '.tmp.*');
		return split /\n/, $out;
	};

	# A receiver sweeps there, too, but when it has a server only.
	Kura::write_file("$_/.tmp.0123456789abcdef", '')
	    for glob($site->repo . '/main/*/wal/open');
	utime $old, $old, $find->();
	$receiver = $site->receive('main');
	$site->pgkura_ok('expire', 'expire', 'main') for 1 .. 3;
	ok(Kura::wait_until(sub { return !$find->() }, 20),
		'no temporary file is left') or diag(join "\n", $find->());
	is(join(' ', glob $site->repo . '/main/*/intents/*'), '',
		'and no intent');
	$receiver->kill('TERM');
	$receiver->wait(20);
	return;
}

sub run
{
	my ($rounds) = @_;
	my $seed = $ENV{PGKURA_SEED} // time;
	my @kinds = sort keys %round;

	plan skip_all => 'no PostgreSQL here' unless Kura::servers();
	srand($seed);
	set_up();
	for my $n (1 .. $rounds) {
		my $kind = $kinds[$n % @kinds];
		sleep(rand(0.5));
		$round{$kind}->();
		goes_on("round $n, $kind");
		all_listed_verify("round $n") if $n % 4 == 0;
		expire_now() if $n % 10 == 0;
	}
	check_nothing_lost();
	all_listed_verify('in the end');
	check_no_garbage();
	diag("seed $seed") if !Test::More->builder->is_passing;
	done_testing();
	return;
}

sub expire_now { return $site->pgkura_ok('expire', 'expire', 'main'); }

1;
