#!/usr/bin/perl
# Retention beside a backup and a restore: expire runs again and again with the
# least retention there is, and takes nothing that they need.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes qw(sleep);
use Kura;
use Kura::Site;

my $major = (Kura::servers())[-1];
plan skip_all => 'no PostgreSQL here' if !defined $major;

my $primary = Kura::Cluster->new(major => $major,
	init => { checksums => 1, wal_segsize => 1 },
	conf => { wal_level => 'replica', wal_keep_size => '64MB' })->start;
my $site = Kura::Site->new;
my %least = (conninfo => $primary->conninfo, slot => 'none',
	keep_backups => 1, keep_age => '0s', expire_grace => '0s');

sub expire { return $site->pgkura_ok('expire', 'expire', 'main'); }

# Run expire as long as process lives; how often it did, and what it said that
# is not success.  One that has been stopped goes on by steps, the first of which
# is step seconds long, and each twice the one before.
sub expire_beside
{
	my ($process, $step) = @_;
	my ($rounds, @failed) = (0);

	while ($process->alive) {
		my ($status, $out, $err) = $site->pgkura('expire', 'main');
		push @failed, "status $status: $err" if $status != 0;
		$rounds++;
		next if !defined $step;
		$process->kill('CONT');
		sleep($step);
		$process->kill('STOP');
		$step *= 2;
	}
	return ($rounds, @failed);
}

sub finished
{
	my ($process, $what, $step) = @_;
	my ($rounds, @failed) = expire_beside($process, $step);

	is($process->wait(60), 0, "$what finishes beside expire")
	    or diag($process->err);
	is("@failed", '', 'expire never fails');
	cmp_ok($rounds, '>', 1, "$rounds runs of expire");
	return;
}

sub packs
{
	return map { m{/([^/]+)$} } glob $site->repo . '/main/*/packs/*/*';
}

# Has process said that it reads, and not yet that it is done?
sub reads
{
	my ($process) = @_;
	my $pid = $process->pid;

	return grep { /"kind": *"read"/ && /"pid": *$pid\b/ }
	    map { eval { Kura::slurp($_) } // () } glob $site->repo . '/main/*/intents/*';
}

# A restore that is stopped while it reads; where it restores to.
sub stopped_restore
{
	my ($id) = @_;

	for (1 .. 20) {
		my $to = Kura::tempdir() . '/data';
		my $restore = Kura::spawn($site->words('restore', 'main', "--to=$to",
			"--backup=$id", '--immediate', '--workers=1'));
		sleep(0.001) while !reads($restore) && $restore->alive;
		$restore->kill('STOP');
		my $stat = '/proc/' . $restore->pid . '/stat';
		sleep(0.001) while $restore->alive && Kura::slurp($stat) !~ /\) T /;
		return ($restore, $to) if $restore->alive && reads($restore);
		$restore->kill('CONT');
		$restore->wait(60); # it was faster than we
	}
	die "no restore can be stopped while it reads\n";
}

$site->cluster('main', %least);
$site->pgkura_ok('a repository', 'init');
$primary->psql(q{CREATE TABLE t AS SELECT i, md5(i::text) AS s, repeat('x', 200)
	FROM generate_series(1, 30000) i});
$site->pgkura_ok('a first backup', 'backup', 'main');
$site->pgkura_ok('a second one', 'backup', 'main');
my @parent = packs();

subtest 'a slow backup' => sub {
	$site->cluster('main', %least, max_rate => '6MB');
	my $backup = Kura::spawn($site->words('backup', 'main'));
	ok(Kura::wait_until(sub { return glob $site->repo . '/main/*/intents/*' }),
		'it has begun');
	$site->pgkura_ok('expire beside it', 'expire', 'main');
	my %there = map { $_ => 1 } packs();
	is(join(' ', grep { !$there{$_} } @parent), '',
		'packs of its parent stay') if $backup->alive;
	finished($backup, 'a backup');
	$site->cluster('main', %least);
	expire();
	expire();
	$site->pgkura_ok('what is left is sound', 'verify', 'main');
	is(scalar(@{ $site->json('list', 'main')->{backups} }), 1,
		'one backup is left');
};

subtest 'a restore that is paused' => sub {
	my $id = $site->json('list', 'main')->{backups}[0]{backup};
	$site->cluster('main', %least, expire_grace => '1h');
	my ($restore, $to) = stopped_restore($id);
	$primary->psql(q{UPDATE t SET s = s || 'changed'});
	$site->pgkura_ok('a newer backup', 'backup', 'main');
	expire() for 1 .. 3;
	my @left = map { $_->{backup} } @{ $site->json('list', 'main')->{backups} };
	ok((grep { $_ eq $id } @left), 'the one that is read is not withdrawn');
	finished($restore, 'the restore', 0.005);
	# Recovery fetches WAL when the restore has ended: the grace time is for
	# that.
	expire() for 1 .. 2;
	my $c = $site->restored(of => $primary, to => $to);
	is($c->start->psql(q{SELECT count(*) FROM t WHERE s = md5(i::text)}),
		'30000', 'what was restored is right');
	$site->cluster('main', %least);
	expire() for 1 .. 2;
	@left = map { $_->{backup} } @{ $site->json('list', 'main')->{backups} };
	is((grep { $_ eq $id } @left) + 0, 0, 'afterwards it goes');
	$site->pgkura_ok('what is left is sound', 'verify', 'main');
};

# What is withdrawn just before a restore says that it reads.
subtest 'withdrawn while it is read' => sub {
	my $id = $site->json('list', 'main')->{backups}[0]{backup};
	my ($root) = glob $site->repo . "/main/*/backups/$id";
	my ($restore) = stopped_restore($id);
	$site->pgkura_ok('a newer backup', 'backup', 'main');
	my ($withdrawn) = $root =~ s{/backups/}{/withdrawn/}r;
	Kura::run(Kura::as_user('mkdir', '-p', $withdrawn =~ s{/[^/]+$}{}r));
	rename($root, $withdrawn) or die "$root: $!";
	expire() for 1 .. 3;
	ok(-e $withdrawn, 'its packs are held');
	finished($restore, 'the restore', 0.005);
};

# A backup that is committed while expire is at work: expire holds the lock of
# backups before it looks which there are.
subtest 'many short ones' => sub {
	my $loop = Kura::spawn('sh', '-c', join ' ', 'for i in 1 2 3 4 5 6; do',
		(map { "'$_'" } $site->words('backup', 'main')),
		'|| test $? -eq 75 || exit 1; done');
	my ($rounds, @failed) = expire_beside($loop);

	is($loop->wait(60), 0, 'backups succeed, or say that it is not the time')
	    or diag($loop->err);
	is("@failed", '', 'expire never fails');
	$site->pgkura_ok('all that is left is sound', 'verify', 'main');
};
done_testing();
