#!/usr/bin/perl
# Two sites that ask different witnesses: each could win the vote of its own.  Nobody
# takes over by that, at either site it is told, and once both have the same again
# automatic failover works.  The same when the primary changes its witness and nobody
# hears of it.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major, witness => 1,
	cluster => { failover => 'automatic', fence => 'lease',
		failover_backoff => '0s' });
my $sites = $r->sites;

# Another machine with the witness' name, and a key of its own.
my $other = $sites->make_site('sendai');
$other->site(site => 'nagoya');
$other->cluster('main', %{ $r->site('nagoya')->{clusters}{main} });
$other->peer($_, %{ $r->site('nagoya')->{peers}{$_} }) for qw(tokyo osaka);
$other->pgkura_ok('another witness, of the same name', 'init');
$sites->start_daemon('sendai');

# From now on that site asks this witness.
sub asks
{
	my ($name, $witness) = @_;
	my $site = $r->site($name);

	$site->peer('nagoya', %{ $site->{peers}{nagoya} },
		address => $sites->addresses($name, $witness));
	$site->pgkura('reload');
	$sites->pair($name, $witness);
	return;
}

sub witness { return ($r->now($_[0], 'witness') // {}); }

sub alarm_of
{
	my ($name) = @_;

	return map { $_->{message} }
	    grep { $_->{name} eq 'witness_differs' }
	    @{ $r->status($name)->{alarms} };
}

# Neither hears the other any more; each hears its witness.
sub line
{
	my ($signal) = @_;

	for my $name (qw(tokyo osaka)) {
		kill($signal, map { $_->{pid} } grep {
			$_->{duty} eq 'courier' && $_->{pid}
			    && $_->{cluster} ne 'nagoya'
		} @{ $r->status($name)->{duties} });
	}
	return;
}

$r->wait_lease('tokyo');
$r->wait_proof;
my $first = witness('tokyo')->{key};
is(witness('osaka')->{key}, $first, 'both sites know the witness by its key');
like(($r->site('osaka')->pgkura('check', 'main'))[1],
	qr/^ok +one witness +both sites have .*\Q$first\E/m, 'check says so');

# It has to know both sites once, or it votes for nobody.
asks($_, 'sendai') for qw(tokyo osaka);
$r->wait_for('the other witness', sub {
	my $now = $r->role('osaka')->{now};

	return $now->{witness}{key} ne $first && $now->{witness}{counts}
	    && witness('tokyo')->{counts} && !$r->now('sendai', 'voter_lost');
});
ok($r->writes('tokyo'), 'the primary goes on while both change their witness');

# ---- only one of them goes back ----

asks('tokyo', 'nagoya');
$r->wait_for('the difference', sub {
	!grep { !witness($_)->{differs} } qw(tokyo osaka);
});
$r->wait_for('the answer', sub { witness('tokyo')->{counts} });
ok(1, 'the primary counts the votes of its witness');
ok(!witness('osaka')->{counts}, 'the standby does not');
for my $name (qw(tokyo osaka)) {
	my ($site, $key) = ($r->site($name), witness($name)->{peer_key});
	my ($status, $out) = $site->pgkura('check', 'main');

	is($status, 1, "check at $name has a fault");
	like($out, qr/FAULT +one witness .*\Q$key\E/, '... which names the keys');
	like(($site->pgkura('role', 'main'))[1], qr/witness +this site has .*\Q$key\E/,
		'so does role');
}

line('STOP');
$r->wait_with_one_writer('the standby has an alarm',
	sub { ($r->now('osaka', 'state') // '') eq 'alarm' }, 40);
like($r->now('osaka', 'reason'), qr/same witness/,
	'the line is cut: the standby says why it does not take over');
$r->site('osaka')->pgkura_fails('an order without --force is refused', 1,
	qr/same witness.*HINT: .*--force/s, 'failover', 'main',
	'--allow-data-loss=any', '--yes');
# Its own vote for the primary binds it for less than two leases.
my ($left, $renewed) = (0, 0);
$r->wait_with_one_writer('while the primary renews its lease', sub {
	my $now = $r->now('tokyo', 'lease_left_us') // 0;

	$renewed++ if $now > $left;
	$left = $now;
	return $renewed >= 8;
});
$r->insert($r->primary);
ok($r->writes('tokyo'), 'the primary goes on, with its own witness');
$r->one_writer('two witnesses');
for my $name (qw(tokyo osaka)) {
	my $key = witness($name)->{peer_key};

	$r->wait_for("an alarm at $name", sub { alarm_of($name) });
	like((alarm_of($name))[0], qr/\Q$key\E/, "it is an alarm at $name");
}

# ---- both have the same again ----

asks('osaka', 'nagoya');
$r->wait_for('the right key', sub { witness('osaka')->{key} eq $first });
ok(!witness('osaka')->{counts}, 'what the primary has not heard does not count');
line('CONT');
$r->wait_one_witness;
$r->wait_for('the end of the alarms', sub { !grep { alarm_of($_) } qw(tokyo osaka) });
ok(1, 'once both have the same one the alarms end');
$r->wait_state('osaka', 'normal');
$r->wait_there;

# ---- the primary has another, and the standby does not hear of it ----

line('STOP');
asks('tokyo', 'sendai');
$r->wait_with_one_writer('the standby takes over by itself',
	sub { $r->writes('osaka') });
ok(!witness('tokyo')->{counts}, 'the primary did not count what nobody heard of');
ok(!$r->writes('tokyo'), 'and has stopped');
is($r->rows($r->standby), '1 of 1', 'nothing is lost');
line('CONT');
$r->wait_role('tokyo', 'standby');
$sites->stop($_) for qw(tokyo osaka nagoya sendai);
done_testing();
