package Kura::Roles;

# Kura::Roles: a cluster that two sites keep, tokyo and osaka, perhaps with the
# witness nagoya: daemons, a primary at tokyo, a standby at osaka.
#
#	my $r = Kura::Roles->new(
#		witness => 1,
#		cluster => { KEY => VALUE... },	# more of [cluster main], at both
#		tokyo => {...}, osaka => {...},	# ... at one
#		peer => {...},			# of each other site
#		conf => {...},			# of the server
#		more => ' connect_timeout=2');	# of the primary's conninfo
#	$r->site('osaka')	its Kura::Site; ->sites the Kura::Sites
#	$r->primary		the Kura::Cluster at tokyo
#	$r->standby		the one at osaka; nobody but the daemon starts it
#	$r->role('osaka')	what "pgkura role --json" says
#	$r->wait_role('osaka', 'primary')	as its pgkurad says that runs
#	$r->wait_state('osaka', 'peer silent')
#	$r->wait_one_witness	... whose votes count at both sites
#	$r->wait_server('osaka')	until its server takes writes
#	$r->insert(CLUSTER)	one row, numbered; ->rows(CLUSTER) what is there
#	$r->wait_there		until the standby's site has all that the primary has
#	$r->one_writer		one check: no two servers take writes
#	$r->isolate('tokyo')	no other site hears it; ->join_again('tokyo')
#	$r->wait_with_one_writer(NAME, CODE)	two checks: CODE comes true, and
#				never do two servers take writes meanwhile
#	$r->grow_apart		five checks, of a fresh pair without witness: tokyo
#				wrote what osaka never got, osaka was made primary
#				and wrote as well; tokyo has heard of it and stopped
#	$r->lose('tokyo')	its server, its daemon, its watchdog are killed
#	$r->watchdogs('tokyo')	pids of those that run
#	$r->processes('tokyo')	of pgkurad and all that it has started, but not of
#				these, nor of the server
#	$r->events('osaka')	what its daemon has logged
#	my ($switchover, $pid) = $r->switchover_hangs	from tokyo: a Kura::Process,
#				and a process of the server that is to be continued
#				(SIGCONT) for it to stop
#	$r->next_is('osaka', COMMAND, NAME)	one check: it is the one to type, soon
#	$r->told('osaka', RE, NAME)	one check: it logs what RE matches

use strict;
use warnings;

use Carp qw(croak);
use Test::More ();
use Kura::Sites ();

sub new
{
	my ($class, %arg) = @_;
	my @names = ('osaka', 'tokyo', $arg{witness} ? 'nagoya' : ());
	my $primary = Kura::Cluster->new(major => $arg{major}, name => 'tokyo',
		init => { checksums => 1 },
		conf => { max_slot_wal_keep_size => '1GB',
			%{ $arg{conf} // {} } })->start;
	my $sites = Kura::Sites->new(names => \@names, wan => $arg{wan},
		peer => $arg{peer}
		    // { beat_interval => '200ms', beat_misses => 5 });
	my $dir = Kura::tempdir();
	my $self = bless { sites => $sites, primary => $primary, n => 0,
		%arg }, $class;
	my %both = (bindir => $primary->bindir, fast_checkpoint => 'yes',
		hold => '1s', lease => '6s', %{ $arg{cluster} // {} });

	$self->{standby} = bless { major => $primary->major, name => 'osaka',
		bindir => $primary->bindir, dir => $dir,
		port => Kura::free_port(), pgdata => "$dir/data", tcp => 0,
		in => [] }, 'Kura::Cluster';
	Kura::at_end(sub {
		$self->{standby}->kill9;
		kill('KILL', map { $self->watchdogs($_) } qw(tokyo osaka));
	});
	$sites->site('tokyo')->cluster('main', %both, role => 'primary',
		conninfo => $primary->conninfo . ($arg{more} // ''),
		pgdata => $primary->pgdata,
		standby_dir => $primary->pgdata,
		standby_port => $primary->port,
		replicate_to => 'osaka', accept_from => 'osaka',
		%{ $arg{tokyo} // {} });
	$sites->site('osaka')->cluster('main', %both, role => 'standby',
		standby_dir => $self->{standby}->pgdata,
		standby_port => $self->{standby}->port,
		standby_settings => "unix_socket_directories=$dir",
		replicate_to => 'tokyo', accept_from => 'tokyo',
		%{ $arg{osaka} // {} });
	if ($arg{witness}) {
		$sites->site('nagoya')->cluster('main',
			votes_for => 'tokyo, osaka', lease => $both{lease});
		for my $name (qw(tokyo osaka)) {
			my $site = $sites->site($name);

			$site->peer('nagoya', %{ $site->{peers}{nagoya} },
				witness => 'yes');
		}
	}
	$primary->psql('CREATE TABLE t (a int PRIMARY KEY, at timestamptz'
		. ' DEFAULT clock_timestamp())');
	$sites->start;
	$sites->wait_link('tokyo', 'osaka');
	$self->wait_role('tokyo', 'primary');
	$self->wait_role('osaka', 'standby');
	$sites->site('tokyo')->json('backup');
	$self->wait_promotable('osaka');
	$self->wait_one_witness if $arg{witness};
	return $self;
}

sub sites { return $_[0]{sites}; }
sub site { return $_[0]{sites}->site($_[1]); }
sub primary { return $_[0]{primary}; }
sub standby { return $_[0]{standby}; }

sub role
{
	my ($self, $name) = @_;
	my ($status, $out) =
	    $self->site($name)->pgkura('role', 'main', '--json');

	return {} if $status != 0;
	return JSON::PP::decode_json($out);
}

# One value of what the rule of that site shows now; undef: none.
sub now
{
	my ($self, $name, $key) = @_;

	return $self->role($name)->{now}{$key};
}

sub events
{
	my ($self, $name) = @_;

	return $self->sites->daemon($name)->err;
}

# A daemon logs what it has done, so a moment behind it.
sub told
{
	my ($self, $name, $re, $what) = @_;

	Kura::wait_until(sub { $self->events($name) =~ $re });
	return Test::More::like($self->events($name), $re, $what);
}

sub wait_for
{
	my ($self, $what, $code, $seconds) = @_;

	return Kura::wait_until($code, $seconds // 90)
	    || croak("$what did not come\n"
		    . join("\n", map { "--- $_\n" . $self->events($_)
				. join(' ', ($self->site($_)->pgkura('role', 'main'))[1]) }
			    @{ $self->sites->{names} }));
}

sub wait_role
{
	my ($self, $name, $role) = @_;

	# It is on record while nothing runs there, too.
	return $self->wait_for("role $role at $name", sub {
		my $is = $self->role($name);

		return ($is->{role} // '') eq $role && $is->{now};
	});
}

sub wait_lease
{
	my ($self, $name) = @_;

	return $self->wait_for("$name with a lease",
		sub { ($self->now($name, 'lease_left_us') // 0) > 0 });
}

# The votes of the witness count at both sites.
sub wait_one_witness
{
	my ($self) = @_;

	return $self->wait_for('one witness', sub {
		!grep { !$self->now($_, 'witness')->{counts} } qw(tokyo osaka);
	});
}

# The standby may take over by itself.
sub wait_proof
{
	my ($self) = @_;

	return $self->wait_for('a proof of the fence at both sites', sub {
		my $now = $self->role('osaka')->{now};

		return $now->{fence_proved} && $now->{peer_fence_proved};
	});
}

sub wait_state
{
	my ($self, $name, $state) = @_;

	return $self->wait_for("state $state at $name",
		sub { ($self->role($name)->{now}{state} // '') eq $state });
}

sub wait_promotable
{
	my ($self, $name) = @_;

	return $self->wait_for("a standby at $name", sub {
		my $now = $self->role($name)->{now} // {};

		return $now->{promotable} && $now->{rpo_us} >= 0;
	}, 180);
}

sub server { return $_[1] eq 'tokyo' ? $_[0]{primary} : $_[0]{standby}; }

# Does it take writes?  One that a watchdog has killed is a child of ours: it is
# taken, or the lock of its socket looks like that of a living server.
sub writes
{
	my ($self, $name) = @_;

	$self->server($name)->running;
	my ($status, $out) = $self->server($name)->psql_try(
		'SELECT pg_is_in_recovery()');

	return $status == 0 && $out eq 'f';
}

sub wait_server
{
	my ($self, $name) = @_;

	return $self->wait_for("a server that takes writes at $name",
		sub { $self->writes($name) });
}

sub one_writer
{
	my ($self, $what) = @_;
	my @writers = grep { $self->writes($_) } qw(tokyo osaka);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return Test::More::cmp_ok(scalar @writers, '<=', 1,
		"$what: no two servers take writes")
	    || Test::More::diag("@writers");
}

sub insert
{
	my ($self, $server) = @_;

	$self->{n}++;
	$server->psql("INSERT INTO t (a) VALUES ($self->{n})");
	return $self->{n};
}

sub rows
{
	my ($self, $server) = @_;

	return $server->psql('SELECT coalesce(max(a), 0) || \' of \' || count(*)'
		. ' FROM t');
}

sub wait_there
{
	my ($self, $from, $to) = @_;

	$from //= 'tokyo';
	$to //= 'osaka';
	my $lsn =
	    $self->server($from)->psql('SELECT pg_current_wal_flush_lsn()');
	return $self->sites->wait_committed('main', $from, $to, $lsn, 60)
	    || croak("$to does not have what $from has\n"
		    . $self->events($from) . $self->events($to));
}

# Cut a site off from all others, and join it again: its couriers stop.
sub couriers
{
	my ($self, $name, $signal) = @_;
	my $pids = $self->{couriers}{$name} //= [
		map { $_->{pid} } grep { $_->{duty} eq 'courier' && $_->{pid} }
		    @{ $self->status($name)->{duties} } ];

	kill($signal, @$pids);
	delete $self->{couriers}{$name} if $signal eq 'CONT';
	return;
}

sub isolate { return $_[0]->couriers($_[1], 'STOP'); }
sub join_again { return $_[0]->couriers($_[1], 'CONT'); }

sub status
{
	my ($self, $name) = @_;
	my ($status, $out) = $self->site($name)->pgkura('status', '--json');

	return JSON::PP::decode_json($out);
}

sub switchover_hangs
{
	my ($self) = @_;
	my $checkpointer = $self->primary->psql('SELECT pid FROM pg_stat_activity'
		. ' WHERE backend_type = \'checkpointer\'');

	kill('STOP', $checkpointer);
	my $switchover = Kura::spawn($self->site('tokyo')->words('switchover',
		'main', '--to=osaka', '--yes'));
	$self->wait_for('a server that is stopping', sub {
		my ($status) = $self->primary->psql_try('SELECT 1');
		return $status != 0
		    && ($self->now('tokyo', 'handover') // '') eq 'announced';
	});
	return ($switchover, $checkpointer);
}

sub next_is
{
	my ($self, $name, @is) = @_;

	return Kura::next_is(sub { $self->status($name) }, @is);
}

# Wait, and see all the while that no two servers take writes.
sub wait_with_one_writer
{
	my ($self, $what, $code, $seconds) = @_;
	my $two = 0;
	my $came = Kura::wait_until(sub {
		$two++ if (grep { $self->writes($_) } qw(tokyo osaka)) > 1;
		return $code->();
	}, $seconds // 90);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	Test::More::ok($came, $what)
	    || Test::More::diag($self->events('tokyo'), $self->events('osaka'));
	return Test::More::is($two, 0, "$what: never two that take writes");
}

# By their command lines: a daemon may have left it.
sub named
{
	my ($self, $name, $program) = @_;
	my $dir = $self->site($name)->dir;

	return grep {
		my $line = eval { Kura::slurp("/proc/$_/cmdline") } // '';
		$line =~ /$program\0/ && index($line, "\0$dir/") >= 0;
	} map { m{(\d+)$} ? $1 : () } glob('/proc/[0-9]*');
}

sub watchdogs { return named(@_, 'pgkura-fence'); }
sub processes { return named(@_, 'pgkurad'); }

sub grow_apart
{
	my ($self) = @_;
	my ($tokyo, $osaka) = map { $self->site($_) } qw(tokyo osaka);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$self->primary->psql('CREATE TABLE big AS SELECT g AS a,'
		. ' md5(g::text) AS b FROM generate_series(1, 100000) g');
	$self->insert($self->primary) for 1 .. 10;
	$self->wait_there;

	# ---- what osaka never gets ----

	$self->isolate('tokyo');
	$self->primary->psql('INSERT INTO t (a) VALUES (1001), (1002)');
	$self->primary->psql('SELECT pg_switch_wal()');
	$self->primary->psql('INSERT INTO t (a) VALUES (1003)');
	$self->wait_state('osaka', 'peer silent');
	$osaka->pgkura_ok('failover', 'failover', 'main',
		'--allow-data-loss=all', '--yes');
	$self->wait_server('osaka');
	Test::More::is($self->rows($self->standby), '10 of 10',
		'what was there is there');
	$self->insert($self->standby) for 1 .. 5;

	# ---- tokyo is joined again: it hears of the later term ----

	$self->join_again('tokyo');
	$self->wait_role('tokyo', 'standby');
	$self->wait_for('the end of the old server',
		sub { !$self->writes('tokyo') });
	Test::More::ok(1, 'the old primary, which took writes alone, stops when it'
		. ' hears of it');
	$self->told('tokyo', qr/server_stopped/, 'with an event');
	$tokyo->pgkura_fails('and may not start', 1,
		qr/not the primary|later term/, 'may-start', 'main');
}

sub lose
{
	my ($self, $name) = @_;

	$self->sites->kill9($name);
	kill('KILL', $self->watchdogs($name));
	$self->server($name)->kill9;
	return;
}

1;
