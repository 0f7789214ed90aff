#!/usr/bin/perl
# Kept pieces of WAL of each version are read as they were when they were kept
# (tests/data/wal/make), in pieces of any size.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

my $walcat = Kura::program('walcat');

for my $major (13 .. 18) {
	my $base = Kura::src() . "/tests/data/wal/$major";
	my $records = Kura::slurp("$base.records");

	for my $bytes (1, 100, 8192, 1 << 20) {
		my ($status, $out, $err) =
		    Kura::run($walcat, '-p', $bytes, "$base.wal");
		ok($status == 0 && $out eq $records,
			"$major: records, in pieces of $bytes") or diag($err);
	}
	my ($status, $out) = Kura::run($walcat, '-e', "$base.wal");
	is($out, Kura::slurp("$base.events"), "$major: events");
}
done_testing();
