package Kura::Wan;

# Kura::Wan: sites, each a network namespace, with emulated lines between them
# (tests/wan/wanrelay, doc/wan.md).  All of it goes away when the script ends.
#
#	use Kura;
#	use Kura::Wan;
#
#	my $why = Kura::Wan::missing();
#	plan skip_all => $why if $why;
#	my $wan = Kura::Wan->new(
#		sites => [qw(tokyo osaka)],	# names; each pair gets its lines
#		paths => 2,			# lines of a pair, default 1
#		profile => 'W2',		# of "wanrelay profiles"
#		words => ['queue=1MB'],		# what else the lines do
#		seed => 7,			# of all that is left to chance
#		mtu => 1500,			# of the interfaces
#		buffers => 32 << 20,		# limit of TCP's, default the system's
#		congestion => 'reno');		# where no program asks for one; one
#						# of congestion()
#
# Kura::Cluster, Kura::Site and Kura::Daemon take in => [$wan->in('tokyo')].
#
#	$wan->exec_in('tokyo', [\%how,] COMMAND...)	as Kura::run(), in the site
#	$wan->spawn_in('tokyo', [\%how,] COMMAND...)	as Kura::spawn()
#	$wan->in('tokyo')	the words before COMMAND that run it there, as
#			root: Kura::run($wan->in('tokyo'), Kura::as_user(...))
#	$wan->inside('tokyo', CODE)	CODE's result; sockets that it opens are the
#			site's for ever, so one script can talk to itself
#	$wan->address('osaka')	as its peer sees it: path 1, IPv4
#	$wan->address('osaka', path => 2, family => 6, peer => 'tokyo')
#			path P of the first pair is 10.77.P.1-2 and
#			fd77:P::1-2, of the second pair 10.78 and fd78, ...
#	$wan->interface('osaka', path => 2, peer => 'tokyo')	its device
#
#	$wan->set([path => 1,] [pair => [A, B],] 'loss=3', 'ab.rate=1mbit')
#			words of doc/wan.md; all paths and pairs unless named;
#			"ab" is from the site named first in new()
#	$wan->cut([PATH[, A, B]])	until heal(); what is on its way is lost
#	$wan->heal([PATH[, A, B]])
#	$wan->blackhole(SITE[, PATH[, PEER]])	nothing from SITE arrives, until
#			set('blackhole=none')
#	$wan->counters([PATH[, A, B]])	a hash such as {'ab.out_bytes' => 7};
#			PATH 1 and the first pair unless named
#	$wan->show([PATH[, A, B]])	what is set, likewise
#	$wan->reset_counters
#	$wan->kill_relay(PATH[, A, B])	by SIGKILL: as when a cable is pulled
#	$wan->start_relay(PATH[, A, B])	again, as it was set
#
#	$wan->remove	sites, lines and all programs in them, before the end
#
#	missing()	why no line can be made here, undef when it can
#	congestion()	names of TCP congestion controls that any program may ask
#			for in a site

use strict;
use warnings;

use Carp qw(croak);
use Kura ();
use POSIX ();
use Socket qw(AF_UNIX pack_sockaddr_un);

use constant SOCK_SEQPACKET => 5;

my $made = 0;
my @all;

# ---- what the machine can do ----

my $missing;

sub missing
{
	$missing //= find_missing() // '';
	return $missing eq '' ? undef : $missing;
}

sub find_missing
{
	return 'only root can make network namespaces' if $< != 0;
	for my $tool (qw(ip nsenter)) {
		my ($status) = Kura::run($tool, '-V');
		return "no $tool (apt install iproute2 util-linux)"
		    if $status == 127;
	}
	sweep();
	my $name = "pgk$$.0.try";
	my ($status, undef, $err) = Kura::run('ip', 'netns', 'add', $name);
	return "no network namespaces here: $err" if $status != 0;
	($status, undef, $err) = Kura::run('ip', '-n', $name, 'tuntap', 'add',
		'dev', 'try', 'mode', 'tun');
	Kura::run('ip', 'netns', 'del', $name);
	return $status == 0 ? undef : "no TUN devices here: $err";
}

sub congestion
{
	return split ' ', Kura::slurp(
		'/proc/sys/net/ipv4/tcp_allowed_congestion_control');
}

# Namespaces of scripts that were killed.
sub sweep
{
	my (undef, $out) = Kura::run('ip', 'netns', 'list');

	for my $name ($out =~ /^(pgk\d+\.\d+\.\S+)/mg) {
		my ($pid) = $name =~ /^pgk(\d+)/;
		remove_namespace($name) if !kill(0, $pid);
	}
	return;
}

sub remove_namespace
{
	my ($name) = @_;
	my (undef, $pids) = Kura::run('ip', 'netns', 'pids', $name);

	kill('KILL', split ' ', $pids);
	Kura::run('ip', 'netns', 'del', $name);
	return;
}

# ---- making ----

sub ok
{
	my (@command) = @_;
	my ($status, $out, $err) = Kura::run(@command);

	croak("@command: status $status\n$out$err") if $status != 0;
	return $out;
}

sub new
{
	my ($class, %arg) = @_;
	my $why = missing();

	croak($why) if $why;
	my $self = bless {
		sites => $arg{sites} // ['a', 'b'],
		paths => $arg{paths} // 1,
		words => [
			$arg{profile} ? "profile=$arg{profile}" : (),
			@{ $arg{words} // [] }
		],
		seed => $arg{seed} // 1,
		mtu => $arg{mtu} // 1500,
		buffers => $arg{buffers},
		congestion => $arg{congestion},
		dir => Kura::tempdir(),
		number => ++$made,
	}, $class;

	push @all, $self;
	$self->make_site($_) for @{ $self->{sites} };
	for my $pair ($self->pairs) {
		$self->make_line($_, @$pair) for 1 .. $self->{paths};
	}
	return $self;
}

# Indices of sites: [0, 1], [0, 2], [1, 2].
sub pairs
{
	my ($self) = @_;
	my $last = $#{ $self->{sites} };

	return map {
		my $i = $_;
		map { [$i, $_] } $i + 1 .. $last
	} 0 .. $last;
}

sub netns { return "pgk$$.$_[0]{number}.$_[1]"; }

sub make_site
{
	my ($self, $site) = @_;
	my $netns = $self->netns($site);

	ok('ip', 'netns', 'add', $netns);
	ok('ip', '-n', $netns, 'link', 'set', 'lo', 'up');
	$self->sysctl($site, 'tcp_congestion_control', $self->{congestion})
	    if defined $self->{congestion};
	return if !defined $self->{buffers};
	$self->sysctl($site, 'tcp_rmem', "4096 131072 $self->{buffers}");
	$self->sysctl($site, 'tcp_wmem', "4096 65536 $self->{buffers}");
	return;
}

# One of net.ipv4, in a site.
sub sysctl
{
	my ($self, $site, $name, $value) = @_;

	ok($self->in($site), 'sh', '-c', "echo '$value' >/proc/sys/net/ipv4/$name");
	return;
}

# The line of path P between sites I and J: devices with addresses, and a relay.
sub make_line
{
	my ($self, $path, $i, $j) = @_;
	my @pairs = map { "@$_" } $self->pairs;
	my ($number) = grep { $pairs[$_] eq "$i $j" } 0 .. $#pairs;
	my $line = {
		path => $path,
		sites => [@{ $self->{sites} }[$i, $j]],
		devices => @{ $self->{sites} } == 2
		? ["wan$path", "wan$path"]
		: ["wan$path." . ($j + 1), "wan$path." . ($i + 1)],
		4 => [map { 77 + $number . ".$path.$_" } 1, 2],
		6 => [map { 77 + $number . ":${path}::$_" } 1, 2],
		socket => "$self->{dir}/$path.$i.$j",
		words => [@{ $self->{words} }],
		seed => $self->{seed} + 100 * @{ $self->{lines} // [] },
	};

	$_ = "10.$_" for @{ $line->{4} };
	$_ = "fd$_" for @{ $line->{6} };
	push @{ $self->{lines} }, $line;
	$self->make_device($line, $_) for 0, 1;
	$self->start($line);
	return;
}

# Nothing but what programs send crosses the line: no address detection, no
# looking for routers.
sub make_device
{
	my ($self, $line, $end) = @_;
	my $device = $line->{devices}[$end];
	my @ip = ('ip', '-n', $self->netns($line->{sites}[$end]));

	ok(@ip, 'tuntap', 'add', 'dev', $device, 'mode', 'tun');
	ok(@ip, 'link', 'set', $device, 'addrgenmode', 'none', 'txqueuelen',
		5000, 'mtu', $self->{mtu}, 'multicast', 'off', 'up');
	ok(@ip, 'address', 'add', $line->{4}[$end], 'peer', $line->{4}[!$end],
		'dev', $device);
	ok(@ip, '-6', 'address', 'add', $line->{6}[$end], 'peer',
		$line->{6}[!$end], 'dev', $device, 'nodad');
	return;
}

sub start
{
	my ($self, $line) = @_;
	my @ends = map {
		$self->netns($line->{sites}[$_]) . ":$line->{devices}[$_]"
	} 0, 1;

	$line->{relay} = Kura::spawn(Kura::program('tests/wan/wanrelay'),
		'run', '-d', '-s', $line->{seed}, $line->{socket}, @ends,
		@{ $line->{words} });
	Kura::wait_until(sub {
		$line->{relay}->out ne '' || !$line->{relay}->alive;
	});
	croak('the relay did not start: ' . $line->{relay}->err)
	    if $line->{relay}->out ne "ready\n";
	socket($line->{control}, AF_UNIX, SOCK_SEQPACKET, 0)
	    or croak("could not make a socket: $!");
	connect($line->{control}, pack_sockaddr_un($line->{socket}))
	    or croak("could not reach the relay: $!");
	return;
}

# ---- programs and addresses ----

sub in
{
	my ($self, $site) = @_;

	croak("there is no site \"$site\"")
	    if !grep { $_ eq $site } @{ $self->{sites} };
	return ('nsenter', '--net=/run/netns/' . $self->netns($site), '--');
}

sub command_in
{
	my ($self, $site, @command) = @_;
	my %how = ref $command[0] ? %{ shift @command } : ();

	@command = Kura::as_user(@command) if delete $how{as_user};
	return (\%how, $self->in($site), @command);
}

sub exec_in
{
	my ($self, @command) = @_;

	return Kura::run($self->command_in(@command));
}

sub spawn_in
{
	my ($self, @command) = @_;

	return Kura::spawn($self->command_in(@command));
}

# setns(2); a socket stays in the namespace that it was made in.
my %setns = (x86_64 => 308, aarch64 => 268);

sub inside
{
	my ($self, $site, $code) = @_;
	my $number = $setns{ (POSIX::uname())[4] }
	    // croak('setns has no number here');
	my ($site_ns) = map { s/^--net=//r } grep { /^--net=/ } $self->in($site);

	open(my $here, '<', '/proc/self/ns/net')
	    or croak("could not open our namespace: $!");
	open(my $there, '<', $site_ns) or croak("could not open $site_ns: $!");
	syscall($number, fileno($there), 0) == 0
	    or croak("could not enter $site_ns: $!");
	my $result = eval { $code->() };
	my $error = $@;
	syscall($number, fileno($here), 0) == 0
	    or croak("could not leave $site_ns: $!");
	croak($error) if $error ne '';
	return $result;
}

# The line of SITE that %arg names, and which end of it SITE is.
sub line_of
{
	my ($self, $site, %arg) = @_;

	for my $line (@{ $self->{lines} }) {
		next if $line->{path} != ($arg{path} // 1);
		for my $end (0, 1) {
			return ($line, $end)
			    if $line->{sites}[$end] eq $site
			    && $line->{sites}[!$end] eq
			    ($arg{peer} // $line->{sites}[!$end]);
		}
	}
	croak("site \"$site\" has no such line");
}

sub address
{
	my ($self, $site, %arg) = @_;
	my ($line, $end) = $self->line_of($site, %arg);

	return $line->{ $arg{family} // 4 }[$end];
}

sub interface
{
	my ($self, $site, %arg) = @_;
	my ($line, $end) = $self->line_of($site, %arg);

	return $line->{devices}[$end];
}

# ---- lines ----

sub lines
{
	my ($self, $path, @pair) = @_;
	my $pair = join ' ', sort @pair;
	my @lines = grep {
		(!defined $path || $_->{path} == $path)
		    && (!@pair || join(' ', sort @{ $_->{sites} }) eq $pair)
	} @{ $self->{lines} };

	return @lines ? @lines : croak('there is no such line');
}

# Send words, give the answer behind "ok".
sub ask
{
	my ($line, @words) = @_;

	send($line->{control}, "@words", 0)
	    // croak("the relay of path $line->{path} has gone: $!");
	recv($line->{control}, my $answer, 65536, 0)
	    // croak("the relay of path $line->{path} has gone: $!");
	$answer =~ s/^ok\n// or croak("relay: @words: $answer");
	return $answer;
}

sub set
{
	my ($self, @words) = @_;
	my %arg;

	while (@words && $words[0] =~ /^(path|pair)$/) {
		my $key = shift @words;
		$arg{$key} = shift @words;
	}
	for my $line ($self->lines($arg{path}, @{ $arg{pair} // [] })) {
		ask($line, @words);
		push @{ $line->{words} }, grep { !/^outage=/ } @words;
	}
	return;
}

sub cut
{
	my ($self, $path, @pair) = @_;

	return $self->set(path => $path, pair => \@pair, 'down');
}

sub heal
{
	my ($self, $path, @pair) = @_;

	return $self->set(path => $path, pair => \@pair, 'up');
}

sub blackhole
{
	my ($self, $site, $path, $peer) = @_;

	for my $line ($self->lines($path, $peer ? ($site, $peer) : ())) {
		my ($end) = grep { $line->{sites}[$_] eq $site } 0, 1;
		next if !defined $end;
		$self->set(path => $line->{path}, pair => $line->{sites},
			'blackhole=' . ($end == 0 ? 'ab' : 'ba'));
	}
	return;
}

sub counters
{
	my ($self, $path, @pair) = @_;

	return Kura::facts(ask(($self->lines($path // 1, @pair))[0], 'counters'));
}

sub show
{
	my ($self, $path, @pair) = @_;

	return Kura::facts(ask(($self->lines($path // 1, @pair))[0], 'show'));
}

sub reset_counters
{
	my ($self) = @_;

	ask($_, 'reset') for $self->lines;
	return;
}

sub kill_relay
{
	my ($self, $path, @pair) = @_;

	for my $line ($self->lines($path, @pair)) {
		$line->{relay}->kill('KILL');
		$line->{relay}->wait(10);
		close($line->{control});
	}
	return;
}

sub start_relay
{
	my ($self, $path, @pair) = @_;

	$self->start($_) for $self->lines($path, @pair);
	return;
}

sub remove
{
	my ($self) = @_;

	$_->{relay}->kill('KILL') for @{ $self->{lines} };
	remove_namespace($self->netns($_)) for @{ $self->{sites} };
	@all = grep { $_ != $self } @all;
	return;
}

# Servers in the sites have ended by now: Kura ends them first.
sub remove_all
{
	$_->remove for @{[@all]};
	return;
}

Kura::at_end(\&remove_all);

1;
