#!/usr/bin/perl
# kill -9 at random moments, a hundred rounds.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Kura::Rounds;

Kura::Rounds::run($ENV{PGKURA_ROUNDS} // 100);
