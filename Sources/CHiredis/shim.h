// Only hiredis' reply parser is used (read.h): sockets, timeouts and TLS are ours, so that one deadline covers a
// whole scrape and the same code runs with hiredis 0.14 and 1.2.
#pragma once
#include <stddef.h>
#include <stdlib.h>
#include <hiredis/hiredis.h>
