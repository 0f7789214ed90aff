#!/usr/bin/perl
# A site that was broken into: with its keys somebody sends to the other site
# what no pgkura would (tests/programs/badpeer.c).  Whatever it is, nothing that
# was there changes, memory and disk stay bounded, other clusters go on, and the
# repository is sound; then the right site goes on where it was.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Digest::SHA ();
use File::Find ();
use Test::More;
use Kura;
use Kura::Sites;

# What AddressSanitizer keeps of freed memory, 256 MiB by default, is no growth.
$ENV{ASAN_OPTIONS} = join ':', $ENV{ASAN_OPTIONS} || (), 'quarantine_size_mb=64';

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my %server = map {
	$_ => Kura::Cluster->new(major => $major, name => $_,
		init => { wal_segsize => 1 },
		conf => { max_slot_wal_keep_size => '1GB' })->start
} qw(main local);
my $sites = Kura::Sites->new(names => [qw(tokyo osaka)]);
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
$tokyo->cluster('main', conninfo => $server{main}->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka');
$osaka->cluster('main', accept_from => 'tokyo');
$osaka->cluster('local', conninfo => $server{local}->conninfo,
	fast_checkpoint => 'yes');
$sites->start;
$sites->wait_link('tokyo', 'osaka');
$osaka->pgkura_ok('osaka has a cluster of its own', 'backup', 'local');
my $backup = $tokyo->json('backup')->{backup};
ok(Kura::wait_until(sub {
	return ($osaka->pgkura('list', 'main', '--json'))[1] =~ /\Q$backup\E/;
}, 120), 'and a backup of main from tokyo') or BAIL_OUT('no replication');
$server{main}->psql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS a');
$server{main}->psql('SELECT pg_switch_wal()');
$server{main}->psql('INSERT INTO t VALUES (0)');

sub flushed
{
	return $server{ $_[0] }->psql('SELECT pg_current_wal_flush_lsn()');
}

ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed('main')),
	'and its WAL');
$sites->stop('tokyo');
$osaka->pgkura_ok('expire has nothing left to do', 'expire', 'local');
$osaka->pgkura_ok('nor of main', 'expire', 'main');

# Objects by name and digest; not what grows and what is on its way.
sub objects
{
	my %is;
	my $repo = $osaka->repo;

	File::Find::find({ no_chdir => 1, wanted => sub {
		return if !-f $_;
		(my $name = $_) =~ s{^\Q$repo\E/}{};
		return if $name =~ m{^incoming/|/wal/open/|/known|\.tmp\.|/intents/};
		$is{$name} = Digest::SHA->new(256)->addfile($_, 'b')->hexdigest;
	} }, $repo);
	return \%is;
}

sub courier_kib
{
	my $l = $sites->link('osaka', 'tokyo') or return 0;
	my $status = eval { Kura::slurp("/proc/$l->{pid}/status") } // '';

	return $status =~ /^VmHWM:\s+(\d+) kB/m ? $1 : 0;
}

sub disk_kib
{
	my (undef, $out) = Kura::run('du', '-sk', $osaka->repo);

	return $out =~ /^(\d+)/ ? $1 : 0;
}

my $rows = 0;
my ($most_kib, $out);

# Let it do its worst; what it answered is in $out.
sub attack
{
	my ($what, @number) = @_;
	my $before = objects();
	my $disk = disk_kib();
	my $bad = Kura::spawn(@{ $tokyo->{in} }, Kura::as_user(
		"$ENV{PGKURA_BUILD}/tests/programs/badpeer", $tokyo->state,
		$tokyo->repo, 'tokyo', 'osaka', "127.0.0.1:$sites->{port}{osaka}",
		'main', $what, @number));

	$most_kib = 0;
	Kura::wait_until(sub {
		my $kib = courier_kib();
		$most_kib = $kib if $kib > $most_kib;
		return !$bad->alive;
	}, 300);
	is($bad->wait(10), 0, 'it did what it could') or diag($bad->err);
	$out = $bad->out;
	note($out . $bad->err);
	cmp_ok($most_kib, '<', 400_000, "memory is bounded: $most_kib KiB");
	my $after = objects();
	my @changed = grep { ($after->{$_} // 'gone') ne $before->{$_} }
	    sort keys %{$before};
	is("@changed", '', 'nothing that was there has changed');
	my @new = grep { !exists $before->{$_} } sort keys %{$after};
	is(join(' ', grep { !m{^main/|^local/.*/wal/} } @new), '',
		'nothing new but where it may');
	cmp_ok(disk_kib() - $disk, '<', 100_000, 'disk is bounded');
	$osaka->pgkura_ok('main is sound', 'verify', 'main');
	return @new;
}

# The daemon and its own cluster are as well as before.
sub goes_on
{
	$server{local}->psql('CREATE TABLE IF NOT EXISTS t (a int)');
	$server{local}->psql('INSERT INTO t VALUES (' . $rows++ . ')');
	ok(eval { $osaka->wait_wal('local', flushed('local')) },
		'the other cluster goes on') or diag($@);
	ok($sites->daemon('osaka')->alive, 'so does the daemon');
	return;
}

subtest 'names that escape or are not allowed' => sub {
	my @new = attack('names');
	my @answers = $out =~ /^kept \d+ (\w+)/mg;
	is(scalar(grep { $_ ne 'refused' } @answers), 0, 'all are refused');
	cmp_ok(scalar @answers, '>=', 25, 'each was answered');
	is("@new", '', 'and nothing is there');
	goes_on();
};

subtest 'other bytes for names that are there' => sub {
	is(join(' ', attack('replace')), '', 'nothing is new');
	like($out, qr/^kept \d+ (?:done|refused)/m, 'they were answered');
	goes_on();
};

subtest 'two bodies of one object' => sub {
	my @new = grep { m{/packs/} } attack('twin');
	is(scalar @new, 1, 'one object came');
	my $key = $osaka->repo . "/$new[0]";
	is(objects()->{ $new[0] }, Digest::SHA::sha256_hex('a' x 200000),
		'with the bytes that it had when it got its name');
};

subtest 'roots that are not its to sign' => sub {
	is(join(' ', grep { m{/backups/} } attack('roots')), '',
		'no backup is new');
	my @answers = $out =~ /^kept \d+ (\w+)/mg;
	is(scalar(grep { $_ eq 'done' } @answers), 0, 'none was taken');
	like($out, qr/signed by key \w+, which does not vouch/,
		'a stranger vouches for nothing');
	goes_on();
};

subtest 'keys without end' => sub {
	attack('keys');
	my $keys = grep { m{^main/[^/]+/keys/} } keys %{ objects() };
	cmp_ok($keys, '<=', 64, "$keys keys of its lineage");
	is(scalar(grep { m{^keys/} } keys %{ objects() }), 1,
		'none of the whole repository');
	goes_on();
};

subtest 'objects that are begun and never ended' => sub {
	attack('offers', 3000);
	my @staged = glob($osaka->repo . '/incoming/tokyo/*/*');
	cmp_ok(scalar @staged, '<=', 200, scalar(@staged) . ' are on their way');
	goes_on();
};

subtest 'pieces that do not fit' => sub {
	attack('pieces', 30000);
	goes_on();
};

subtest 'WAL that is none' => sub {
	attack('wal');
	like($out, qr/^wal_no .*WAL of no timeline/m, 'of no timeline');
	like($out, qr/^wal_no .*server ends/m, 'behind what is here');
	my ($list) = $osaka->json('wal', 'list', 'main');
	is(scalar @{ $list->{spans} }, 1, 'one piece of WAL, without a hole');
	goes_on();
};

subtest 'more WAL than the window' => sub {
	attack('window', 12000);
	goes_on();
};

subtest 'messages that are none' => sub {
	attack('messages');
	goes_on();
};

subtest 'journals that do not exist' => sub {
	is(join(' ', grep { m{^main/} } attack('journals')), '', 'nothing is new');
};

subtest 'thousands of openings' => sub {
	attack('opens', 5000);
	goes_on();
};

subtest 'what is not accepted' => sub {
	my @new = attack('others', 5);
	my @refused = $out =~ /^state \d+ no/mg;
	cmp_ok(scalar @refused, '>=', 15, 'is refused');
	ok(!-e $osaka->repo . '/nowhere', 'no folder is made');
	is(join(' ', grep { m{^local/} && !m{/wal/} } @new), '',
		'nothing of the other cluster');
	$osaka->pgkura_ok('which is sound', 'verify', 'local');
};

my ($status, $events) = $osaka->pgkura('events', '--json', '--count=2000');
my $told = () = $events =~ /accept_refused|message_malformed|accept_wal_failed/g;
cmp_ok($told, '>', 10, 'it was told');
cmp_ok($told, '<', 1000, "but not all that could be: $told events");

# ---- the right site goes on ----

$server{main}->psql('INSERT INTO t VALUES (-1)');
$sites->start_daemon('tokyo');
ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed('main'), 120),
	'the right site goes on where it was')
    or diag($sites->daemon('tokyo')->err, $sites->daemon('osaka')->err);
my $copy = $osaka->dir . '/copy';
$osaka->pgkura_ok('main restores', 'restore', 'main', "--to=$copy");
my $restored = $osaka->restored(of => $server{main}, to => $copy)->start;
$restored->wait_for('SELECT NOT pg_is_in_recovery()');
is($restored->psql('SELECT count(*) FROM t'), '1002', 'with all its rows');
$restored->stop;
$sites->stop($_) for qw(tokyo osaka);
done_testing();
