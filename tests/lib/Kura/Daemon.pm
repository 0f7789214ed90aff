package Kura::Daemon;

# Kura::Daemon: a pgkurad in a scratch folder that dies with the test.
#
#	my $d = Kura::Daemon->new(
#		site => { min_free_bytes => '0' },	# more of [pgkura]
#		clusters => { main => { conninfo => '...', ... } },
#			# a conninfo of undef: the line is left out
#		peers => { osaka => { address => '...', ... } },
#		in => [$wan->in('tokyo')]);	# words before it (Kura::Wan)
#	$d->start;
#	my $status = $d->status;
#
#	->dir ->conf ->repository ->state_dir ->runtime_dir ->pid
#	->init_repository	"pgkura init"
#	->configure(clusters => {...}[, site => {...}][, peers => {...}])	write
#			the file anew
#	->pgkura(WORD...)	(status, stdout, stderr) of the command
#	->start([ENV => value...])	and wait until it answers; dies when it
#			does not
#	->stop		SIGTERM; gives the status
#	->kill9		SIGKILL for the supervisor alone
#	->hup		SIGHUP
#	->ask(NAME[, key => value...])	the reply as a hash
#	->status	->ask('status')
#	->next_is(COMMAND, NAME)	one check: it is the one to type, soon
#	->duty(NAME[, CLUSTER])	what status says of a duty, or undef
#	->running	names of the duties that run, without jobs, in one string
#	->cluster(NAME)		what status says of a cluster
#	->events([NAME])	those of that name (all of them), oldest first
#	->wait_event(NAME[, SECONDS])	until there is one; gives the last
#	->processes	pids of all its processes, also those that lost it
#	->log		what it has written

use strict;
use warnings;

use Carp qw(croak);
use IO::Socket::UNIX ();
use JSON::PP ();
use Kura;
use Time::HiRes qw(sleep time);

my %defaults = (
	conninfo => 'host=127.0.0.1 port=1 connect_timeout=2',
);

sub new
{
	my ($class, %arg) = @_;
	my $dir = Kura::tempdir();
	my $self = bless { dir => $dir, site => $arg{site} // {},
		in => $arg{in} // [] }, $class;

	$self->configure(clusters => $arg{clusters} // { main => {} },
		peers => $arg{peers});
	return $self;
}

sub dir { return $_[0]{dir}; }
sub conf { return "$_[0]{dir}/pgkura.conf"; }
sub repository { return "$_[0]{dir}/repo"; }
sub state_dir { return "$_[0]{dir}/state"; }
sub runtime_dir { return "$_[0]{dir}/run"; }
sub pid { return $_[0]{process}->pid; }
sub log { return join '', map { $_->err } @{ $_[0]{runs} // [] }; }

sub configure
{
	my ($self, %arg) = @_;
	my $dir = $self->{dir};
	my %site = (repository => "$dir/repo", state_dir => "$dir/state",
		runtime_dir => "$dir/run", %{ $self->{site} },
		%{ $arg{site} // {} });
	my $text = "[pgkura]\n";

	$text .= "$_ = $site{$_}\n" for sort keys %site;
	for my $name (sort keys %{ $arg{clusters} }) {
		my %cluster = (%defaults, %{ $arg{clusters}{$name} });
		$text .= "[cluster $name]\n";
		$text .= "$_ = $cluster{$_}\n"
		    for grep { defined $cluster{$_} } sort keys %cluster;
	}
	for my $name (sort keys %{ $arg{peers} // {} }) {
		my %peer = %{ $arg{peers}{$name} };
		$text .= "[peer $name]\n";
		$text .= "$_ = $peer{$_}\n" for sort keys %peer;
	}
	Kura::write_file($self->conf, $text);
	return;
}

sub init_repository
{
	my ($self) = @_;
	my ($status, undef, $err) =
	    Kura::run(Kura::program('pgkura'), 'init', '--config', $self->conf);

	croak("pgkura init: $err") if $status != 0;
	return;
}

sub words
{
	my ($self, @words) = @_;

	return (@{ $self->{in} }, 'env', 'PGKURA_CONF=' . $self->conf,
		Kura::program('pgkura'), @words);
}

sub pgkura
{
	my ($self, @words) = @_;

	return Kura::run($self->words(@words));
}

sub start
{
	my ($self, %env) = @_;

	$self->{process} = Kura::spawn({ env => \%env }, @{ $self->{in} },
		Kura::program('pgkurad'), '--config', $self->conf);
	push @{ $self->{runs} }, $self->{process};
	Kura::wait_until(sub {
		croak('pgkurad has ended: ' . $self->{process}->err)
		    if !$self->{process}->alive;
		return eval { $self->status };
	}, 20) or croak('pgkurad does not answer: ' . $self->{process}->err);
	return;
}

sub stop
{
	my ($self) = @_;

	$self->{process}->kill('TERM');
	return $self->{process}->wait(60);
}

sub kill9
{
	my ($self) = @_;

	$self->{process}->kill('KILL');
	$self->{process}->wait(10);
	return;
}

sub hup
{
	my ($self) = @_;

	return $self->{process}->kill('HUP');
}

sub ask
{
	my ($self, $name, %more) = @_;
	my $socket = IO::Socket::UNIX->new(
		Peer => $self->runtime_dir . '/control.sock')
	    or die "no daemon: $!\n";

	print {$socket} JSON::PP::encode_json(
		{ version => 1, request => $name, %more }), "\n";
	my $line = <$socket> // die "no answer\n";
	return JSON::PP::decode_json($line);
}

sub status { return $_[0]->ask('status'); }

sub next_is
{
	my ($self, @is) = @_;

	return Kura::next_is(sub { $self->status }, @is);
}

sub duty
{
	my ($self, $name, $cluster) = @_;

	for my $duty (@{ $self->status->{duties} }) {
		return $duty if $duty->{duty} eq $name &&
		    ($duty->{cluster} // '') eq ($cluster // '');
	}
	return;
}

sub running
{
	my ($self) = @_;

	return join ' ', sort grep { !/^(?:backup|expire|verify)$/ }
	    map { $_->{duty} } grep { $_->{state} eq 'running' }
	    @{ $self->status->{duties} };
}

sub cluster
{
	my ($self, $name) = @_;
	my ($found) = grep { $_->{name} eq $name } @{ $self->status->{clusters} };

	return $found;
}

sub events
{
	my ($self, $name) = @_;
	my $all = $self->ask('events', count => 1000)->{events};

	return grep { !defined $name || $_->{event} eq $name } @$all;
}

sub wait_event
{
	my ($self, $name, $seconds) = @_;
	my @found;

	Kura::wait_until(sub { @found = $self->events($name); }, $seconds // 20);
	return $found[-1];
}

# They all have the path of our configuration among their arguments.
sub processes
{
	my ($self) = @_;
	my $conf = $self->conf;
	my @found;

	for my $path (glob '/proc/[0-9]*/cmdline') {
		my $line = eval { Kura::slurp($path) } // '';
		push @found, $1 if index($line, $conf) >= 0 &&
		    $path =~ m{/proc/(\d+)/} && $1 != $$;
	}
	return @found;
}

1;
