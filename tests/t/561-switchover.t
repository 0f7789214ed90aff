#!/usr/bin/perl
# The role of the primary goes to the other site and comes back, each time
# ordered at one of the sites, with nothing lost; a second one waits for the end of
# the first.  OP3, RK9.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

# A switchover is given up when the other site is silent; a slow machine is not.
my $r = Kura::Roles->new(major => $major,
	peer => { beat_interval => '500ms', beat_misses => 10 });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

sub goes
{
	my ($how, $from, $to, $at) = @_;
	my $there = $r->server($to);

	$r->insert($r->server($from)) for 1 .. 10;
	$r->site($at)->pgkura_ok("$how: the order", 'switchover', 'main',
		"--to=$to", '--yes')
	    or diag($r->events('tokyo'), $r->events('osaka'));
	$r->wait_role($from, 'standby');
	$r->wait_server($to);
	$r->one_writer($how);
	is($r->rows($there), "$r->{n} of $r->{n}", "$how: nothing is lost");
	$r->insert($there);
	is($r->rows($there), "$r->{n} of $r->{n}", "$how: it takes writes");
	$r->wait_for("the old primary following", sub {
		my $now = $r->role($from)->{now} // {};

		return ($now->{handover} // '') eq 'none' && $now->{promotable};
	}, 120);
	ok(1, "$how: the old primary follows");
	$r->wait_for("a row at $from", sub {
		my ($status, $out) = $r->server($from)->psql_try(
			"SELECT count(*) FROM t WHERE a = $r->{n}");
		return $status == 0 && $out eq '1';
	});
	ok(1, "$how: what is written at the new one comes to it");
	$r->wait_for('the end of the hand-over', sub {
		($r->now($to, 'handover') // '') eq 'none'
	});
	return;
}

for my $site ($tokyo, $osaka) {
	for my $to ('tokyo', 'nowhere') {
		$site->pgkura_fails("from tokyo to $to", 1,
			qr/leads to site "osaka" now, not to "$to"/,
			'switchover', 'main', "--to=$to", '--yes');
	}
}
is(scalar(@{ $r->role('tokyo')->{history} }), 1, 'no role has changed');
goes('ordered at the primary', 'tokyo', 'osaka', 'tokyo');
$osaka->pgkura_ok('(maintenance of the server that is left)', 'maintenance', 'main',
	'on');
goes('and back, ordered at the standby', 'osaka', 'tokyo', 'tokyo');
$r->told('tokyo', qr/maintenance_ends: /, 'that of the other server is over, and it is said');
ok(!$r->now($_, 'maintenance'), "... at $_") for qw(tokyo osaka);
is_deeply([map { $_->{role} } @{ $r->role('tokyo')->{history} }],
	[qw(primary standby primary)], 'the roles of a site are on record');
cmp_ok($r->role('tokyo')->{held}, '>', 2, 'each with a term of its own');

# ---- one after the other: the old primary does not follow yet ----

my $n = 0;
for my $at ((qw(tokyo tokyo osaka osaka)) x 2) {
	my ($from, $to) = $n++ % 2 ? qw(osaka tokyo) : qw(tokyo osaka);

	$r->insert($r->server($from));
	$r->site($at)->pgkura_ok("RK9: switchover $n at once, ordered at $at",
		'switchover', 'main', "--to=$to", '--yes')
	    or diag($r->events('tokyo'), $r->events('osaka'));
	$r->wait_server($to);
	$r->one_writer("switchover $n");
	is($r->rows($r->server($to)), "$r->{n} of $r->{n}",
		"RK9: switchover $n at once loses nothing");
}

# ---- what is at the other site does not keep the receiver out ----

sub duty
{
	return Kura::spawn(Kura::as_user('env', 'PGKURA_CONF=' . $osaka->conf,
		Kura::program('pgkurad'), '--duty', @_));
}

goes('to the site that dials', 'tokyo', 'osaka', 'tokyo');
my $had = @{ $r->role('tokyo')->{history} };
my $lines = sub {
	return scalar(() = $tokyo->pgkura_ok("roles: @_", 'role', 'main', @_)
		    =~ /^\d{4}-\d\d-/mg);
};
cmp_ok($had, '>', 10, '(there are more than are shown)');
is($lines->(), 10, 'the last ten roles are shown');
is($lines->('--all'), $had, '... or all');
$r->sites->stop('osaka');
$r->wait_for('silence', sub {
	!($r->sites->link('tokyo', 'osaka') // {})->{up}
});
my $courier = duty('courier', '--cluster', 'tokyo');
$r->sites->wait_link('tokyo', 'osaka');
sleep 3; # tokyo offers its WAL at once, when there is nobody else to bring any
my $receive = duty('receive', '--cluster', 'main');
ok(Kura::wait_until(sub {
	$receive->err =~ /receive_started/ || !$receive->alive
}) && $receive->err =~ /receive_started/,
	"the primary's receiver finds its place free")
    or diag($courier->err, $receive->err);
for my $p ($courier, $receive) {
	$p->kill('TERM');
	is($p->wait(30), 0, 'and it ends') if $p->alive;
}
$r->sites->stop('tokyo');
done_testing();
