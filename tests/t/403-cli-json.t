#!/usr/bin/perl
# The shape of what --json prints, and the exit status of "status" with a
# daemon that is well and one that is not.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $number = qr/^\d+$/;
my $lsn = qr{^[0-9A-F]+/[0-9A-F]+$};
my $utc = qr/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00$/;
my $id = qr/^\d{8}T\d{6}Z-[0-9a-f]{4}$/;
my $any = qr/./;

# Exactly these members, each like its pattern.
sub shape
{
	my ($name, $got, %want) = @_;

	is(join(' ', sort keys %{$got}), join(' ', sort keys %want), "$name: members");
	for my $key (sort keys %want) {
		my $value = $got->{$key};
		if (ref $want{$key} eq 'Regexp') {
			like($value, $want{$key}, "$name: $key");
		} else {
			is(ref $value, $want{$key}, "$name: $key");
		}
	}
	return;
}

my $bool = 'JSON::PP::Boolean';
my $primary = Kura::Cluster->new(major => $major, name => 'main',
	init => { checksums => 1 },
	conf => { max_slot_wal_keep_size => '1GB' })->start;
my $site = Kura::Site->new;
$site->cluster('main', conninfo => $primary->conninfo,
	fast_checkpoint => 'yes');
$site->pgkura_ok('init', 'init');

my %head = (version => qr/^1$/);
shape('backup', $site->json('backup'), %head, command => qr/^backup$/,
	backup => $id, map { $_ => $number } qw(files bytes new_bytes
	stored_bytes damaged_pages elapsed_us));
my $list = $site->json('list');
shape('list', $list, %head, command => qr/^list$/, cluster => qr/^main$/,
	lineage => qr/^\d+-1$/, backups => 'ARRAY', recoverable => 'ARRAY');
shape('a backup', $list->{backups}[0], backup => $id, finished => $utc,
	start_lsn => $lsn, stop_lsn => $lsn, from_standby => $bool,
	map { $_ => $number } qw(timeline version_num files bytes new_bytes
	stored_bytes damaged_pages));
shape('a window', $list->{recoverable}[0], backup => $id, from => $utc,
	to => $utc, from_lsn => $lsn, to_lsn => $lsn, timeline => $number,
	live => $bool, hole_behind => $bool);
shape('verify', $site->json('verify'), %head, command => qr/^verify$/,
	objects => qr/^[1-9]/, bytes => $number, findings => 'ARRAY');
my $expire = $site->json('expire', '--dry-run');
shape('expire', $expire, %head, command => qr/^expire$/, dry_run => $bool,
	items => 'ARRAY', map { $_ => $number } qw(backups packs wal_segments
	bytes));
shape('an item', $expire->{items}[0], object => qr/^backup /, removed => $bool,
	why => $any);
my $wal = $site->json('wal', 'list');
shape('wal list', $wal, %head, command => qr/^wal$/, spans => 'ARRAY');
shape('a span', $wal->{spans}[0], timeline => $number, start_lsn => $lsn,
	end_lsn => $lsn, open_end => $bool);
shape('wal gaps', $site->json('wal', 'gaps'), %head, command => qr/^wal$/,
	gaps => 'ARRAY');
shape('restore --plan', $site->json('restore', '--plan', 
	'--to=' . $site->dir . '/copy'),
	%head, command => qr/^restore$/, directory => $any, plan => $bool,
	backup => $id, stop_lsn => $lsn,
	wal_from_lsn => $lsn, wal_to_lsn => $lsn,
	map { $_ => $number } qw(timeline wal_bytes files bytes read_bytes
	written_bytes kept_blocks written_blocks estimate_us elapsed_us));
my $check = $site->json('check');
shape('check', $check, %head, command => qr/^check$/, clusters => 'ARRAY');
shape('a check', $check->{clusters}[0], cluster => qr/^main$/,
	faults => qr/^0$/, warnings => $number, items => 'ARRAY');

# ---- damage ----

my ($pack) = glob($site->repo . '/main/*/packs/*/*');
my $bytes = Kura::slurp($pack);
my $bad = $bytes;
substr($bad, 1000, 1) ^= "\x01";
Kura::write_file($pack, $bad);
my ($status, $out) = $site->pgkura('verify', '--json');
my $verify = JSON::PP::decode_json($out);
is($status, 3, 'verify of a damaged pack: exit status 3');
shape('a finding', $verify->{findings}[0], object => qr{packs/}, what => $any);
Kura::write_file($pack, $bytes);
$site->pgkura_ok('and 0 when it is whole again', 'verify');

# ---- status ----

($status, $out) = $site->pgkura('status', '--json');
is("$status $out", '1 ', 'no daemon: status 1, and no JSON');
my $daemon = Kura::spawn(Kura::as_user(Kura::program('pgkurad'),
	'--config', $site->conf));
ok(Kura::wait_until(sub {
	my ($s, $text) = $site->pgkura('status');
	return $s == 0 && $text =~ /durable here up to [0-9A-F]+\//;
}, 20), 'a daemon that receives: status 0') or diag($daemon->err);
($status, $out) = $site->pgkura('status');
like($out, qr/\Aall is well\n\nsite main, repository .*, .* free\n\ncluster main\n/,
	'one screen that begins with a sentence');
like($out, qr/^  backups   1, the newest \S+ \(.* ago\)$/m, 'with the backups');
my $all = $site->json('status');
is($all->{health}{level}, 'ok', 'as JSON too');
($status, $out) = $site->pgkura('events');
like($out, qr/^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d info +daemon_started: /m,
	'events have their time');
my ($line) = split /\n/, ($site->pgkura('events', '--json'))[1];
shape('an event', JSON::PP::decode_json($line), time_us => $number,
	level => $any, event => $any, message => $any, number => $number,
	values => 'HASH');
$site->cluster('main', conninfo => $primary->conninfo, keep_bakcups => 1);
$site->pgkura_fails('reload of a wrong file: status 2', 2, qr/keep_bakcups/,
	'reload');
$daemon->kill('TERM');
$daemon->wait(20);
done_testing();
