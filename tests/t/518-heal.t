#!/usr/bin/perl
# What is damaged at one site is had from the other, in both directions: packs,
# roots, WAL; what is whole is never replaced; what nobody has whole is said.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Digest::SHA ();
use File::Find ();
use JSON::PP ();
use Test::More;
use Kura;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $primary = Kura::Cluster->new(major => $major, name => 'main',
	init => { wal_segsize => 1 },
	conf => { max_slot_wal_keep_size => '1GB' })->start;
my $sites = Kura::Sites->new(names => [qw(tokyo osaka)]);
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
$tokyo->cluster('main', conninfo => $primary->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka',
	expire_grace => '0s');
$osaka->cluster('main', accept_from => 'tokyo', expire_grace => '0s');
$sites->start;
$sites->wait_link('tokyo', 'osaka');

# ---- what is there ----

sub there
{
	my ($id) = @_;

	return Kura::wait_until(sub {
		return ($osaka->pgkura('list', '--json'))[1] =~ /\Q$id\E/;
	}, 120);
}

my @backups;
for my $i (1 .. 3) {
	$primary->psql("CREATE TABLE t$i AS SELECT generate_series(1, 30000) AS a");
	$primary->psql('SELECT pg_switch_wal()');
	push @backups, $tokyo->json('backup')->{backup};
	ok(there($backups[-1]), "backup $i is at the other site")
	    or BAIL_OUT('no replication');
}
for my $i (1 .. 6) {
	$primary->psql("INSERT INTO t1 SELECT generate_series(1, 20000)");
	$primary->psql('SELECT pg_switch_wal()');
}
$primary->psql('INSERT INTO t1 VALUES (0)');
my $end = $primary->psql('SELECT pg_current_wal_flush_lsn()');
ok($sites->wait_committed('main', 'tokyo', 'osaka', $end, 120), 'and all WAL');
my $rows = $primary->psql('SELECT count(*), sum(a) FROM t1');

sub lineage
{
	my ($site) = @_;
	my ($dir) = glob($site->repo . '/main/*-*');

	return $dir;
}

# Names in the lineage: packs by backup, whole segments in order.
sub names
{
	my ($site, $below) = @_;
	my $dir = lineage($site);
	my @names;

	File::Find::find({ no_chdir => 1, wanted => sub {
		push @names, substr($_, length($dir) + 1)
		    if -f $_ && m{^\Q$dir/$below\E} && !m{/\.tmp|/open/|/known};
	} }, $dir);
	return sort @names;
}

my @packs = map { my $b = $_; (grep { /\Q$b\E/ } names($tokyo, 'packs/'))[0] }
    @backups;
my @segments = grep { m{/[0-9A-F]{24}$} } names($tokyo, 'wal/');
is(scalar(grep { defined } @packs), 3, 'each backup has a pack of its own');
cmp_ok(scalar @segments, '>=', 8, 'and there are segments');

sub digests
{
	my ($site) = @_;
	my $dir = lineage($site);

	return { map { $_ => Digest::SHA->new(256)->addfile("$dir/$_", 'b')
		->hexdigest } grep { !m{^(?:intents|damaged)/} } names($site, '') };
}

# ---- ways to damage ----

sub path { return lineage($_[0]) . '/' . $_[1]; }

sub flip
{
	my ($site, $name, $at) = @_;

	open my $f, '+<:raw', path($site, $name) or die "$name: $!";
	seek $f, $at // (-s $f) / 2, 0;
	read $f, my $byte, 1;
	seek $f, $at // (-s $f) / 2, 0;
	print $f chr(ord($byte) ^ 0x10);
	close $f or die;
	return;
}

sub cut { truncate path(@_), (-s path(@_)) / 3 or die; return; }
sub lose { unlink path(@_) or die "$_[1]: $!"; return; }

sub events
{
	my ($site, $what) = @_;
	my (undef, $out) = $site->pgkura('events', '--count=1000', '--json');

	return grep { ($_->{event} // '') eq $what }
	    map { JSON::PP::decode_json($_) } split /\n/, $out;
}

# Its exit status says how things are.
sub status_of { return JSON::PP::decode_json(($_[0]->pgkura('status', '--json'))[1]); }

sub aside { return grep { m{^damaged/} } names($_[0], ''); }

sub restored_is_right
{
	my ($site, $what) = @_;
	my $to = Kura::tempdir() . '/r';

	$site->pgkura_ok("$what: a restore works", 'restore', 'main',
		"--to=$to");
	my $copy = $site->restored(of => $primary, to => $to);
	$copy->start;
	$copy->wait_for('SELECT NOT pg_is_in_recovery()');
	is($copy->psql('SELECT count(*), sum(a) FROM t1'), $rows,
		"$what: and has all rows");
	$copy->stop;
	return;
}

my $is = { map { $_->[0] => digests($_->[1]) }
	[tokyo => $tokyo], [osaka => $osaka] };

# Everything at once.
sub damage_much
{
	my ($site) = @_;

	flip($site, $packs[0]);
	cut($site, $packs[1]);
	lose($site, $packs[2]);
	flip($site, "backups/$backups[1]", 300);
	flip($site, $segments[2], 5000);
	cut($site, $segments[3]);
	lose($site, $segments[5]);
	return;
}

for my $pair ([tokyo => $tokyo], [osaka => $osaka]) {
	my ($name, $site) = @{$pair};

	damage_much($site);
	$site->pgkura_fails("$name: verify finds damage", 3,
		qr/verify main --heal/, 'verify', 'main');
	my ($status, $out, $err) = $site->pgkura('verify', 'main', '--heal');
	is($status, 0, "$name: and heals all of it")
	    or diag($out, $err, map { $sites->daemon($_)->err } qw(tokyo osaka));
	like($out, qr/objects were healed from another site/, "$name: says so");
	$site->pgkura_ok("$name: verify finds nothing any more", 'verify',
		'main');
	my $now = digests($site);
	my @other = grep { ($now->{$_} // '') ne $is->{$name}{$_} }
	    grep { !m{^wal/} } sort keys %{ $is->{$name} };
	is("@other", '', "$name: packs and roots are byte for byte what they were");
	is(scalar(aside($site)), 5,
		"$name: what was damaged, and was there, is kept aside");
	my @healed = events($site, 'object_healed');
	is(scalar @healed, 7, "$name: each is told of");
	is(scalar(grep { $_->{values}{sha256} =~ /^[0-9a-f]{64}$/
		&& ($_->{values}{damaged_sha256} =~ /^[0-9a-f]{64}$/
			xor $_->{values}{kept_as} eq '') } @healed), 7,
		"$name: with both digests")
	    or diag(explain(\@healed));
	restored_is_right($site, $name);
	ok(Kura::wait_until(sub {
		my $s = status_of($site);
		my $d = $s->{clusters}[0]{damage} or return 0;
		return $d->{wanted} + $d->{hopeless} + $d->{others} == 0
		    && !grep { $_->{name} eq 'damage' } @{ $s->{alarms} };
	}, 60), "$name: status shows no damage");
	$site->pgkura_ok("$name: expire", 'expire', 'main');
	is(scalar(aside($site)), 0,
		"$name: after the grace time what was damaged goes");
}

# ---- what nobody has whole ----

sub bytes_of { return Kura::slurp(path(@_)); }

# As it was, by the same user.
sub put_back
{
	my ($site, $name, $bytes) = @_;

	open my $f, '+<:raw', path($site, $name) or die "$name: $!";
	print $f $bytes;
	close $f or die;
	return;
}

my $pack = bytes_of($osaka, $packs[0]);
flip($_, $packs[0]) for $tokyo, $osaka;
my ($status, $out, $err) = $tokyo->pgkura('verify', 'main', '--heal');
is($status, 3, 'the same pack damaged at both sites is not healed');
like($out, qr/^not healed: \Q$packs[0]\E.*; osaka: /m,
	'it is said which, and what the other site answers')
    or diag($out);
like($err, qr/No other site has these whole\. Take a new backup now/,
	'and what to do');
is(scalar(aside($tokyo)), 0, 'nothing has been moved');
ok(scalar(grep { $_->{values}{object} eq $packs[0] }
	events($osaka, 'damage_found')), 'the other site knows of its own now');
ok(Kura::wait_until(sub {
	my $s = status_of($tokyo);
	return grep { $_->{name} eq 'damage'
		&& $_->{message} =~ /1 of them nowhere whole.*a new backup/ }
	    @{ $s->{alarms} };
}, 60), 'status has an alarm');
like(($tokyo->pgkura('status'))[1], qr/DAMAGE\s+1 damaged or missing/,
	'and shows it');
put_back($osaka, $packs[0], $pack);
$tokyo->pgkura_ok('when the other site has it again it is healed', 'verify',
	'main', '--heal');
$osaka->pgkura_ok('the other site is whole', 'verify', 'main', '--heal');

# ---- without the daemon ----

$sites->stop('tokyo');
flip($tokyo, $packs[1]);
$tokyo->pgkura_fails('without pgkurad it says that it is needed', 3,
	qr/pgkurad does not run; what is damaged is written down/, 'verify',
	'main', '--heal');
$sites->start_daemon('tokyo');
ok(Kura::wait_until(sub {
	return ($tokyo->pgkura('verify', 'main'))[0] == 0;
}, 120), 'when it runs it heals what was written down');

# ---- killed on the way ----

$osaka->peer('tokyo', max_rate => '300kB');
$osaka->pgkura_ok('a slow line', 'reload');
ok(Kura::wait_until(sub {
	my $l = $sites->link('tokyo', 'osaka');
	return $l && $l->{up};
}, 60), 'which is up');
flip($tokyo, $packs[0]);
my $run = Kura::spawn($tokyo->words('verify', 'main', '--heal'));
for my $turn (1 .. 2) {
	my $pid;
	ok(Kura::wait_until(sub {
		my $l = $sites->link('tokyo', 'osaka') or return 0;
		$pid = $l->{pid};
		return $l->{up} && ($l->{heal}{arrived_bytes} // 0) > 0
		    && kill 0, $pid;
	}, 120), "turn $turn: it is on its way") or last;
	kill 'KILL', $pid;
	Kura::wait_until(sub { return !-d "/proc/$pid" }, 30);
}
isnt(Digest::SHA::sha256_hex(bytes_of($tokyo, $packs[0])), $is->{tokyo}{$packs[0]},
	'it is not there yet');
$osaka->peer('tokyo');
$osaka->pgkura_ok('a fast line again', 'reload');
is($run->wait(300), 0, 'with its courier killed twice it is healed')
    or diag($run->out, $run->err);
$tokyo->pgkura_ok('and all is whole', 'verify', 'main');

# ---- a site that was broken into ----

my @names = ($packs[0], $packs[1], "backups/$backups[1]", $segments[2],
	$segments[3], $segments[5]);
ok(Kura::wait_until(sub {
	return ($osaka->pgkura('verify', 'main', '--heal'))[0] == 0;
}, 60), 'what the roots are is known');
flip($osaka, $packs[0]);
cut($osaka, $packs[1]);
flip($osaka, "backups/$backups[1]", 300);
flip($osaka, $segments[2], 5000);
cut($osaka, $segments[3]);
lose($osaka, $segments[5]);
$sites->stop('tokyo');

sub attack
{
	my ($what, @number) = @_;

	return Kura::spawn(Kura::as_user(
		"$ENV{PGKURA_BUILD}/tests/programs/badpeer", $tokyo->state,
		$tokyo->repo, 'tokyo', 'osaka', "127.0.0.1:$sites->{port}{osaka}",
		'main', $what, @number));
}

my $before = digests($osaka);
my $bad = attack('lies', 120);
ok(Kura::wait_until(sub { return $bad->out =~ /^up$/m }, 60),
	'somebody with the keys of tokyo is there');
($status, $out, $err) = $osaka->pgkura('verify', 'main', '--heal');
is($status, 3, 'nothing that he gives is taken') or diag($out, $err);
my @not = $out =~ /^not healed: ([^:]+): .*; tokyo: /mg;
is(join(' ', sort @not), join(' ', sort @names), 'of all that is damaged')
    or diag($out, $bad->out);
is($bad->wait(200), 0, 'he did what he could') or diag($bad->err);
note($bad->out);
my $after = digests($osaka);
# WAL that had come may have been stored meanwhile.
for my $name (grep { m{^wal/} && !exists $before->{$_} } keys %{$after}) {
	delete $after->{$name} if !grep { $_ eq $name } @names;
}
is_deeply($after, $before, 'no object has changed');
is(scalar(aside($osaka)), 0, 'none was moved');

$bad = attack('wants', 5000);
is($bad->wait(300), 0, 'who asks for everything, over and over,')
    or diag($bad->err);
my ($offers, $busy) = $bad->out =~ /^offers (\d+) busy (\d+)$/m;
note("$offers offers, $busy times busy");
cmp_ok($offers, '>', 0, 'is given something');
cmp_ok($offers, '<', 200, 'and not without end');
cmp_ok($busy, '>', 0, 'but told to wait');
like($bad->out, qr/^give \d+ refused .*not shared/m,
	'what is not shared is not given');
like($bad->out, qr/^give \d+ refused "sign\.key"/m, 'nor keys');
ok($sites->daemon('osaka')->alive, 'the daemon goes on');

$sites->start_daemon('tokyo');
$osaka->pgkura_ok('the right site heals all of it', 'verify', 'main', '--heal');

# ---- by the schedule alone ----

$tokyo->cluster('main', conninfo => $primary->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka',
	expire_grace => '0s', verify_schedule => 'every 1min');
my $healed = events($tokyo, 'object_healed');
lose($tokyo, $packs[2]);
$tokyo->pgkura_ok('verify_schedule is set', 'reload');
ok(Kura::wait_until(sub {
	return events($tokyo, 'object_healed') > $healed;
}, 300), 'what a scheduled verification finds is healed');
$tokyo->pgkura_ok('all is whole at tokyo', 'verify', 'main');
$osaka->pgkura_ok('and at osaka', 'verify', 'main');
$sites->stop($_) for qw(tokyo osaka);
done_testing();
