package Kura::Cluster;

# Kura::Cluster: a PostgreSQL server in a scratch folder that dies with the test.
#
#	my $c = Kura::Cluster->new(
#		major => 15,			# default: the newest here
#		name => 'main',			# of its folder
#		init => { checksums => 1, wal_segsize => 1, args => [...] },
#		conf => { wal_keep_size => '64MB', ... },
#		hba => [ 'local all all trust', ... ],	# instead of trust for all
#		tcp => 1,			# listen on 127.0.0.1, too
#		in => [$wan->in('tokyo')]);	# words before its commands: where
#						# it runs (Kura::Wan)
#
# init: checksums 0 or 1 (default: initdb's, on from 18), wal_segsize in MB,
# args for initdb.  It listens on a socket in its own folder, superuser is
# "postgres".  fsync is off.  new() runs initdb; the server is not started.
#
#	->start ->stop([MODE]) ->restart ->reload ->promote
#			MODE: fast (default), immediate, smart.  They die when
#			it does not work, with the end of the server's log.
#	->start_fails	true when the server does not start
#	->kill9		the postmaster and all its children, by SIGKILL
#	->running	the postmaster's process number, or 0
#	->pgdata ->dir ->port ->major ->bindir ->name ->logfile
#	->conninfo	"host=... port=... user=postgres"
#	->conninfo(user => 'kura', dbname => 'x')	with other values
#	->log		text of the server's log
#	->append_conf(TEXT)	->append_hba(LINE...)	at the front of pg_hba.conf
#
#	->psql(SQL[, dbname])		stdout without the last newline; dies when
#			SQL fails.  Statements run one by one, each on its own.
#	->psql_try(SQL[, dbname])	(status, stdout, stderr)
#	->psql_ok(SQL[, name])		one check that SQL works; gives stdout
#	->psql_fails(SQL, qr/error/[, name])	one check that it does not
#	->psql_spawn(SQL)		a Kura::Process that runs SQL
#	->wait_for(SQL[, SECONDS])	until SQL gives "t"; dies after SECONDS (60)
#	->pgbench(ARGS...)		runs it, dies on failure; gives stdout
#	->pgbench_spawn(ARGS...)	a Kura::Process
#	->lsn		what is written, or replayed on a standby: "0/3000148"
#	->switch_wal	ends the segment; gives the name of the one that ended
#	->wait_replay(STANDBY)		until it has replayed what is written now
#
#	->copy_to(FOLDER)	a base backup by the low-level functions and cp(1):
#			FOLDER is a data directory with backup_label and the WAL;
#			tablespaces are copied beside it, as FOLDER.OID
#	->standby(name => ..., conf => {...}, slot => 0, in => [...])	a cluster that
#			streams from this one (through a slot unless slot => 0),
#			not started
#	->adopt(...)	Kura::Cluster->adopt(pgdata => FOLDER, major => ..., name =>
#			..., conf => {...}): a cluster from an existing data
#			directory, such as a restored one; port and socket are its
#			own

use strict;
use warnings;

use Carp qw(croak);
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

my @clusters;

sub pgdata { return $_[0]{pgdata}; }
sub dir { return $_[0]{dir}; }
sub port { return $_[0]{port}; }
sub major { return $_[0]{major}; }
sub bindir { return $_[0]{bindir}; }
sub name { return $_[0]{name}; }
sub logfile { return "$_[0]{dir}/log"; }
sub log { return -e $_[0]->logfile ? Kura::slurp($_[0]->logfile) : ''; }

# ---- making ----

sub object
{
	my ($class, %arg) = @_;
	my $major = $arg{major} // (Kura::servers())[-1]
	    // croak('no PostgreSQL here');
	my $dir = Kura::tempdir();
	my $self = bless {
		major => $major,
		name => $arg{name} // 'main',
		bindir => Kura::bindir($major),
		dir => $dir,
		pgdata => $arg{pgdata} // "$dir/data",
		port => Kura::free_port(),
		tcp => $arg{tcp} // 0,
		in => $arg{in} // [],
	}, $class;

	push @clusters, $self;
	return $self;
}

sub initdb
{
	my ($self, %init) = @_;
	my @args = ('-D', $self->pgdata, '-U', 'postgres', '-A', 'trust', '-N',
		'--no-locale', '-E', 'UTF8');

	if (defined $init{checksums}) {
		push @args, '--data-checksums' if $init{checksums};
		push @args, '--no-data-checksums'
		    if !$init{checksums} && $self->major >= 18;
	}
	push @args, "--wal-segsize=$init{wal_segsize}" if $init{wal_segsize};
	$self->command('initdb', @args, @{ $init{args} // [] });
	return;
}

# Run a program of the server as its user; gives stdout, dies on failure.
sub command
{
	my ($self, $program, @args) = @_;
	my ($status, $out, $err) = Kura::run(@{ $self->{in} },
		Kura::as_user("$self->{bindir}/$program", @args));

	return $out if $status == 0;
	croak("$self->{name}: $program @args: status $status\n$out$err"
		    . $self->log_tail);
}

sub log_tail
{
	my ($self) = @_;
	my @lines = split /^/, $self->log;

	splice(@lines, 0, @lines - 20) if @lines > 20;
	return join '', @lines;
}

# Settings of every server here, then what the test wants.
sub configure
{
	my ($self, %conf) = @_;
	my %all = (
		listen_addresses => $self->{tcp} ? '127.0.0.1' : '',
		unix_socket_directories => $self->dir,
		port => $self->port,
		fsync => 'off',
		shared_buffers => '16MB',
		max_connections => 50,
		max_wal_senders => 10,
		log_line_prefix => '%m [%p] %q%a ',
		restart_after_crash => 'off',
		dynamic_shared_memory_type => 'mmap', # goes with the directory
		%conf);
	my $text = "\n";

	for my $key (sort keys %all) {
		(my $value = $all{$key}) =~ s/'/''/g;
		$text .= "$key = '$value'\n";
	}
	$self->append_conf($text);
	return;
}

sub new
{
	my ($class, %arg) = @_;
	my $self = object($class, %arg);

	$self->initdb(%{ $arg{init} // {} });
	$self->configure(%{ $arg{conf} // {} });
	if ($arg{hba}) {
		Kura::write_file($self->pgdata . '/pg_hba.conf',
			join('', map { "$_\n" } @{ $arg{hba} }));
	}
	return $self;
}

sub adopt
{
	my ($class, %arg) = @_;
	my $self = object($class, %arg);

	$self->configure(%{ $arg{conf} // {} });
	return $self;
}

sub append_conf
{
	my ($self, $text) = @_;

	Kura::append_file($self->pgdata . '/postgresql.conf', "$text\n");
	return;
}

sub append_hba
{
	my ($self, @lines) = @_;
	my $path = $self->pgdata . '/pg_hba.conf';

	Kura::write_file($path, join("\n", @lines, Kura::slurp($path)));
	return;
}

# ---- starting and stopping ----

sub pg_ctl
{
	my ($self, @args) = @_;

	return $self->command('pg_ctl', '-D', $self->pgdata, '-t', '120', @args);
}

sub start
{
	my ($self) = @_;

	$self->running; # takes one that died by itself
	$self->pg_ctl('-w', '-l', $self->logfile, 'start');
	return $self;
}

sub start_fails
{
	my ($self) = @_;

	return !eval { $self->start; 1 };
}

sub stop
{
	my ($self, $mode) = @_;

	$self->pg_ctl('-w', '-m', $mode // 'fast', 'stop');
	return $self;
}

sub restart
{
	my ($self) = @_;

	$self->stop if $self->running;
	return $self->start;
}

sub reload { my ($self) = @_; $self->pg_ctl('reload'); return $self; }
sub promote { my ($self) = @_; $self->pg_ctl('-w', 'promote'); return $self; }

# The process that postmaster.pid names, if it is a postmaster of ours.
sub running
{
	my ($self) = @_;
	my $path = $self->pgdata . '/postmaster.pid';

	return 0 if !-s $path;
	my ($pid) = Kura::slurp($path) =~ /^(\d+)/ or return 0;
	return 0 if gone($pid);
	my $cwd = readlink("/proc/$pid/cwd") // '';
	my @want = stat($self->pgdata);
	my @have = stat($cwd);
	return @have && @want && $have[1] == $want[1] && $have[0] == $want[0]
	    ? $pid : 0;
}

sub kill9
{
	my ($self) = @_;
	my $pid = $self->running or return $self;
	my @all = ($pid, children($pid));

	kill('KILL', @all);
	Kura::wait_until(sub { !grep { !gone($_) } @all }, 20)
	    or croak("$self->{name}: processes @all do not die");
	# A dead postmaster that its parent has not taken yet looks alive to
	# the next.
	unlink($self->pgdata . '/postmaster.pid',
		"$self->{dir}/.s.PGSQL.$self->{port}.lock") if kill(0, $pid);
	return $self;
}

sub children
{
	my ($pid) = @_;

	return split ' ', eval { Kura::slurp("/proc/$pid/task/$pid/children") }
	    // '';
}

# No process, or one that does nothing any more; takes it when it is our child.
sub gone
{
	my ($pid) = @_;

	my $stat = eval { Kura::slurp("/proc/$pid/stat") } // return 1;
	return 0 if $stat !~ /\) Z /;
	# Looked at first: one that dies in between would stay untaken, and look
	# alive to the next postmaster.
	waitpid($pid, WNOHANG);
	return 1;
}

# Called at the end of the test, also after a die.
sub end_all
{
	for my $cluster (@clusters) {
		eval { $cluster->kill9; 1 } or warn $@;
	}
	@clusters = ();
	return;
}

# ---- SQL ----

sub conninfo
{
	my ($self, %other) = @_;
	my %all = (host => $self->dir, port => $self->port, user => 'postgres',
		%other);

	return join ' ', map { "$_=$all{$_}" }
	    grep { defined $all{$_} } sort keys %all;
}

sub psql_try
{
	my ($self, $sql, $dbname) = @_;
	my $psql = Kura::client('psql') // croak('no psql here');
	my ($status, $out, $err) = Kura::run({ stdin => "$sql\n" },
		$psql, '-XAtq', '-v', 'ON_ERROR_STOP=1',
		'-d', $self->conninfo(dbname => $dbname // 'postgres'));

	chomp $out;
	return ($status, $out, $err);
}

sub psql
{
	my ($self, $sql, $dbname) = @_;
	my ($status, $out, $err) = $self->psql_try($sql, $dbname);

	return $out if $status == 0;
	croak("$self->{name}: $sql\n$err");
}

sub psql_ok
{
	my ($self, $sql, $name) = @_;
	my ($status, $out, $err) = $self->psql_try($sql);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	Test::More::is($status, 0, $name // $sql) or Test::More::diag($err);
	return $out;
}

sub psql_fails
{
	my ($self, $sql, $like, $name) = @_;
	my ($status, $out, $err) = $self->psql_try($sql);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return Test::More::like($status == 0 ? "success: $out" : $err,
		$like, $name // "fails: $sql");
}

sub psql_spawn
{
	my ($self, $sql) = @_;

	return Kura::spawn({ stdin => "$sql\n" }, Kura::client('psql'), '-XAtq',
		'-d', $self->conninfo(dbname => 'postgres'));
}

sub wait_for
{
	my ($self, $sql, $seconds) = @_;
	my ($status, $out, $err);

	Kura::wait_until(sub {
		($status, $out, $err) = $self->psql_try($sql);
		return $status == 0 && $out eq 't';
	}, $seconds) or croak("$self->{name}: never true: $sql\n$out\n$err"
		    . $self->log_tail);
	return 1;
}

sub pgbench_command
{
	my ($self, @args) = @_;

	return (Kura::client('pgbench') // croak('no pgbench here'),
		'-h', $self->dir, '-p', $self->port, '-U', 'postgres', @args,
		'postgres');
}

sub pgbench
{
	my ($self, @args) = @_;
	my ($status, $out, $err) = Kura::run($self->pgbench_command(@args));

	return $out if $status == 0;
	croak("$self->{name}: pgbench @args: status $status\n$out$err");
}

sub pgbench_spawn
{
	my ($self, @args) = @_;

	return Kura::spawn($self->pgbench_command(@args));
}

sub lsn
{
	my ($self) = @_;

	return $self->psql('SELECT CASE WHEN pg_is_in_recovery()
		THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END');
}

# A switch at the very start of a segment would do nothing: write something.
sub switch_wal
{
	my ($self) = @_;

	return $self->psql("DO \$\$ BEGIN
		PERFORM pg_logical_emit_message(false, 'kura', 'switch');
		END \$\$;
		SELECT pg_walfile_name(pg_switch_wal())");
}

sub wait_replay
{
	my ($self, $standby) = @_;
	my $lsn = $self->lsn;

	return $standby->wait_for(
		"SELECT pg_last_wal_replay_lsn() >= '$lsn'::pg_lsn");
}

# ---- copies ----

sub copy_to
{
	my ($self, $folder) = @_;
	my $old = $self->major < 15;
	my $start = $old ? "pg_start_backup('copy', true, false)"
	    : "pg_backup_start('copy', true)";
	my $stop = $old ? 'pg_stop_backup(false, false)' : 'pg_backup_stop(false)';
	my $script = Kura::own_dir() . "/copy.$self->{port}.sh";

	Kura::write_file($script, copy_script());
	# One session from start to stop; it runs the copy in between.
	my ($status, $out, $err) = Kura::run({ as_user => 1, stdin => <<"END" },
SELECT $start \\g /dev/null
\\! sh $script '$self->{pgdata}' '$folder'
SELECT labelfile, spcmapfile FROM $stop \\gset
\\setenv LABEL :labelfile
\\setenv MAP :spcmapfile
\\! printf '%s' "\$LABEL" >'$folder/backup_label'
\\! sh $script '$self->{pgdata}' '$folder' wal
END
		Kura::client('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1',
		'-d', $self->conninfo);
	croak("$self->{name}: could not copy it: $out$err")
	    if $status != 0 || !-s "$folder/backup_label";
	return $folder;
}

# Files come and go while cp runs, so its status says nothing.
sub copy_script
{
	return <<'END';
from=$1 to=$2
if [ "${3:-}" = wal ]; then
	cp -a "$from"/pg_wal/0* "$to/pg_wal/" 2>/dev/null
	exit 0
fi
mkdir -m 700 "$to" || exit 1
cd "$from" || exit 1
for f in * ; do
	case $f in
	pg_wal|pg_replslot|postmaster.*|pg_dynshmem|pg_notify|pg_stat_tmp) ;;
	pg_tblspc) mkdir -m 700 "$to/$f" ;;
	*) cp -a "$f" "$to/" 2>/dev/null ;;
	esac
done
for f in pg_wal pg_wal/archive_status pg_wal/summaries pg_replslot pg_dynshmem \
    pg_notify pg_stat_tmp; do
	test -d "$f" && mkdir -m 700 "$to/$f"
done
for link in pg_tblspc/*; do
	test -L "$link" || continue
	cp -aL "$link" "$to.${link##*/}" 2>/dev/null
	ln -s "$to.${link##*/}" "$to/$link"
done
exit 0
END
}

sub standby
{
	my ($self, %arg) = @_;
	my $name = $arg{name} // 'standby';
	my $standby = object(ref $self, major => $self->major, name => $name,
		in => $arg{in});
	my %conf = (primary_conninfo =>
		    $self->conninfo(application_name => $name));

	if ($arg{slot} // 1) {
		(my $slot = "to_$name") =~ tr/a-z0-9_/_/c;
		$self->psql("SELECT pg_create_physical_replication_slot('$slot', true)");
		$conf{primary_slot_name} = $slot;
	}
	$self->copy_to($standby->pgdata);
	$standby->configure(%conf, %{ $arg{conf} // {} });
	Kura::write_file($standby->pgdata . '/standby.signal', '');
	return $standby;
}

1;
