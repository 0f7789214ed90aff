#!/usr/bin/perl
# What a peer may store here: its quota, and the space that must stay free.  What
# is too much is refused, told at both ends, and goes on by itself when there is
# room.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my @mounted;
END { Kura::run('umount', '-l', $_) for @mounted; }

sub mount_small
{
	my ($mb) = @_;
	my $dir = Kura::tempdir();

	return if $< != 0;
	return if (Kura::run('mount', '-t', 'tmpfs', '-o', "size=${mb}m",
			'none', $dir))[0] != 0;
	push @mounted, $dir;
	Kura::run('chown', Kura::user(), $dir);
	return $dir;
}

my $primary = Kura::Cluster->new(major => $major, name => 'main',
	init => { wal_segsize => 1 },
	conf => { max_slot_wal_keep_size => '1GB', wal_compression => 'off' })->start;

sub flushed { return $primary->psql('SELECT pg_current_wal_flush_lsn()'); }

# Noise, which does not compress: so many MB of WAL.
sub write_mb
{
	my ($mb) = @_;

	$primary->psql('CREATE TABLE IF NOT EXISTS t (b bytea);'
		. ' ALTER TABLE t ALTER b SET STORAGE EXTERNAL;'
		. ' INSERT INTO t SELECT (SELECT string_agg(sha256((g * 1000000 + i)::text::bytea),'
		. " '') FROM generate_series(1, 32768) i) FROM generate_series(1, $mb) g");
	return;
}

sub alarm_at
{
	my ($site) = @_;
	my ($status, $out) = $site->pgkura('status', '--json');
	my $alarms = eval { JSON::PP::decode_json($out)->{alarms} } // [];

	# Not the events that the status ends with.
	return join "\n", map { "$_->{name}: $_->{message}" } @{$alarms};
}

sub events_of
{
	my ($site, $name) = @_;
	my ($status, $out) = $site->pgkura('events', '--json', '--count=1000');

	return grep { /"$name"/ } split /\n/, $out;
}

sub du_kib
{
	my ($dir) = @_;
	my (undef, $out) = Kura::run('du', '-sk', $dir);

	return $out =~ /^(\d+)/ ? $1 : 0;
}

# ---- quota ----

subtest 'quota' => sub {
	my $sites = Kura::Sites->new(names => [qw(tokyo osaka)]);
	my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
	$tokyo->cluster('main', conninfo => $primary->conninfo,
		fast_checkpoint => 'yes', replicate_to => 'osaka');
	$osaka->cluster('main', accept_from => 'tokyo');
	$osaka->peer('tokyo', quota => '40MB');
	$sites->start;
	$sites->wait_link('tokyo', 'osaka');
	my $first = $tokyo->json('backup')->{backup};
	ok(Kura::wait_until(sub {
		return ($osaka->pgkura('list', '--json'))[1] =~ /\Q$first\E/;
	}, 120), 'what is within the quota comes')
	    or diag($sites->daemon('tokyo')->err, $sites->daemon('osaka')->err);
	write_mb(60);
	my $why = qr/stores \S+ \S+ at site \S+, its quota there is/;
	ok(Kura::wait_until(sub { return alarm_at($tokyo) =~ $why; }, 180),
		'what is more is refused: an alarm at the source')
	    or diag(alarm_at($tokyo), $sites->daemon('osaka')->err);
	ok(Kura::wait_until(sub { return alarm_at($osaka) =~ $why; }, 60),
		'and at the site that refuses') or diag(alarm_at($osaka));
	ok(Kura::wait_until(sub {
		return events_of($osaka, 'replication_refused')
		    && events_of($tokyo, 'replication_refused');
	}, 30), 'and an event at both');
	# A count that finds a little room lets it go on until that is full.
	for my $site ($tokyo, $osaka) {
		my ($status, $out);
		ok(Kura::wait_until(sub {
			($status, $out) = $site->pgkura('check', 'main');
			return $status == 1
			    && $out =~ /^FAULT +peer \w+ +not taken t?here: .*$why/m;
		}, 60), 'check has a fault, with the reason')
		    or diag($status, $out, $sites->daemon('osaka')->err);
	}
	cmp_ok(du_kib($osaka->repo), '<', 80 * 1024,
		'the quota is kept: ' . du_kib($osaka->repo) . ' KiB');
	$osaka->pgkura_ok('what is there is sound', 'verify');
	ok(!$sites->wait_committed('main', 'tokyo', 'osaka', flushed(), 3),
		'(the rest is not there)');

	# A courier that begins anew has not seen it take anything; nor does it, with
	# no room at all.
	$osaka->peer('tokyo', quota => '20MB');
	$osaka->pgkura_ok('(the quota is lowered)', 'reload');
	ok(Kura::wait_until(sub { return alarm_at($tokyo) =~ /is 20\.0 MB/; }, 60),
		'a quota below what is there')
	    or diag(alarm_at($tokyo), $sites->daemon('osaka')->err);
	my ($courier) = map { $_->{pid} } grep { $_->{duty} eq 'courier' }
	    @{ JSON::PP::decode_json(($tokyo->pgkura('status', '--json'))[1])
		    ->{duties} };
	kill('KILL', $courier);
	ok(Kura::wait_until(sub {
		my $link = $sites->link('tokyo', 'osaka') // {};
		my $ship = ($link->{ships} // [])->[0] // {};
		return ($link->{pid} // $courier) != $courier && $ship->{had}
		    && $ship->{behind_bytes} > 0 && $ship->{lacking_since_us} > 0;
	}, 60), 'and how far that site is behind is known all the same')
	    or diag(explain($sites->link('tokyo', 'osaka')));
	my $said;
	ok(Kura::wait_until(sub {
		(undef, $said) = $tokyo->pgkura('status');
		return $said =~
		    /^  sends     main: \w+, was durable there up to \S+, \S+ \S+ behind$/m;
	}, 60), 'status says so') or diag($said);

	$osaka->peer('tokyo', quota => '1GB');
	$osaka->pgkura_ok('the quota is raised', 'reload');
	ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed(), 180),
		'and the rest follows by itself')
	    or diag($sites->daemon('tokyo')->err, $sites->daemon('osaka')->err);
	ok(Kura::wait_until(sub {
		return alarm_at($tokyo) !~ $why && alarm_at($osaka) !~ $why;
	}, 60), 'the alarm is over');
	$osaka->pgkura_ok('all is sound', 'verify');
	is(scalar @{ $osaka->json('wal', 'gaps')->{gaps} }, 0, 'without a gap');
	$sites->stop($_) for qw(tokyo osaka);
};

# ---- the disk of the other site ----

subtest 'a full disk' => sub {
	my $dir = mount_small(120)
	    or plan skip_all => 'no tmpfs can be mounted here';
	my $sites = Kura::Sites->new(names => [qw(tokyo osaka)]);
	my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
	# Its walsender hears a moment later that the receiver has ended.
	$primary->wait_for(
		'SELECT count(*) = 0 FROM pg_replication_slots WHERE active');
	$primary->psql('SELECT pg_drop_replication_slot(slot_name)'
		. ' FROM pg_replication_slots');
	$primary->psql('DROP TABLE IF EXISTS t; VACUUM FULL');
	$tokyo->cluster('main', conninfo => $primary->conninfo,
		fast_checkpoint => 'yes', replicate_to => 'osaka');
	$osaka->site(repository => "$dir/repo", min_free_bytes => '20MB');
	$osaka->cluster('main', accept_from => 'tokyo');
	$sites->start;
	$sites->wait_link('tokyo', 'osaka');
	my $first = $tokyo->json('backup')->{backup};
	ok(Kura::wait_until(sub {
		return ($osaka->pgkura('list', '--json'))[1] =~ /\Q$first\E/;
	}, 120), 'a backup comes')
	    or diag($sites->daemon('osaka')->err);

	# Less than min_free_bytes: backups wait, WAL comes.
	my (undef, $df) = Kura::run('df', '-Pm', $dir);
	my ($left) = $df =~ /(\d+)\s+\d+%/;
	Kura::run(Kura::as_user('dd', 'if=/dev/zero', "of=$dir/ballast",
			'bs=1M', 'count=' . ($left - 15)));
	write_mb(4);
	ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed(), 90),
		'WAL comes when there is little space');
	my $second = $tokyo->json('backup')->{backup};
	ok(Kura::wait_until(sub {
		return alarm_at($tokyo) =~ /min_free_bytes is/
		    && alarm_at($osaka) =~ /min_free_bytes is/;
	}, 90), 'a backup is refused, with an alarm at both ends')
	    or diag(alarm_at($tokyo), alarm_at($osaka));

	# No space at all.
	Kura::run(Kura::as_user('dd', 'if=/dev/zero', "of=$dir/more", 'bs=64k'));
	write_mb(4);
	ok(Kura::wait_until(sub {
		return alarm_at($tokyo) =~
		    /No space left on device|has \S+ bytes free/;
	}, 90), 'a full disk is told at the source')
	    or diag(alarm_at($tokyo), $sites->daemon('osaka')->err);
	ok($sites->daemon('osaka')->alive, 'the daemon there stays');
	unlink "$dir/more", "$dir/ballast";
	ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed(), 180),
		'with room WAL goes on by itself')
	    or diag($sites->daemon('tokyo')->err, $sites->daemon('osaka')->err);
	ok(Kura::wait_until(sub {
		return ($osaka->pgkura('list', '--json'))[1] =~ /\Q$second\E/;
	}, 120), 'and the backup comes');
	ok(Kura::wait_until(sub {
		return alarm_at($tokyo) !~ /No space|min_free_bytes is/
		    && alarm_at($osaka) !~ /No space|min_free_bytes is/;
	}, 60), 'the alarms are over');
	$osaka->pgkura_ok('all is sound', 'verify');
	$sites->stop($_) for qw(tokyo osaka);
};
$primary->stop;
done_testing();
