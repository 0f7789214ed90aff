package Kura::Sites;

# Kura::Sites: sites of ours that know each other, each with its daemon.
#
#	my $sites = Kura::Sites->new(
#		names => [qw(tokyo osaka)],	# each a Kura::Site
#		wan => $wan);			# in its namespaces (Kura::Wan)
#	my $tokyo = $sites->site('tokyo');
#	$tokyo->cluster('main', ..., replicate_to => 'osaka');
#	$sites->site('osaka')->cluster('main', accept_from => 'tokyo');
#	$sites->start;				# init, daemons, pairing
#	$sites->add('naha');		# another, while they run: paired with all
#	$sites->wait_link('tokyo', 'osaka');
#	my $link = $sites->link('tokyo', 'osaka');	# what the courier says that
#				# runs, or undef
#	$sites->stop('osaka'); $sites->start_daemon('osaka');
#	$sites->kill9('osaka')	the supervisor and all its duties
#	$sites->daemon('osaka')	its Kura::Process
#	$sites->wait_committed('main', 'tokyo', 'osaka', LSN[, SECONDS])
#			until the WAL up to LSN is durable at osaka, as tokyo knows

use strict;
use warnings;

use Carp qw(croak);
use JSON::PP ();
use Kura ();
use Kura::Site ();

sub new
{
	my ($class, %arg) = @_;
	my @names = @{ $arg{names} // [qw(tokyo osaka)] };
	my $self = bless { names => \@names, site => {}, port => {},
		daemon => {}, wan => $arg{wan}, peer => $arg{peer} // {} }, $class;

	$self->make_site($_) for @names;
	for my $i (0 .. $#names) {
		$self->acquaint($names[$i], $names[$_]) for $i + 1 .. $#names;
	}
	return $self;
}

sub make_site
{
	my ($self, $name) = @_;
	my $wan = $self->{wan};
	my $site = Kura::Site->new($wan ? (in => [$wan->in($name)]) : ());
	my $port = $wan ? 7432 : Kura::free_port();

	$self->{site}{$name} = $site;
	$self->{port}{$name} = $port;
	$site->site(site => $name,
		listen => $wan ? "*:$port" : "127.0.0.1:$port");
	return $site;
}

# Each has the other in its configuration; the first one dials.
sub acquaint
{
	my ($self, $from, $to) = @_;

	$self->site($from)->peer($to, %{ $self->{peer} },
		address => $self->addresses($from, $to));
	$self->site($to)->peer($from, %{ $self->{peer} });
	return;
}

# Where $to is reached from $from, by all paths.
sub addresses
{
	my ($self, $from, $to) = @_;
	my $port = $self->{port}{$to};
	my $wan = $self->{wan} or return "127.0.0.1:$port";

	return join ', ', map {
		$wan->address($to, path => $_, peer => $from) . ":$port"
	} 1 .. $wan->{paths};
}

sub site { return $_[0]{site}{ $_[1] } // croak("no site $_[1]"); }
sub daemon { return $_[0]{daemon}{ $_[1] }; }

sub start_daemon
{
	my ($self, $name) = @_;
	my $site = $self->site($name);
	my $wait = sub { return ($site->pgkura('status', '--json'))[1] ne ''; };

	$self->{daemon}{$name} = Kura::spawn(@{ $site->{in} },
		Kura::as_user(Kura::program('pgkurad'), '--config', $site->conf));
	Kura::wait_until($wait, 60)
	    || croak("the daemon of $name does not answer: "
		    . $self->{daemon}{$name}->err);
	return;
}

sub pair
{
	my ($self, $from, $to) = @_;
	my $invite = Kura::spawn($self->site($to)->words('site', 'pair', '--invite'));
	my $code;

	Kura::wait_until(sub {
		($code) = ($invite->out . $invite->err) =~
		    /\b([0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4})\b/;
		return defined $code || !$invite->alive;
	}, 30) && defined $code
	    || croak("$to gives no code: " . $invite->out . $invite->err);
	my ($address) = split /, /, $self->addresses($from, $to);
	my ($status, $out, $err);

	# pgkurad answers a moment before it listens.
	Kura::wait_until(sub {
		($status, $out, $err) =
		    $self->site($from)->pgkura('site', 'pair', $address, $code);
		return $status == 0 || $err !~ /Connection refused/;
	}, 30);
	croak("$from and $to do not pair: $out$err") if $status != 0;
	$invite->wait(30);
	return;
}

sub start
{
	my ($self) = @_;
	my @names = @{ $self->{names} };

	for my $name (@names) {
		my ($status, $out, $err) = $self->site($name)->pgkura('init');
		croak("init of $name: $err") if $status != 0;
		$self->start_daemon($name);
	}
	for my $i (0 .. $#names) {
		$self->pair($names[$i], $names[$_]) for $i + 1 .. $#names;
	}
	$_->pgkura('reload') for values %{ $self->{site} };
	return;
}

sub stop
{
	my ($self, $name) = @_;
	my $d = $self->{daemon}{$name};

	$d->kill('TERM');
	$d->wait(30);
	return;
}

sub add
{
	my ($self, $name) = @_;
	my @old = @{ $self->{names} };
	my $site = $self->make_site($name);

	$self->acquaint($_, $name) for @old;
	my ($status, $out, $err) = $site->pgkura('init');
	croak("init of $name: $err") if $status != 0;
	$self->start_daemon($name);
	push @{ $self->{names} }, $name;
	for my $from (@old) {
		($status, $out, $err) = $self->site($from)->pgkura('reload');
		croak("reload of $from: $err") if $status != 0;
		$self->pair($from, $name);
	}
	return $site;
}

# The kernel kills its duties with it.
sub kill9
{
	my ($self, $name) = @_;

	$self->{daemon}{$name}->kill('KILL');
	$self->{daemon}{$name}->wait(30);
	return;
}

sub link
{
	my ($self, $from, $to) = @_;
	my $text = eval { Kura::slurp($self->site($from)->state . "/link/$to.json") };

	return if !defined $text;
	my $link = eval { JSON::PP::decode_json($text) } // return;
	# One that was killed has left its file.
	my $process = eval { Kura::slurp("/proc/$link->{pid}/stat") };
	return defined $process && $process !~ /\) Z / ? $link : undef;
}

sub wait_link
{
	my ($self, $from, $to, $seconds) = @_;

	return Kura::wait_until(sub {
		my $l = $self->link($from, $to);
		return $l && $l->{up};
	}, $seconds // 60)
	    || croak("no link from $from to $to: " . $self->daemon($from)->err
		    . $self->daemon($to)->err);
}

sub wait_committed
{
	my ($self, $cluster, $from, $to, $lsn, $seconds) = @_;
	my $want = Kura::Site::lsn_number($lsn);

	return Kura::wait_until(sub {
		my $l = $self->link($from, $to) or return 0;
		return grep { $_->{cluster} eq $cluster
			&& defined $_->{committed}
			&& Kura::Site::lsn_number($_->{committed}) >= $want }
		    @{ $l->{ships} };
	}, $seconds // 60);
}

1;
