package Kura::Clock;

# Kura::Clock: a wall clock of its own for some programs, that a test sets.
#
#	my $clock = Kura::Clock->new or plan skip_all => 'no compiler, or sanitizers';
#	$clock->in		words to put before a command: it and what it starts
#				have this clock
#	$clock->set(-3600)	seconds, from the real time
#
# CLOCK_BOOTTIME and the like stay as they are.

use strict;
use warnings;

use Kura ();

my $shim = <<'C';
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static long long
shift(void)
{
	static volatile long long *p;

	if (p == NULL) {
		int fd = open(getenv("SHIFT_FILE"), O_RDONLY | O_CLOEXEC);

		p = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
	}
	return *p;
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);
	int rc;

	if (real == NULL)
		real = (int (*)(clockid_t, struct timespec *))dlsym(
		    RTLD_NEXT, "clock_gettime");
	rc = real(id, t);
	if (id == CLOCK_REALTIME)
		t->tv_sec += shift();
	return rc;
}

int
gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec s;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &s);
	t->tv_sec = s.tv_sec;
	t->tv_usec = s.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *out)
{
	struct timespec s;

	clock_gettime(CLOCK_REALTIME, &s);
	if (out != NULL)
		*out = s.tv_sec;
	return s.tv_sec;
}
C

sub new
{
	my ($class) = @_;
	my $dir = Kura::tempdir();
	my $cc = $ENV{CC} // 'cc';
	my $self = bless { dir => $dir }, $class;

	Kura::write_file("$dir/shim.c", $shim);
	chmod(0755, $dir);
	return if Kura::sanitizer()
	    || system("$cc -shared -fPIC -o $dir/shim.so $dir/shim.c -ldl") != 0;
	Kura::write_file("$dir/shift", pack('q<', 0));
	return $self;
}

sub in
{
	my ($self) = @_;

	return ('env', "SHIFT_FILE=$self->{dir}/shift",
		"LD_PRELOAD=$self->{dir}/shim.so");
}

sub set
{
	my ($self, $seconds) = @_;

	Kura::write_file("$self->{dir}/shift", pack('q<', $seconds), '+<');
	return;
}

1;
