package Kura::Standby;

# Kura::Standby: a site with a standby that follows its repository.
#
#	my $y = Kura::Standby->new(primary => $primary);	# a Kura::Cluster
#		cluster => { KEY => VALUE... }	more of [cluster main]
#	$y->site		the Kura::Site, with a repository and a backup
#	$y->receiver		the Kura::Process that receives
#	$y->duty		the Kura::Process of the duty; ->start_duty
#	$y->server		a Kura::Cluster of the standby: ->psql and so on;
#				nobody but the duty starts it
#	$y->wait_follows	until the duty's standby has replayed what the
#				primary has now
#	$y->job(WORD...)	what the program sitejobs says, as a hash, with
#				status and err
#	->digest(CLUSTER[, TABLE...])	of the tables' contents

use strict;
use warnings;

use Carp qw(croak);

sub new
{
	my ($class, %arg) = @_;
	my $primary = $arg{primary};
	my $dir = Kura::tempdir();
	my $self = bless { primary => $primary, site => Kura::Site->new,
		dir => "$dir/standby", sockets => $dir }, $class;
	my $port = Kura::free_port();

	$self->{cluster} = { conninfo => $primary->conninfo, slot => 'pgkura',
		bindir => $primary->bindir, fast_checkpoint => 'yes',
		standby_dir => $self->{dir}, standby_port => $port,
		standby_settings => "unix_socket_directories=$dir",
		%{ $arg{cluster} // {} } };
	$self->{site}->cluster('main', %{ $self->{cluster} });
	$self->{site}->pgkura_ok('a repository', 'init');
	$self->{receiver} = $self->{site}->receive('main');
	$self->{server} = bless { major => $primary->major, name => 'standby',
		bindir => $primary->bindir, dir => $dir, port => $port,
		pgdata => $self->{dir}, tcp => 0, in => [] }, 'Kura::Cluster';
	Kura::at_end(sub { $self->{server}->kill9 });
	return $self;
}

sub site { return $_[0]{site}; }
sub receiver { return $_[0]{receiver}; }
sub duty { return $_[0]{duty}; }
sub server { return $_[0]{server}; }
sub dir { return $_[0]{dir}; }

# Other values of [cluster main]; undef takes one out.
sub configure
{
	my ($self, %values) = @_;

	%{ $self->{cluster} } = (%{ $self->{cluster} }, %values);
	delete $self->{cluster}{$_}
	    for grep { !defined $self->{cluster}{$_} } keys %{ $self->{cluster} };
	$self->{site}->cluster('main', %{ $self->{cluster} });
	return;
}

sub start_duty
{
	my ($self) = @_;

	$self->{duty} = Kura::spawn(Kura::as_user('env',
		'PGKURA_CONF=' . $self->{site}->conf,
		Kura::program('pgkurad'), '--duty', 'follow', '--cluster',
		'main'));
	return $self->{duty};
}

sub stop_duty
{
	my ($self, $signal) = @_;

	$self->{duty}->kill($signal // 'TERM');
	return $self->{duty}->wait(60);
}

sub wait_follows
{
	my ($self, $seconds) = @_;
	my $lsn = $self->{primary}->lsn;

	return Kura::wait_until(sub {
		my ($status, $out) = $self->{server}->psql_try(
			"SELECT pg_last_wal_replay_lsn() >= '$lsn'::pg_lsn");
		return $status == 0 && $out eq 't';
	}, $seconds // 120) || croak('the standby does not follow to '
		    . "$lsn\n" . $self->{duty}->err . $self->log);
}

# What tests/programs/sitejobs says: a hash of its lines.
sub job
{
	my ($self, @words) = @_;
	my ($status, $out, $err) = Kura::run(Kura::as_user('env',
		'PGKURA_CONF=' . $self->{site}->conf,
		Kura::program('sitejobs'), @words));
	my %said = map { /^(\S+) ?(.*)$/ ? ($1 => $2) : () } split /\n/, $out;

	$said{status} = $status;
	$said{err} = $err;
	return \%said;
}

sub log
{
	my ($self) = @_;

	return eval { Kura::slurp($self->{site}->state . '/main/standby.log') }
	    // '';
}

sub digest
{
	my ($self, $of, @tables) = @_;

	return join ' ', map {
		$of->psql("SELECT count(*) || ':' || coalesce(md5(string_agg("
			    . "md5(x::text), '' ORDER BY md5(x::text))), '') "
			    . "FROM $_ x")
	} @tables;
}

1;
