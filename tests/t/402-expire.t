#!/usr/bin/perl
# What the retention keeps and what it removes: backups by number and age, what
# is in use, the grace time, and never WAL that a kept backup needs.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes qw(sleep time);
use Kura;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $primary = Kura::Cluster->new(major => $major, name => 'main',
	init => { wal_segsize => 1 })->start;
my $site = Kura::Site->new;

sub retention
{
	my (%values) = @_;

	$site->cluster('main', conninfo => $primary->conninfo, slot => 'none',
		fast_checkpoint => 'yes', keep_age => '0s', %values);
	return;
}

sub backups { return map { $_->{backup} } @{ $site->json('list')->{backups} }; }

# What an expiration says of an object: "keep why" or "remove why".
sub says
{
	my ($result, $object) = @_;

	for my $item (@{ $result->{items} }) {
		next if $item->{object} ne $object;
		return ($item->{removed} ? 'remove ' : 'keep ') . $item->{why};
	}
	return 'nothing';
}

# Packs and segments that lie in the repository.
sub objects
{
	my ($kind) = @_;
	my ($status, $out) = Kura::run('find', $site->repo . '/main', '-type',
		'f', '-path', "*/$kind/*");

	my @found = sort grep { !m{/\.} } split /\n/, $out;
	return @found;
}

# A copy of the backup has the rows of table n.
sub restores
{
	my ($id, $n, $what) = @_;
	my $to = Kura::tempdir() . '/data';

	$site->pgkura_ok("$what restores", 'restore', 'main', "--to=$to",
		"--backup=$id", '--immediate');
	my $c = $site->restored(of => $primary, to => $to)->start;
	$c->wait_for('SELECT NOT pg_is_in_recovery()');
	is($c->psql("SELECT count(*) FROM t$n"), '20000', "$what has its rows");
	$c->stop('immediate');
	return;
}

# ---- an intent, as a running restore has one ----

sub crc32c
{
	my ($text) = @_;
	my $crc = 0xffffffff;

	for my $byte (unpack 'C*', $text) {
		$crc ^= $byte;
		$crc = $crc & 1 ? $crc >> 1 ^ 0x82f63b78 : $crc >> 1 for 1 .. 8;
	}
	return sprintf '%08x', $crc ^ 0xffffffff;
}

sub write_intent
{
	my ($backup, %more) = @_;
	my ($lineage) = glob($site->repo . '/main/*-1');
	my %intent = (id => '20261121T000000Z-0001', kind => 'read',
		backup => $backup, host => (POSIX::uname())[1], pid => $$,
		boot_id => Kura::slurp('/proc/sys/kernel/random/boot_id'),
		started_us => int(time() * 1e6), %more);

	chomp $intent{boot_id};
	my $text = JSON::PP->new->canonical->encode(\%intent);
	Kura::run(Kura::as_user('mkdir', '-p', "$lineage/intents"));
	Kura::write_file("$lineage/intents/$intent{id}",
		"$text\ncrc32c " . crc32c($text) . "\n");
	return "$lineage/intents/$intent{id}";
}

retention(keep_backups => 2, expire_grace => '1d');
$site->pgkura_ok('init', 'init');
my ($status, $out) = $site->pgkura('expire');
is("$status $out", "0 nothing to remove\n", 'an empty repository is no error');

# Four backups with WAL between them.
for my $n (1 .. 4) {
	$primary->psql("CREATE TABLE t$n AS SELECT generate_series(1, 20000) AS n");
	$site->pgkura_ok("backup $n", 'backup', 'main');
}
my @all = backups();
is(scalar @all, 4, 'four backups');
is(scalar(keys %{ { map { substr($_, 0, 16) => 1 } @all } }), 4,
	'ids tell their order, also of those that begin within a second');
my %info = map { $_->{backup} => $_ } @{ $site->json('list')->{backups} };

# ---- by number; dry run ----

my $plan = $site->json('expire', '--dry-run');
ok($plan->{dry_run}, 'a dry run says so');
is($plan->{backups}, 2, 'two are beyond keep_backups');
is(says($plan, "backup $all[3]"), 'keep it is among the newest 2', 'newest');
like(says($plan, "backup $all[1]"), qr/^remove 2 newer ones are kept, /,
	'the second oldest');
is_deeply([backups()], \@all, 'a dry run removes nothing');
($status, $out) = $site->pgkura('expire', '--dry-run', '--explain');
like($out, qr/^keep backup $all[3]: it is among the newest 2$/m,
	'--explain says why one stays');
like($out, qr/^would remove backup $all[0]: 3 newer ones are kept, /m,
	'and why one goes');
like($out, qr/^would remove 2 backups, 0 packs, \d+ WAL segments?, /m, 'totals');
unlike($out, qr/^removed/m, 'nothing is said to be removed');

# ---- by age ----

retention(keep_backups => 1, keep_age => '1h');
is($site->json('expire', '--dry-run')->{backups}, 0, 'all are young enough');
# An age between the third and the fourth: the third is the one from which
# moments within it are restored.
sleep 2;
$site->pgkura_ok('backup 5', 'backup', 'main');
@all = backups();
my ($ended) = $primary->psql("SELECT extract(epoch FROM timestamptz '"
	    . $site->json('list')->{backups}[-1]{finished} . "')");
retention(keep_backups => 1, keep_age => '2s');
$plan = $site->json('expire', '--dry-run');
SKIP: {
	skip 'the machine is too slow for this', 2
	    if time() - $ended >= 2;
	like(says($plan, "backup $all[3]"),
		qr/^keep moments up to 2s ago are restored from it$/,
		'the newest one older than keep_age is what keep_age begins with');
	like(says($plan, "backup $all[2]"), qr/^remove/, 'the one before is not');
}

# ---- in use ----

retention(keep_backups => 1, expire_grace => '1d');
my $intent = write_intent($all[0]);
$plan = $site->json('expire', '--dry-run');
is(says($plan, "backup $all[0]"), 'keep it is in use now',
	'a backup that a restore reads stays');
like(says($plan, "backup $all[1]"), qr/^remove/, 'others go');
write_intent($all[0], pid => 2**22 + 1);
like(says($site->json('expire', '--dry-run'), "backup $all[0]"), qr/^remove/,
	'a restore that is gone holds nothing');
write_intent($all[0], host => 'elsewhere.example');
is(says($site->json('expire', '--dry-run'), "backup $all[0]"),
	'keep it is in use now', 'one of another host is believed');
write_intent($all[0], kind => 'recovery', pid => 2**22 + 1);
is(says($site->json('expire', '--dry-run'), "backup $all[0]"),
	'keep a server that was restored from it may fetch its WAL',
	'a restore that has ended holds it');
write_intent($all[0], kind => 'recovery',
	started_us => int((time() - 90000) * 1e6));
like(says($site->json('expire', '--dry-run'), "backup $all[0]"), qr/^remove/,
	'for the grace time');
unlink $intent or die "unlink: $!\n";

# ---- for real, with a grace time ----

retention(keep_backups => 2, expire_grace => '1d');
my @packs = objects('packs');
my $done = $site->json('expire');
is($done->{backups}, 3, 'three are withdrawn');
is_deeply([backups()], [ @all[3, 4] ], 'two stay');
is_deeply([ objects('packs') ], \@packs, 'their packs stay for the grace time');
is(scalar(objects('withdrawn')), 3, 'so do their roots');
is($done->{wal_segments}, 0, 'and all WAL from them on');
my ($back) = grep { m{/$all[0]$} } objects('withdrawn');
rename($back, $back =~ s{/withdrawn/}{/backups/}r) or die "$back: $!";
restores($all[0], 1, 'a withdrawn backup that is brought back');
is(says($site->json('expire', '--dry-run'), "backup $all[0]"),
	'keep a server that was restored from it may fetch its WAL',
	'a restored one is held for the grace time');
rename($back =~ s{/withdrawn/}{/backups/}r, $back) or die "$back: $!";

# ---- the grace time is over ----

retention(keep_backups => 2, expire_grace => '0s');
$done = $site->json('expire');
is(scalar(objects('withdrawn')), 0, 'roots go after the grace time');
cmp_ok($done->{wal_segments}, '>', 0, 'WAL goes');
is(scalar(objects('packs')), @packs - $done->{packs}, 'and as many packs as said');
$site->pgkura_ok('what is left is sound', 'verify', 'main');
is($site->json('expire')->{packs}, 0, 'then there is nothing to remove');

# ---- B6: WAL that a kept backup needs ----

my $kept = Kura::Site::lsn_number($info{ $all[3] }{start_lsn});
my @spans = @{ $site->json('wal', 'list')->{spans} };
my ($first) = sort { $a <=> $b }
    map { Kura::Site::lsn_number($_->{start_lsn}) } @spans;
cmp_ok($first, '<=', $kept, 'B6: WAL from the start of the oldest kept one on');
cmp_ok($first, '>', $kept - 2 * 2**20, 'B6: and no older one');
$site->pgkura_ok('B6: the repository is sound', 'verify', 'main');
restores($_, 4, "B6: $_") for @all[3, 4];

# ---- what cannot be read ----

my ($root) = glob($site->repo . "/main/*/backups/$all[4]");
my $text = Kura::slurp($root);
(my $bad = $text) =~ s/"files":\d/"files":0/;
Kura::write_file($root, $bad);
retention(keep_backups => 1, expire_grace => '0s');
$site->pgkura_fails('nothing is removed while a backup cannot be read', 3,
	qr/signature of backup "$all[4]" does not match\n.*Nothing is removed/,
	'expire');
$site->pgkura_fails('list names it', 3, qr/signature of backup "$all[4]"/,
	'list');
is_deeply([ map { s{.*/}{}r } objects('backups') ], [ @all[3, 4] ],
	'and all are there');
Kura::write_file($root, $text);

# ---- a backup waits for what is about the packs ----

{
	my $before = () = backups();
	my $lock = $site->state . '/locks/main.packs';
	my $holder = Kura::spawn(Kura::as_user('flock', $lock, 'sleep', '600'));

	ok(Kura::wait_until(sub {
		(Kura::run(Kura::as_user('flock', '-n', $lock, 'true')))[0] != 0
	}), 'the packs are locked');
	my $backup = Kura::spawn($site->words('backup', 'main'));
	ok(Kura::wait_until(sub { $backup->err =~ /when expire is done/ }),
		'a backup meets it, and says so') or diag($backup->err);
	ok($backup->alive, 'it waits');
	Kura::run('pkill', '-P', $holder->{pid});
	$holder->wait(30);
	is($backup->wait(60), 0, 'and is taken then') or diag($backup->err);
	cmp_ok(scalar(() = backups()), '>', $before, 'it is there');
}

done_testing();
