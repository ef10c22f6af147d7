// Two values that are macros with a cast or an overflow in them, which Swift does not see.
#pragma once
#include <zstd.h>
#include <zstd_errors.h>

static const unsigned long long collector_zstd_size_unknown = ZSTD_CONTENTSIZE_UNKNOWN;
static const unsigned long long collector_zstd_size_error = ZSTD_CONTENTSIZE_ERROR;
