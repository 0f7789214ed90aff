#!/usr/bin/perl
# A primary in a machine that sleeps: suspended to memory (its monotonic clock stops,
# CLOCK_BOOTTIME goes on), and halted by its hypervisor (both stop), each for longer
# than the lease, so that the other site takes over.  Then it goes on.
#
# Site tokyo is the machine, under qemu without KVM (Kura::Machine); osaka and the
# witness are here.  Two clients write at tokyo, one in the machine, one here by TCP,
# and one at osaka; each notes when a row was asked for and acknowledged.
#
#	slept			what is asked for later is not acknowledged; what was
#				under way, and is, is told
#	slept_synchronous	... commits wait for the receiver: the same
#	halted_synchronous	commits wait for osaka (wal_ack = remote): the same,
#				and nothing that was acknowledged is missing there
#	halted			two write: what remains
#
# Each is a round with a machine of its own; suspend.t ROUND... runs these alone.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Machine;
use Kura::Roles;
use Kura::Writers;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;
my $lacks = Kura::Machine::lacks();
plan skip_all => $lacks if defined $lacks;
plan skip_all => 'a build with sanitizers has too much for a slow machine'
    if Kura::sanitizer();

my ($there, $here) = (Kura::Machine::ADDRESS, Kura::Machine::HOST);
my ($r, $tokyo, $m, $w, $inside, $inside_before);

# ---- tokyo moves into the machine ----

# Three sites, tokyo in a machine; clients write.
sub begin
{
	my ($ack) = @_;

	$r = Kura::Roles->new(major => $major, witness => 1,
		peer => { beat_interval => '1s', beat_misses => 8 },
		conf => { listen_addresses => "127.0.0.1, $there", jit => 'off' },
		cluster => { failover => 'automatic', fence => 'lease',
			lease => '30s', failover_backoff => '0s',
			application_name => 'kura', wal_ack => $ack // 'local',
			wal_ack_timeout => '60s' },
		tokyo => { local_recovery => 'yes' });
	$tokyo = $r->site('tokyo');
	$m = move();
	$w = Kura::Writers->new($r);
	$inside = $tokyo->dir . '/inside';
	$m->spawn('/var/writer.log', Kura::as_user(Kura::program('writer'),
			"host=$r->{primary_dir} port=" . $r->primary->port
			    . ' user=postgres dbname=postgres', 'inside', $inside));
	synchronous() if defined $ack;
	settle();
	return;
}

sub end
{
	$m->kill;
	$_->kill('KILL') for values %{ $w->{process} };
	$r->sites->kill9($_) for qw(osaka nagoya);
	kill('KILL', $r->watchdogs('osaka'));
	$r->standby->kill9;
	return;
}

sub move
{
	my $primary = $r->primary;
	my %port = %{ $r->sites->{port} };

	for my $server ($primary, $r->standby) {
		$server->append_hba("host all all $here/32 trust");
	}
	$r->sites->stop($_) for qw(osaka nagoya tokyo);
	$primary->kill9;
	kill('KILL', map { $r->watchdogs($_) } qw(tokyo osaka));
	$tokyo->site(listen => "$there:$port{tokyo}");
	$tokyo->peer('nagoya', %{ $tokyo->{peers}{nagoya} },
		address => "$here:$port{nagoya}");
	my $share = "/usr/share/postgresql/$major";
	my $lib = $primary->bindir =~ s{/bin$}{}r;
	my $machine = Kura::Machine->new(
		programs => [map { Kura::program($_) }
			    qw(pgkura pgkurad pgkura-fence pgkura-wal writer)],
		libraries_of => [glob($primary->bindir . '/*'),
			glob("$lib/lib/*.so")],
		files => [$tokyo->dir, $primary->dir, Kura::own_dir(), $lib,
			(grep { -d } $share, '/usr/share/zoneinfo')],
		ports => [$port{tokyo}, $primary->port]);

	$machine->start;
	$r->sites->start_daemon('nagoya');
	push @{ $tokyo->{in} }, $machine->in;
	# As conf/pgkura-fence@.service has it.
	$machine->spawn('/var/fence.log', 'prlimit', '--rtprio=1',
		'--memlock=unlimited', '--nice=40', Kura::as_user(
			Kura::program('pgkura-fence'), '--stay',
			$tokyo->dir . '/run/fence.main'));
	$machine->spawn('/var/pgkurad.log', Kura::as_user(
			Kura::program('pgkurad'), '--config', $tokyo->conf));
	$r->sites->{daemon}{tokyo} = bless { machine => $machine }, 'Daemon';
	# Seen from here, the server is where its port leads.
	$r->{primary_dir} = $primary->dir;
	$primary->{dir} = '127.0.0.1';
	$r->wait_for('the server in the machine', sub { $r->writes('tokyo') }, 240);
	$r->sites->start_daemon('osaka');
	return $machine;
}

sub Daemon::err
{
	my ($self) = @_;

	return $self->{machine}->run_ok('cat', '/var/pgkurad.log');
}

# ---- steps ----

# What osaka lacks to take over by itself while the clients write; undef: nothing.
sub lacking
{
	my ($here, $there) = map { $r->role($_)->{now} } qw(osaka tokyo);

	return (grep { !$here->{$_} } qw(promotable fence_proved peer_fence_proved))[0]
	    // (($there->{lease_left_us} // 0) > 0 ? undef : 'a lease at tokyo')
	    // (($here->{state} // '') eq 'normal' ? undef : 'state normal')
	    // ($here->{witness}{counts} && $there->{witness}{counts} ? undef
		: 'one witness');
}

# All is as it is to be: tokyo is the primary, osaka could take over by itself, and
# so it stays: the machine is slow.
sub settle
{
	my ($lacks, $since) = ('all', time());

	$w->begin;
	$inside_before = 0;
	$inside_before = () = inside_rows();
	ok($w->wait_for('tokyo') && Kura::wait_until(sub { return (() = inside_rows()) > 10 }),
		'(somebody writes at tokyo, from here and there)');
	Kura::wait_until(sub {
		my $now = lacking();
		($lacks, $since) = ($now, time()) if ($now // '') ne ($lacks // '');
		return !defined $lacks && time() - $since >= 10;
	}, 300) or BAIL_OUT('osaka lacks ' . ($lacks // 'nothing for long') . "\n"
		. $r->events('osaka'));
	return;
}

sub processes_there
{
	return $m->run_ok('sh', '-c', 'for p in /proc/[0-9]*; do'
		. ' [ "$(readlink $p/cwd)" = "$1" ] && echo $p; done; true', 'sh',
		$r->primary->pgdata);
}

# What the client in the machine was acknowledged since all was settled.
sub inside_rows
{
	my @rows = map { [split ' '] } grep { /^\d+ \d+ \d+$/ }
	    split /\n/, ($m->run('cat', $inside))[1];

	return @rows[$inside_before .. $#rows];
}

# ... behind the longest pause of its clock; of these, what it asked for behind it.
sub inside_late
{
	my @rows = inside_rows();
	my ($pause, $at) = (0, 0);

	for my $i (1 .. $#rows) {
		my $us = $rows[$i][1] - $rows[$i - 1][1];
		($pause, $at) = ($us, $i) if $us > $pause;
	}
	return (0, 0) if $pause < 10e6;
	my @late = @rows[$at .. $#rows];
	return (scalar @late, scalar grep { $_->[0] > $rows[$at][1] } @late);
}

# Tokyo stands still by $begin until osaka has taken over, and goes on by $end.
# Rows that were acknowledged here afterwards: [asked, acknowledged, number].
sub stand_still
{
	my ($what, $begin, $end) = @_;
	$begin->();
	if (!ok($w->wait_for('osaka', 300), "$what: osaka takes over")) {
		diag(($r->site('osaka')->pgkura('role', 'main'))[1],
			$r->events('osaka'));
		return;
	}
	my $on = Kura::Writers::now();
	$end->();
	ok(Kura::wait_until(sub { return processes_there() eq '' }, 180),
		"$what: the old server is gone")
	    or diag(processes_there() . $r->events('tokyo'));
	my @late = grep { $_->[1] > $on } $w->rows('tokyo');
	my @new = grep { $_->[0] > $on } @late;
	diag(sprintf '%s: %d acknowledged here after it went on, %d of them asked '
		. 'for after it%s', $what, scalar @late, scalar @new,
		@late ? sprintf(', the last %.0f ms after it',
			($late[-1][1] - $on) / 1000) : '');
	return ($on, @late);
}

sub sleep_over
{
	my ($what) = @_;
	my ($on, @late) = stand_still($what, sub { $m->fall_asleep },
		sub { $m->wake });
	my ($late, $new) = inside_late();

	diag(sprintf '%s: in the machine %d of %d rows, %d of them asked for after it; %s',
		$what, $late, scalar(() = inside_rows()), $new,
		$m->run_ok('tail', '-n', '1', '/var/fence.log'));
	is($new, 0, "$what: nor in the machine");
	return ($on, @late);
}

# Commits wait for the receiver.
sub synchronous
{
	$r->primary->psql("ALTER SYSTEM SET synchronous_standby_names = 'kura'");
	$r->primary->psql('SELECT pg_reload_conf()');
	$r->primary->wait_for('SELECT count(*) = 1 FROM pg_stat_replication'
		. " WHERE sync_state = 'sync'", 240);
	return;
}

sub none_new
{
	my ($what, $on, @late) = @_;

	return is(scalar(grep { $_->[0] > $on } @late), 0,
		"$what: what was asked for later is not acknowledged");
}

# ---- it sleeps ----

sub slept
{
	begin();
	none_new('slept', sleep_over('slept'));
	end();
	return;
}

sub slept_synchronous
{
	my $what = 'slept, commits wait';

	begin('local');
	none_new($what, sleep_over($what));
	end();
	return;
}

# ---- it is halted: its clocks stop ----

sub halt_over
{
	my ($what) = @_;

	return stand_still($what, sub { $m->halt }, sub { $m->go_on });
}

sub halted_synchronous
{
	my $what = 'halted, commits wait for osaka';

	begin('remote');
	none_new($what, halt_over($what));
	my %there = map { $_ => 1 } split /\n/,
	    $r->standby->psql("SELECT site || ' ' || n FROM w");
	is_deeply([grep { !$there{$_} } (map { "tokyo $_->[2]" } $w->rows('tokyo')),
			map { "inside $_->[2]" } inside_rows()], [],
		'and all that tokyo has acknowledged is at osaka');
	end();
	return;
}

sub halted
{
	begin();
	my ($on, @late) = halt_over('halted');
	cmp_ok(scalar(grep { $_->[0] > $on } @late), '>', 0,
		'what remains: two write until tokyo hears of it;'
		    . ' so they would have been found above');
	end();
	return;
}

my %rounds = (slept => \&slept, slept_synchronous => \&slept_synchronous,
	halted => \&halted, halted_synchronous => \&halted_synchronous);

for my $round (@ARGV ? @ARGV : sort keys %rounds) {
	$rounds{$round}->();
}
done_testing();
