#!/usr/bin/perl
# A repository whose files are damaged: each of 1,000 flipped bytes, every
# truncated and every missing file is found by verify, or it is one that nothing
# depends on; and a restore fails clearly or gives the very files.
#
# What verify does not find, and why:
#
#	wal/open/*	is being received: what counts of it is what its records'
#			checksums confirm, so damage makes it shorter, which the
#			receiver mends, and never wrong
#	wal/known	a hint that is replaced each second: damaged, it counts as
#			absent
#	a missing root	is no backup: list does not show it
#	missing WAL	at the ends of what there is: nobody has said that there
#			was more

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use File::Find ();
use Kura;
use Kura::Site;

my $major = (Kura::servers())[-1];
plan skip_all => 'no PostgreSQL here' if !defined $major;

my $flips = $ENV{PGKURA_FLIPS} // 1000;
my $restores = $ENV{PGKURA_RESTORES} // 24;
my $seed = $ENV{PGKURA_SEED} // time;
srand($seed);

# ---- a small repository with all there is ----

my %conf = (wal_level => 'replica', max_slot_wal_keep_size => '1GB',
	wal_keep_size => '64MB', autovacuum => 'off');
my $primary = Kura::Cluster->new(major => $major,
	init => { checksums => 1, wal_segsize => 1 }, conf => {%conf})->start;
# Verifying 1,000 times wants a small cluster.
$primary->psql($_) for "UPDATE pg_database SET datistemplate = false",
    'DROP DATABASE template1', 'CREATE TABLE t (n int, s text)',
    q{INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 3000) i};
my $site = Kura::Site->new;
$site->cluster('main', conninfo => $primary->conninfo);
$site->pgkura_ok('a repository', 'init');
my $receiver = $site->receive('main');
$primary->wait_for('SELECT count(*) = 1 FROM pg_replication_slots WHERE active');
$site->pgkura_ok('a first backup', 'backup', 'main');
$primary->psql('UPDATE t SET s = s || n WHERE n % 7 = 0');
$site->pgkura_ok('a second one', 'backup', 'main');

# A change of the timeline: a history file, and a partial.
my $standby = $primary->standby(name => 'standby', conf => {%conf})->start;
$primary->psql('INSERT INTO t SELECT 1, md5(i::text) FROM generate_series(1, 999) i');
$primary->wait_replay($standby);
$site->wait_wal('main', $primary->lsn);
$receiver->kill('TERM');
$receiver->wait(20);
$primary->stop;
$standby->promote;
$standby->wait_for('SELECT NOT pg_is_in_recovery()');
$site->cluster('main', conninfo => $standby->conninfo);
$receiver = $site->receive('main');
$standby->wait_for('SELECT count(*) > 0 FROM pg_replication_slots WHERE active');
$standby->psql('INSERT INTO t SELECT 2, md5(i::text) FROM generate_series(1, 9999) i');
$site->pgkura_ok('a third one', 'backup', 'main');
$standby->psql('INSERT INTO t SELECT 3, md5(i::text) FROM generate_series(1, 99) i');
$site->wait_wal('main', $standby->lsn);
$receiver->kill('TERM');
$receiver->wait(20);
$standby->stop;

my $repo = $site->repo;
my %bytes; # of each file
File::Find::find({ no_chdir => 1, wanted => sub {
	$bytes{ substr($_, length($repo) + 1) } = -s $_ if -f $_;
} }, $repo);
my @files = sort keys %bytes;
my %kinds = (
	'a pack' => qr{/packs/}, 'a root' => qr{/backups/},
	'WAL' => qr{/wal/\w{8}/\w{8}/\w{24}$}, 'a partial' => qr{/wal/.*\.partial\.},
	'an open segment' => qr{/wal/open/}, 'a history' => qr{\.history$},
	'a key' => qr{^keys/}, 'facts' => qr{/cluster/\d}, 'its own file' => qr{^repo$},
);
for my $kind (sort keys %kinds) {
	ok(scalar(grep { $_ =~ $kinds{$kind} } @files), "there is $kind");
}

# ---- verify ----

# Verdicts of verify, one for each damage.
sub verdicts
{
	my (@damage) = @_;
	my ($status, $out, $err) = Kura::run(
		{ stdin => join('', map { "$_\n" } @damage), timeout => 900 },
		Kura::as_user(Kura::program('verifyrepo'), $site->conf, 'main'));

	is($status, 0, 'verify does not break') or diag($err);
	my @verdicts = split /\n/, $out;
	is(scalar(@verdicts), scalar(@damage), 'every damage has a verdict');
	return map { $damage[$_] => $verdicts[$_] // '' } 0 .. $#damage;
}

sub show
{
	my (%verdicts) = @_;

	diag(join "\n", "seed $seed", map { "$_: $verdicts{$_}" } sort keys %verdicts);
	return;
}

# What of an open segment can be read is a prefix of what was there.  The record
# that crosses into it may be what is wrong, or the segment before: then the
# bytes are kept, and whoever reads records gets no further than that one.
my %open = map { $_ => Kura::slurp("$repo/$_") }
    grep { m{/wal/open/} } @files;

sub walkit
{
	return Kura::run(
		Kura::as_user(Kura::program('walkit'), $site->conf, @_));
}

my ($span) = reverse @{ $site->json('wal', 'list', 'main')->{spans} };
sub scan
{
	return (walkit('scan', 'main', $span->{timeline}, $span->{start_lsn},
		$span->{end_lsn}))[1];
}
my $scanned = scan();
like($scanned, qr/commit/, 'records are read up to the end');

sub tail_is_prefix
{
	my ($file) = @_;
	my ($segment) = $file =~ m{([^/]+)$};
	my ($status, $out) = walkit('cat', 'main', $segment);

	return $status != 0 || $out eq substr($open{$file}, 0, length $out) ||
	    index($scanned, scan()) == 0;
}

sub damaged
{
	my ($damage, $code) = @_;
	my ($what, $file, $at, $mask) = split / /, $damage;
	my $whole = Kura::slurp("$repo/$file");

	if ($what eq 'remove') {
		rename("$repo/$file", "$repo.aside") or die;
	} elsif ($what eq 'cut') {
		truncate("$repo/$file", $at) or die;
	} else {
		my $bad = $whole;
		substr($bad, $at, 1) = chr(ord(substr($bad, $at, 1)) ^ $mask);
		Kura::write_file("$repo/$file", $bad, '+<');
	}
	my @result = $code->($file);
	if ($what eq 'remove') {
		rename("$repo.aside", "$repo/$file") or die;
	} else {
		Kura::write_file("$repo/$file", $whole, '+<');
	}
	return wantarray ? @result : $result[0];
}

my %none = verdicts('none');
is($none{none}, 'clean', 'the undamaged repository is sound') or show(%none);

# Every file has its share; the rest goes by size.
my (@flips, $total);
$total += $bytes{$_} for @files;
for my $i (0 .. $flips - 1) {
	my $file = $files[$i % @files];
	if ($i % 2) {
		my $at = int(rand($total));
		for my $f (@files) {
			$file = $f;
			last if ($at -= $bytes{$f}) < 0;
		}
	}
	next if $bytes{$file} == 0;
	push @flips, join ' ', 'flip', $file, int(rand($bytes{$file})),
	    1 + int(rand(255));
}
my %flipped = verdicts(@flips);
my %missed = map { $_ => $flipped{$_} }
    grep { $flipped{$_} !~ /^found / && !m{/wal/(?:open/|known )} } @flips;
is(scalar(keys %missed), 0, scalar(@flips) . ' flipped bytes are found')
    or show(%missed);
my @in_open = grep { m{/wal/open/} } @flips;
my @wrong = grep { !damaged($_, \&tail_is_prefix) } @in_open;
is("@wrong", '', scalar(@in_open)
	    . ' flipped bytes in the open segment never give wrong WAL');

my @cuts = map { ("cut $_ 0", 'cut ' . $_ . ' ' . int($bytes{$_} / 2),
		'cut ' . $_ . ' ' . ($bytes{$_} - 1)) }
    grep { $bytes{$_} > 1 && !m{/wal/(?:open/|known)} } @files;
my %cut = verdicts(@cuts);
%missed = map { $_ => $cut{$_} } grep { $cut{$_} !~ /^found / } @cuts;
is(scalar(keys %missed), 0, scalar(@cuts) . ' truncated files are found')
    or show(%missed);
@wrong = grep { !damaged($_, \&tail_is_prefix) }
    map { 'cut ' . $_ . ' ' . int($bytes{$_} / 3) } sort keys %open;
is("@wrong", '', 'a truncated open segment is a shorter one');

my @wal = sort grep { m{/wal/\w{8}/\w{8}/\w{24}$} } @files;
my @removes = map { "remove $_" } @files;
my %removed = verdicts(@removes);
my @quiet = sort grep { $removed{$_} eq 'clean' } @removes;
my @may = map { qr/^remove $_$/ } qr{.*/wal/open/.*}, qr{.*/wal/known},
    qr{.*/backups/.*}, qr{.*/wal/.*\.partial\..*}, map { quotemeta } @wal[0, -1];
my @unknown = grep { my $q = $_; !grep { $q =~ $_ } @may } @quiet;
is("@unknown", '', scalar(@removes) . ' missing files are told, but for what nobody knows of')
    or show(%removed);

# ---- restore ----

# Files of a folder: "path bytes digest".
sub tree
{
	my ($dir) = @_;
	my (undef, $out) = Kura::run('sh', '-c',
		"cd '$dir' && find . -type f -print0 | sort -z | xargs -0 sha256sum; find . -type d | sort");

	return $out;
}

my $newest = $site->json('list', 'main')->{backups}[-1]{backup};
my $base = Kura::tempdir();
my $serial = 0;
sub restore
{
	my (@more) = @_;
	my $to = "$base/" . ++$serial;
	my ($status, $out, $err) = $site->pgkura('restore', 'main', "--to=$to",
		"--backup=$newest", '--immediate', '--files-only', @more);
	my $tree = -d $to ? tree($to) : '';

	Kura::run('rm', '-rf', $to);
	return ($status, $tree, $err);
}

my ($status, $sound, $err) = restore();
is($status, 0, 'the undamaged repository is restored') or diag($err);

my (%outcome, @silent, @no_words);
my @some = (sort { $flipped{$b} cmp $flipped{$a} } @flips)[0 .. 2];
push @some, (grep { m{/packs/|/backups/} } @flips, @cuts)[0 .. $restores / 2];
push @some, map { $flips[ rand @flips ] } 1 .. $restores / 4;
push @some, map { $removes[ rand @removes ] } 1 .. $restores / 4;
for my $damage (grep { defined } @some) {
	my ($status, $tree, $err) = damaged($damage, sub { restore() });
	$outcome{ $status == 0 ? 'restored' : 'refused' }++;
	push @silent, $damage if $status == 0 && $tree ne $sound;
	push @no_words, "$damage: status $status: $err"
	    if $status != 0 && $err !~ /\w{3}/;
	push @no_words, "$damage: status $status: $err" if $status > 75;
}
is("@silent", '', 'a restore from a damaged repository is never silently wrong');
is("@no_words", '', 'one that fails says why');
ok($outcome{refused}, "restores: $outcome{refused} refused, "
	    . ($outcome{restored} // 0) . ' equal');
done_testing();
