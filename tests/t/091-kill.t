#!/usr/bin/perl
# kill -9 at random moments, ten rounds; tests/long/kill.t has more.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Kura::Rounds;

Kura::Rounds::run($ENV{PGKURA_ROUNDS} // 10);
