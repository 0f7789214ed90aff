#!/usr/bin/perl
# What people see of two sites, at both ends: OP1, PA4; throughput, ETA,
# compression, history; and that a backup is seen as soon as it is there.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $primary = Kura::Cluster->new(major => $major, name => 'main',
	init => { checksums => 1 },
	conf => { max_slot_wal_keep_size => '1GB' })->start;
my $sites = Kura::Sites->new(
	peer => { beat_interval => '500ms', beat_misses => 6 });
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
$tokyo->cluster('main', conninfo => $primary->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka');
$osaka->cluster('main', accept_from => 'tokyo');
$sites->start;
$sites->wait_link('tokyo', 'osaka');

sub status
{
	my ($name) = @_;
	my ($status, $out, $err) = $sites->site($name)->pgkura('status');

	return ($status, $out);
}

# Also when something is not normal.
sub facts
{
	my ($site) = @_;

	return JSON::PP::decode_json(($site->pgkura('status', '--json'))[1]);
}

sub is_normal
{
	my ($name) = @_;

	return (status($name))[0] == 0;
}

# What the courier of one site says of its part of the cluster.
sub course
{
	my ($from, $to, $what) = @_;

	return (($sites->link($from, $to) // {})->{$what} // [])->[0] // {};
}

# ---- a backup is seen when it is there ----

subtest 'the watcher sees a backup that a person took' => sub {
	my $watch = Kura::spawn(Kura::as_user('env',
		'PGKURA_CONF=' . $tokyo->conf, Kura::program('pgkurad'),
		'--duty', 'watch'));
	my $words = sub {
		return map { JSON::PP::decode_json($_) }
		    grep { /"type": *"cluster"/ && /\}$/ } split /\n/, $watch->out;
	};

	ok(Kura::wait_until(sub { return $words->() >= 1 }), 'it looks');
	my $id = $tokyo->json('backup')->{backup};
	my $before = $words->();
	# One word may have been on its way.
	ok(Kura::wait_until(sub { return $words->() >= $before + 2 }),
		'its second word after the backup');
	is(($words->())[$before + 1]{newest_backup}, $id, 'knows it');
	$watch->kill('TERM');
	$watch->wait(20);
};

# ---- all is well ----

ok(Kura::wait_until(sub {
	return course('tokyo', 'osaka', 'ships')->{newest_backup}
	    && is_normal('tokyo') && is_normal('osaka');
}, 120), 'OP1: status says 0 at both sites when all is normal')
    or diag(map { (status($_))[1], $sites->daemon($_)->err } qw(tokyo osaka));
my ($status, $out) = status('tokyo');
like($out, qr/\Aall is well\n/, 'OP1: in a sentence');
cmp_ok(scalar(() = $out =~ /\n/g), '<=', 24, 'OP1: on one screen');
like($out, qr/^  path 1    up 127\.0\.0\.1/m, 'OP1: with the path');
like($out, qr/^  sends     main: shipping, durable there up to .*(?:in step|behind)$/m,
	'OP1: what goes');
($status, $out) = status('osaka');
like($out, qr/^  takes     main: accepting, durable here up to /m,
	'OP1: and what comes');
like($out, qr/^ +a failover now would lose up to \S.* \(target 1min: met\)$/m,
	'OP1: RPO against its target');
cmp_ok(scalar(() = $out =~ /\n/g), '<=', 24, 'OP1: on one screen, too');

my $starts = sub {
	return join ' ', map { map { "$_->{duty}=$_->{starts}" }
		grep { $_->{duty} =~ /^(?:courier|listen|watch|store)$/ }
		@{ facts($_)->{duties} } } $tokyo, $osaka;
};
my $first = $starts->();
unlike($first, qr/=(?:[2-9]|\d\d)/, 'PA4: both sites started, no duty twice')
    or diag($first);
my $sessions = sub { return scalar(() = $sites->daemon('tokyo')->err =~ /link_up/g) };
is($sessions->(), 1, 'PA4: one session');

# ---- throughput ----

$primary->psql('CREATE TABLE t AS SELECT g, md5(g::text) AS m'
	. ' FROM generate_series(1, 100000) g');
ok(Kura::wait_until(sub {
	return course('tokyo', 'osaka', 'ships')->{wal_bytes_per_s}
	    && course('osaka', 'tokyo', 'accepts')->{wal_bytes_per_s}
	    && $sites->link('tokyo', 'osaka')->{sent_bytes_per_s}
	    && $sites->link('osaka', 'tokyo')->{received_bytes_per_s};
}), 'throughput is told at both sites, of the WAL and of the lanes');
for my $of ([course('tokyo', 'osaka', 'ships'), 'tokyo'],
	[course('osaka', 'tokyo', 'accepts'), 'osaka']) {
	my ($c, $name) = @$of;

	cmp_ok($c->{wal_plain_bytes}, '>', 2 * $c->{wal_sent_bytes},
		"$name: the WAL was compressed");
	like($c->{source_bytes_per_s}, qr/^\d+$/, "$name: how fast it is made");
}
like(facts($_)->{peers}[0]{link}{skew_us}, qr/^-?\d+$/, 'clock skew')
    for $tokyo, $osaka;
$sites->wait_committed('main', 'tokyo', 'osaka', $primary->lsn);
ok(Kura::wait_until(sub {
	return (course('tokyo', 'osaka', 'ships')->{eta_us} // 1) == 0
	    && (course('osaka', 'tokyo', 'accepts')->{eta_us} // 1) == 0;
}), 'and in step there is no ETA but now');
like((status('tokyo'))[1], qr{^            \S+ \S+/s of WAL \(compressed \d+\.\d : 1\)}m,
	'status has throughput and compression');

# ---- what is lost is told: exit status, RPO, ETA ----

my $stopped = (grep { $_->{duty} eq 'courier' }
	@{ facts($osaka)->{duties} })[0]{pid};
kill('STOP', $stopped);
$primary->psql('INSERT INTO t SELECT g, md5(g::text)'
	. ' FROM generate_series(1, 300000) g');
ok(Kura::wait_until(sub {
	($status, $out) = status('tokyo');
	return $status != 0 && $out =~ /^alarm peer_unreachable: /m;
}), 'OP1: a site that is silent: status is not 0, and says why') or diag($out);
ok(Kura::wait_until(sub {
	my $c = course('tokyo', 'osaka', 'ships');
	return $c->{behind_bytes} > 0 && $c->{lacking_since_us} > 0
	    && !defined $c->{eta_us};
}), 'what does not get less has no ETA');
like((status('tokyo'))[1], qr/it does not catch up at this rate/,
	'and status says so');
like((status('tokyo'))[1],
	qr/^ +the loss of this site now would lose up to \S.* \(target 1min: m/m,
	'and the RPO against its target');
ok(Kura::wait_until(sub { return (status('osaka'))[1] =~ /^  link      not known: /m }),
	'OP1: where a courier hangs, what it said last is not shown');
kill('CONT', $stopped);
ok(Kura::wait_until(sub {
	return $sites->wait_committed('main', 'tokyo', 'osaka', $primary->lsn, 1)
	    && is_normal('tokyo') && is_normal('osaka');
}, 120), 'OP1: back to normal by itself: 0 again')
    or diag(map { (status($_))[1] } qw(tokyo osaka));

# ---- history ----

my $samples = sub {
	my ($site) = @_;

	return $site->json('status', '--history', '--since=1d')->{samples};
};
# It is written each ten seconds.
ok(Kura::wait_until(sub {
	return grep { $_->{behind_bytes} > 0 && $_->{bytes} > 0 }
	    @{ $samples->($tokyo) };
}), 'history at the source');
my ($worst) = sort { $b->{behind_bytes} <=> $a->{behind_bytes} }
    @{ $samples->($tokyo) };
is("$worst->{cluster} $worst->{to}", 'main osaka', 'says of which copy');
is($worst->{span_us}, 60e6, 'minute by minute');
cmp_ok($worst->{behind_us}, '>', 0, 'the RPO of then');
ok(Kura::wait_until(sub {
	return grep { $_->{from} eq 'tokyo' && $_->{bytes} > 0
		&& defined $_->{behind_us} } @{ $samples->($osaka) };
}), 'history at the other site');
my $csv = $tokyo->pgkura_ok('as CSV', 'status', '--history', '--csv');
like($csv, qr/\Atime,cluster,way,peer,span_s,covered_s,behind_bytes,behind_s,bytes,bytes_per_s\n/,
	'with a head');
like($csv, qr/^20\d\d-\d\d-\d\d \d\d:\d\d:00\+00,main,to,osaka,60,[\d.]+,\d+,[\d.]+,\d+,\d+$/m,
	'and lines');
like($tokyo->pgkura_ok('as a table', 'status', '--history', '--since=2h'),
	qr/^cluster main to osaka\ntime +behind +late +a second\n20/m, 'for people');
$tokyo->pgkura_fails('--since without --history is refused', 2,
	qr/belong to --history/, 'status', '--since=1h');
$sites->stop($_) for qw(tokyo osaka);
is(scalar @{ $samples->($tokyo) } > 0, 1, 'it is there without the daemon');
done_testing();
