#!/usr/bin/perl
# Receiving what is unusual: records longer than segments, large segments, a
# repository without space.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes qw(sleep);
use Kura;
use Kura::Site;

my $major = (Kura::servers())[-1];
plan skip_all => 'no PostgreSQL here' if !defined $major;

sub start
{
	my ($wal_segsize) = @_;
	my $primary = Kura::Cluster->new(major => $major,
		init => { wal_segsize => $wal_segsize },
		conf => { wal_level => 'replica', max_slot_wal_keep_size => '2GB',
			max_wal_size => '1GB' })->start;
	my $site = Kura::Site->new;

	$site->cluster('main', conninfo => $primary->conninfo);
	$primary->psql('CREATE TABLE t (a int, b text)');
	return ($primary, $site);
}

sub receive
{
	my ($primary, $site) = @_;
	my $receiver = $site->receive('main');

	$primary->wait_for(
		'SELECT count(*) = 1 FROM pg_replication_slots WHERE active');
	return $receiver;
}

sub spans
{
	my ($site) = @_;

	return @{ $site->json('wal', 'list', 'main')->{spans} };
}

# All of it can be read as records.
sub reads
{
	my ($site, $name) = @_;
	my ($span) = spans($site);
	my ($status, $out, $err) = Kura::run(Kura::as_user(
		Kura::program('walkit'), $site->conf, 'scan', 'main', 1,
		$span->{start_lsn}, $span->{end_lsn}));

	return is($status, 0, $name) || diag($err);
}

subtest 'records longer than segments' => sub {
	my ($primary, $site) = start(1);
	$site->pgkura_ok('a repository', 'init');
	my $receiver = receive($primary, $site);
	for my $round (1 .. 6) {
		my $char = $round % 2 ? 'x' : ' ';
		$primary->psql("SELECT pg_logical_emit_message($_, 'long',
			repeat('$char', 4500000))") for qw(true false);
		$receiver->kill('KILL') if $round > 2;
		$receiver->wait(10) if $round > 2;
		$receiver = receive($primary, $site) if $round > 2;
	}
	$primary->psql('INSERT INTO t VALUES (1)');
	$site->wait_wal('main', $primary->lsn);
	is(scalar(spans($site)), 1, 'there is no hole');
	reads($site, 'they can be read');
};

# A byte of the open segment turns over in the record that began in the segment
# before, which is stored: the slot still has it.
subtest 'damage in a record that crosses into the open segment' => sub {
	my ($primary, $site) = start(1);
	$site->pgkura_ok('a repository', 'init');
	my $receiver = receive($primary, $site);
	$primary->switch_wal;
	$primary->psql("SELECT pg_logical_emit_message(true, 'long',
		repeat('x', 1500000))");
	$primary->psql('INSERT INTO t VALUES (1)');
	$site->wait_wal('main', $primary->lsn);
	my ($open, $left);
	ok(Kura::wait_until(sub {
			($open, $left) = glob($site->repo . '/*/*/wal/open/*');
			return defined $open && !defined $left;
		}), 'all but the last segment is stored');
	$receiver->kill('KILL');
	$receiver->wait(10);

	open(my $f, '+<', $open) or die $!;
	seek($f, 1000, 0);
	read($f, my $byte, 1);
	seek($f, 1000, 0);
	print {$f} $byte ^ "\x01";
	close($f) or die $!;
	$receiver = receive($primary, $site);
	$primary->psql('INSERT INTO t VALUES (2)');
	$site->wait_wal('main', $primary->lsn);
	like($receiver->err, qr/begins with a broken record; it is received again/,
		'the receiver says so');
	is(scalar(spans($site)), 1, 'and there is no hole');
	reads($site, 'all can be read, up to the end');
	$receiver->kill('TERM');
	is($receiver->wait(30), 0, 'it goes on');
	$primary->stop;
};

subtest 'segments of 64 MB' => sub {
	my ($primary, $site) = start(64);
	$site->pgkura_ok('a repository', 'init');
	my $receiver = receive($primary, $site);
	$primary->psql("INSERT INTO t SELECT i, repeat(md5(i::text), 30)
		FROM generate_series(1, 150000) i");
	my $lsn = $primary->lsn;
	my $name = $primary->switch_wal;
	$primary->psql('INSERT INTO t VALUES (1)');
	$site->wait_wal('main', $primary->lsn);
	is(scalar(spans($site)), 1, 'there is no hole');
	my (undef, $ours) = Kura::run(Kura::as_user(Kura::program('walkit'),
		$site->conf, 'cat', 'main', $name));
	ok($ours eq Kura::slurp($primary->pgdata . "/pg_wal/$name"),
		'a segment is the one of the server');
	reads($site, 'they can be read');
};

# A small file system for the repository, that goes with us.
my $mounted;

sub mount_small
{
	my ($folder) = @_;

	Kura::run(Kura::as_user('mkdir', $folder));
	my ($status) = Kura::run('mount', '-t', 'tmpfs', '-o',
		'size=12m,mode=0777', 'pgkura-test', $folder);
	$mounted = $folder if $status == 0;
	return $status == 0;
}

END {
	if (defined $mounted) {
		my $status = $?;
		system('umount', '-l', $mounted);
		$? = $status;
	}
}

# Whoever looks meanwhile sees what is there, and no hole.  A process that looks on and
# on until the file $end is there, and prints what it saw: a line each.
sub looks
{
	my ($site, $end) = @_;

	return Kura::spawn('sh', '-c', 'end=$1; shift; while ! test -e "$end"; do
			"$@" 2>&1 | tr -d "\n"; echo; done', 'sh', $end,
		$site->words('wal', 'list', 'main', '--json'));
}

subtest 'no space' => sub {
	my ($primary, $site) = start(1);
	plan skip_all => 'cannot mount a file system here'
	    if !mount_small($site->dir . '/small');
	$site->site(repository => $site->dir . '/small/repo');
	$site->pgkura_ok('a repository', 'init');
	my $receiver = receive($primary, $site);
	my $end = $site->dir . '/looked-enough';
	my $looks = looks($site, $end);
	Kura::run(Kura::as_user('sh', '-c',
		"head -c 10500000 /dev/zero >'$mounted/filler'"));
	# Bytes that do not shrink.
	$primary->psql("INSERT INTO t SELECT i, gen_random_uuid()::text ||
		gen_random_uuid()::text FROM generate_series(1, 60000) i");
	ok(Kura::wait_until(sub { $receiver->err =~ /No space left/ }),
		'it is told');
	ok($receiver->alive, 'the receiver goes on trying');
	Kura::wait_until(sub { ($looks->out =~ tr/\n//) > 100 });
	Kura::run('rm', "$mounted/filler");
	$site->wait_wal('main', $primary->lsn, 120);
	is(scalar(spans($site)), 1, 'with space again there is no hole');
	Kura::write_file($end, '');
	$looks->wait(60);
	my @seen = split /\n/, $looks->out;
	is_deeply([ grep { !/"spans"/ || (() = /"start_lsn"/g) > 1 } @seen ], [],
		'who looked meanwhile saw none either, ' . @seen . ' times');
	reads($site, 'and all can be read');
	$receiver->kill('TERM');
	is($receiver->wait(20), 0, 'it stops when asked to');
};

done_testing();
