#!/usr/bin/perl
# Test scripts are programs: prove runs them as such, and stops at one that is none.

use strict;
use warnings;
use Test::More;

chdir($ENV{PGKURA_SRC} // '.') or die "could not enter source: $!\n";
my @scripts = glob('tests/t/*.t tests/long/*.t tests/house/*.t');
ok(@scripts > 50, 'there are test scripts');
is(join(' ', grep { !-x } @scripts), '', 'all of them can be executed');
done_testing();
