#!/usr/bin/perl
# Replication over bad lines: HD1, HD2, PA15, PA22, profile W5f.  How long HD2
# takes is measured by scripts/bench-wan.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Sites;
use Kura::Wan;

my $why = Kura::Wan::missing();
plan skip_all => $why if $why;
my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $wan = Kura::Wan->new(sites => [qw(tokyo osaka)], paths => 2,
	profile => 'S1');
my $primary = Kura::Cluster->new(major => $major, name => 'main',
	in => [$wan->in('tokyo')],
	conf => { max_slot_wal_keep_size => '4GB' })->start;
my $sites = Kura::Sites->new(wan => $wan,
	peer => { beat_interval => '500ms', beat_misses => 3 });
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
$tokyo->cluster('main', conninfo => $primary->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka');
$osaka->cluster('main', accept_from => 'tokyo');
$primary->psql('CREATE TABLE t (n bigserial, at timestamptz DEFAULT now(), pad text)');
$sites->start;
$sites->wait_link('tokyo', 'osaka');
$tokyo->pgkura_ok('a backup', 'backup');

sub flushed { return $primary->psql('SELECT pg_current_wal_flush_lsn()'); }

sub all_there
{
	my ($name, $seconds) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed(),
			$seconds // 90), $name)
	    || diag(JSON::PP::encode_json($sites->link('tokyo', 'osaka') // {}),
		    $sites->daemon('tokyo')->err, $sites->daemon('osaka')->err);
}

sub events
{
	my ($name) = @_;
	my @all = map { JSON::PP::decode_json($_) }
	    split /\n/, ($tokyo->pgkura('events', '--json', '--count=500'))[1];

	return grep { $_->{event} eq $name } @all;
}

sub insert
{
	my ($rows) = @_;

	$primary->psql("INSERT INTO t (pad) SELECT md5(g::text) FROM"
		. " generate_series(1, $rows) g");
	return;
}

insert(1000);
all_there('all crosses a line of 100 Mbit/s, 15 ms, 0.1 % loss');

subtest 'HD1: the line is cut under load' => sub {
	my $load = Kura::spawn($wan->in('tokyo'), Kura::as_user('sh', '-c',
			'for i in $(seq 1 400); do ' . Kura::client('psql')
			. " -qX -d '" . $primary->conninfo
			. "' -c \"INSERT INTO t (pad) VALUES ('\$i')\" || exit 1;"
			. ' done'));

	$wan->cut;
	ok(Kura::wait_until(sub { return events('path_down') >= 2 }, 60),
		'the loss of each path is an event');
	$load->wait(120);
	is($load->err, '', 'no commit failed or waited');
	insert(20000);
	$wan->heal;
	all_there('the rest follows by itself');
	ok(Kura::wait_until(sub { return events('path_up') >= 2 }, 60),
		'and the paths are up again');
	my $gaps = $osaka->json('wal', 'gaps');
	is(scalar @{ $gaps->{gaps} }, 0, 'without a gap');
};

subtest 'HD2: what was written while the line was cut' => sub {
	my $ship = sub { return $sites->link('tokyo', 'osaka')->{ships}[0]; };
	my $line = sub {
		my $bytes = 0;
		$bytes += $wan->counters($_)->{'ab.out_bytes'} for 1, 2;
		return $bytes;
	};
	my $same = sub {
		my ($before) = @_;

		return Kura::wait_until(sub {
			my $s = $ship->();
			return $s->{committed} eq $before->{source_end}
			    && $s->{source_end} eq $before->{source_end};
		}, 30);
	};

	# The status is a second old, and the server writes a little by itself.
	my $before;
	Kura::wait_until(sub { $before = $ship->(); return $same->($before); }, 90);
	$wan->cut;
	my $from = Kura::Site::lsn_number($before->{committed});
	insert(400000);
	my $end = Kura::Site::lsn_number(flushed());
	my $plain = $end - $from;
	cmp_ok($plain, '>', 30e6, 'much is written');
	$tokyo->wait_wal('main', flushed(), 120);
	$wan->reset_counters;
	$wan->heal;
	all_there('all of it crosses', 180);
	my $crossed = $line->();
	my $after;
	Kura::wait_until(sub {
		$after = $ship->();
		return Kura::Site::lsn_number($after->{committed}) >= $end
		    && $after->{committed} eq $after->{source_end};
	}, 30);
	my $sent = $after->{wal_sent_bytes} - $before->{wal_sent_bytes};
	my $taken = Kura::Site::lsn_number($after->{committed}) - $from;

	is($after->{wal_plain_bytes} - $before->{wal_plain_bytes}, $taken,
		'each byte of it once, from where the other site had it');
	cmp_ok($sent, '<', 0.7 * $plain, "compressed: $sent of $plain bytes");
	cmp_ok($crossed, '<', 1.5 * $sent + 2e6,
		"and the line carried little more: $crossed bytes");
};

subtest 'PA22: one path of two' => sub {
	my ($downs, $lost) = (scalar events('path_down'), scalar events('link_down'));

	$wan->cut(2);
	ok(Kura::wait_until(sub { return events('path_down') > $downs }, 60),
		'the loss of one path is an event');
	insert(20000);
	all_there('and replication goes on by the other');
	is(scalar events('link_down'), $lost, 'the link is there all the time');
	$wan->heal(2);
	ok(Kura::wait_until(sub {
		my $l = $sites->link('tokyo', 'osaka');
		return !grep { !$_->{up} } @{ $l->{paths} };
	}, 60), 'both paths are up again');
};

subtest 'W5f: damaged bytes with right checksums' => sub {
	$wan->set('corrupt=1', 'repair=on');
	insert(30000);
	all_there('work goes on', 180);
	my $lost = $sites->link('tokyo', 'osaka')->{lanes_lost};

	ok($lost > 0, "connections were lost over it: $lost");
	$wan->set('corrupt=0');
};

subtest 'the other site is whole' => sub {
	$osaka->pgkura_ok('verify', 'verify');
	my $copy = $osaka->dir . '/copy';
	$osaka->pgkura_ok('restore', 'restore', "--to=$copy");
	my $restored = $osaka->restored(of => $primary, to => $copy)->start;
	$restored->wait_for('SELECT NOT pg_is_in_recovery()');
	is($restored->psql('SELECT count(*), max(n), sum(hashtext(pad)) FROM t'),
		$primary->psql('SELECT count(*), max(n), sum(hashtext(pad)) FROM t'),
		'equal data');
	$restored->stop;
};
done_testing();
