package Kura::DrRounds;

# Kura::DrRounds: rounds of load, faults, the loss of a site at any moment,
# failover, and the way back; the sites change places each time.
#
#	Kura::DrRounds::run($rounds);	# all checks; plans and ends the test
#
# In each round rows are written one by one, each with the position of its
# commit; meanwhile processes are killed and the connection is cut; then the
# primary's site dies.  The other one must promote, have every row that was
# reported durable there, and have no hole in the order.

use strict;
use warnings;

use List::Util qw(max);
use Test::More;
use Kura;
use Kura::Roles;
use Time::HiRes qw(sleep time);

my $seed = $ENV{PGKURA_SEED} // time() % 100_000;

# Rows of one round: (number, position) each.
sub load
{
	my ($r, $from, $seconds) = @_;
	my $server = $r->server($from);
	my $until = time() + $seconds;
	my @rows;

	while (time() < $until) {
		$r->{n}++;
		my ($status, $lsn) = $server->psql_try(
			"INSERT INTO t (a) VALUES ($r->{n});"
			. ' SELECT pg_current_wal_flush_lsn()');
		last if $status != 0;
		push @rows, [$r->{n}, Kura::Site::lsn_number($lsn)];
	}
	return @rows;
}

sub fault
{
	my ($r, $from, $to) = @_;
	my $what = (qw(none courier_from courier_to receiver daemon_to))[rand 5];
	my $kill = sub {
		my ($name, $duty) = @_;
		my $all = `ps -eo pid,args`;
		my $conf = $r->site($name)->conf;

		for my $line (split /\n/, $all) {
			next if $line !~ /^\s*(\d+) .*--duty $duty.*\Q$conf\E/
			    && $line !~ /^\s*(\d+) .*\Q$conf\E.*--duty $duty/;
			kill 'KILL', $1;
		}
	};

	$kill->($from, 'courier') if $what eq 'courier_from';
	$kill->($to, 'courier') if $what eq 'courier_to';
	$kill->($from, 'receive') if $what eq 'receiver';
	if ($what eq 'daemon_to') {
		$r->sites->kill9($to);
		$r->sites->start_daemon($to);
	}
	return $what;
}

# What the sender knew to be durable at the other site.
sub reported
{
	my ($r, $from, $to) = @_;
	my $l = $r->sites->link($from, $to) or return 0;

	for my $ship (@{ $l->{ships} }) {
		return Kura::Site::lsn_number($ship->{committed})
		    if defined $ship->{committed};
	}
	return 0;
}

# Until it has noticed the silence the site may say that the peer lives.  Its daemon is
# killed, too: at a random moment of the promotion, or right after.
sub promote
{
	my ($r, $to) = @_;
	my $what = (qw(whole killed killed_after))[rand 3];
	my @order = ('failover', 'main', '--allow-data-loss=all', '--yes');
	my $err;

	if ($what eq 'killed') {
		my $p = Kura::spawn($r->site($to)->words(@order));
		sleep(rand 3);
		$r->sites->kill9($to);
		$p->wait(60);
		$r->sites->start_daemon($to);
	}
	Kura::wait_until(sub {
		return 1 if $what eq 'killed' && $r->writes($to);
		(my $status, undef, $err) = $r->site($to)->pgkura(@order);
		return $status == 0;
	}, 90) || diag("failover at $to: $err", $r->events($to));
	if ($what eq 'killed_after') {
		$r->sites->kill9($to);
		$r->sites->start_daemon($to);
	}
	return $what;
}

sub one
{
	my ($r, $round, $from, $to) = @_;
	my @rows = load($r, $from, rand 1.5);
	my $before = reported($r, $from, $to);
	my $fault = fault($r, $from, $to);

	push @rows, load($r, $from, rand 1.5);
	# Of a courier that was killed nobody hears it any more.
	my $durable = max($before, reported($r, $from, $to));
	$r->lose($from);
	my $promotion = promote($r, $to);
	$r->wait_server($to);
	is($r->role($to)->{role}, 'primary',
		"round $round ($fault, $promotion): $to is promoted");
	my ($max, $count) = split / of /, $r->rows($r->server($to));
	my @must = grep { $_->[1] <= $durable } @rows;
	my $need = @must ? $must[-1][0] : 0;
	cmp_ok($max, '>=', $need,
		"all that was reported durable is there (" . scalar(@rows)
		. " rows, $need reported, $max there)");
	my $holes = $r->server($to)->psql('SELECT count(*) FROM (SELECT a,'
		. ' lag(a) OVER (ORDER BY a) AS before FROM t WHERE a > '
		. ($rows[0] ? $rows[0][0] : 0) . ') x WHERE a <> before + 1');
	is($holes, 0, 'and the order has no hole');
	$r->{n} += 1000; # numbers that were lost are not used again
	return;
}

sub back
{
	my ($r, $round, $from, $to) = @_;

	$r->sites->start_daemon($from);
	$r->wait_role($from, 'standby');
	my ($status, $out, $err);
	Kura::wait_until(sub {
		($status, $out, $err) = $r->site($from)->pgkura('failback',
			'main', '--give-way', '--yes');
		return $status == 0;
	}, 60);
	is($status, 0, "round $round: $from comes back") or diag($out, $err);
	$r->wait_promotable($from);
	my $n = $r->insert($r->server($to));
	ok(Kura::wait_until(sub {
		my ($s, $got) =
		    $r->server($from)->psql_try('SELECT max(a) FROM t');
		return $s == 0 && $got eq $n;
	}, 90), 'both are of one history');
	is($r->rows($r->server($from)), $r->rows($r->server($to)),
		'with equal rows');
	$r->one_writer("round $round");
	return;
}

sub run
{
	my ($rounds) = @_;
	my ($major) = grep { $_ >= 15 } Kura::servers();

	plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;
	srand($seed);
	diag("PGKURA_SEED=$seed");
	my $r = Kura::Roles->new(major => $major);
	my ($from, $to) = qw(tokyo osaka);
	for my $round (1 .. $rounds) {
		one($r, $round, $from, $to);
		back($r, $round, $from, $to);
		($from, $to) = ($to, $from);
	}
	for my $name (qw(tokyo osaka)) {
		$r->site($name)->pgkura_ok("what $name has is sound", 'verify');
	}
	$r->sites->stop($_) for qw(tokyo osaka);
	done_testing();
	return;
}

1;
