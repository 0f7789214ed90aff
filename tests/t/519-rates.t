#!/usr/bin/perl
# What may be sent to another site: a rate, others at times of the day, changed while
# all runs.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes qw(sleep time);
use Kura;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $primary = Kura::Cluster->new(major => $major, name => 'main',
	conf => { max_slot_wal_keep_size => '1GB' })->start;
my $sites = Kura::Sites->new(names => [qw(tokyo osaka)]);
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
$tokyo->cluster('main', conninfo => $primary->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka');
$osaka->cluster('main', accept_from => 'tokyo');
my %unlimited = %{ $tokyo->{peers}{osaka} };
$sites->start;
$sites->wait_link('tokyo', 'osaka');

# Each a rate of so many kB/s at most, now or at another time.
my $hour = (localtime)[2];
my $now = sprintf('%02d:00-%02d:00', ($hour + 23) % 24, ($hour + 3) % 24);
my $later = sprintf('%02d:00-%02d:00', ($hour + 5) % 24, ($hour + 8) % 24);

sub allow
{
	my ($kb, %more) = @_;

	$tokyo->peer('osaka', %unlimited, %more);
	$tokyo->pgkura_ok("set: @{[ %more ]}", 'reload');
	return ok(Kura::wait_until(sub {
		my $link = $sites->link('tokyo', 'osaka') or return 0;
		return $link->{up}
		    && ($link->{max_rate_bytes_per_s} // -1) == $kb * 1024;
	}), "at most $kb kB/s");
}

# What arrives in some seconds is no more than that, though there is more to send.
# Each of the 8 lanes may be ahead by two packets, which are large on loopback.
sub keeps
{
	my ($kb) = @_;
	my ($to, $from);

	# What the limit before let through may be under way still.
	for (1 .. 2) {
		$from = $to;
		my $seen = $from // $sites->link('osaka', 'tokyo');
		Kura::wait_until(sub {
			$to = $sites->link('osaka', 'tokyo');
			return $to->{received_bytes} > $seen->{received_bytes}
			    && $to->{updated_us} - $seen->{updated_us} > 6e6;
		});
	}
	cmp_ok(($to->{received_bytes} - $from->{received_bytes}) / 1024, '<=',
		1.1 * $kb * ($to->{updated_us} - $from->{updated_us}) / 1e6 + 1200,
		"no more arrives than $kb kB/s");
	cmp_ok($sites->link('tokyo', 'osaka')->{ships}[0]{behind_bytes}, '>', 0,
		'... though there is more');
	return;
}

$tokyo->json('backup');
ok($sites->wait_committed('main', 'tokyo', 'osaka',
		$primary->psql('SELECT pg_current_wal_flush_lsn()')),
	'all is there');
# Nearly nothing goes, however long it takes to write what is to last for all that
# follows.
allow(30, max_rate => '30kB');
$primary->psql("SELECT pg_logical_emit_message(false, 'x', string_agg(
	gen_random_uuid()::text, '')) FROM generate_series(1, 200000)") for 1 .. 16;
my $end = $primary->psql('SELECT pg_current_wal_flush_lsn()');
$tokyo->wait_wal('main', $end, 120);
allow(500, rate_windows => "$later unlimited, $now 500kB");
like(($tokyo->pgkura('status'))[1], qr/link +up.*, sends at most 500 kB\/s/,
	'status says so');
keeps(500);
allow(1500, max_rate => '1500kB', rate_windows => "$later 9kB");
keeps(1500);
allow(0, max_rate => '1500kB', rate_windows => "$now unlimited");
unlike(($tokyo->pgkura('status'))[1], qr/sends at most/, 'no limit, no word');
ok($sites->wait_committed('main', 'tokyo', 'osaka', $end, 120),
	'without a limit all gets there');
$sites->stop($_) for qw(tokyo osaka);
done_testing();
