#!/usr/bin/perl
# What another site still lacks is not expired here, for keep_lacking: backups and
# WAL; expire says so; then it goes.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
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
	fast_checkpoint => 'yes', replicate_to => 'osaka', keep_backups => 1,
	keep_age => '0s', expire_grace => '0s');
$osaka->cluster('main', accept_from => 'tokyo');
$sites->start;
$sites->wait_link('tokyo', 'osaka');

sub flushed { return $primary->psql('SELECT pg_current_wal_flush_lsn()'); }

sub there
{
	my ($id) = @_;

	return Kura::wait_until(sub {
		return ($osaka->pgkura('list', '--json'))[1] =~ /\Q$id\E/;
	}, 120);
}

sub backups
{
	return map { $_->{backup} } @{ $tokyo->json('list')->{backups} };
}

my $first = $tokyo->json('backup')->{backup};
ok(there($first), 'the first backup comes to the other site');
ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed()), 'and WAL');
my $pin = $tokyo->state . '/main/pin.osaka';
ok(Kura::wait_until(sub {
	return -f $pin && Kura::slurp($pin) =~ /\Q$first\E/;
}, 60), 'how far it has got is known here');

# The other site is away: backups come and go, and WAL with them.
$sites->stop('osaka');
my @later;
for my $i (1 .. 3) {
	$primary->psql("CREATE TABLE t$i AS SELECT generate_series(1, 10000) AS a");
	$primary->psql('SELECT pg_switch_wal()');
	push @later, $tokyo->json('backup')->{backup};
}
my $out = $tokyo->json('expire');
is(join(' ', sort(backups())), join(' ', sort @later),
	'backups that it lacks are kept, one that it has is not');
like(join("\n", map { "$_->{object}: $_->{why}" } @{ $out->{items} }),
	qr/site "osaka" lacks it; kept for 7/, 'and expire says why');
$tokyo->pgkura_ok('all is sound', 'verify');

$sites->start_daemon('osaka');
ok($sites->wait_committed('main', 'tokyo', 'osaka', flushed(), 120),
	'when it is back it gets all WAL');
ok(there($_), "and backup $_") for @later;
is(scalar @{ $osaka->json('wal', 'gaps')->{gaps} }, 0, 'without a gap');
ok(Kura::wait_until(sub {
	return Kura::slurp($pin) =~ /\Q$later[-1]\E/;
}, 60), 'which is known here');
$tokyo->pgkura_ok('now the retention holds again', 'expire');
is(join(' ', backups()), $later[-1], 'for backups');

# Away for longer than keep_lacking.
$sites->stop('osaka');
ok(Kura::wait_until(sub { return !$sites->link('tokyo', 'osaka')->{up} }, 60),
	'it is away again');
for my $i (4 .. 6) {
	$primary->psql("CREATE TABLE t$i AS SELECT generate_series(1, 10000) AS a");
	push @later, $tokyo->json('backup')->{backup};
}
$tokyo->peer('osaka', keep_lacking => '0s',
	address => $sites->addresses(qw(tokyo osaka)));
$out = $tokyo->json('expire');
# One may be on its way still, and is in use.
unlike(join(' ', backups()), qr/\Q$later[-2]\E/,
	'without keep_lacking nothing is kept because it is lacking')
    or diag(map { "$_->{object}: $_->{why}\n" } @{ $out->{items} });
$sites->start_daemon('osaka');
ok(there($later[-1]), 'it gets the newest backup all the same');
$sites->stop($_) for qw(tokyo osaka);
done_testing();
