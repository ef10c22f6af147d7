// The sizes of the tables for each level: macros that Swift does not see, because they are made of other macros.
#pragma once
#include <isa-l/igzip_lib.h>

static inline uint32_t collector_isal_level_bytes(uint32_t level) {
    switch (level) {
    case 0: return ISAL_DEF_LVL0_DEFAULT;
    case 1: return ISAL_DEF_LVL1_DEFAULT;
    case 2: return ISAL_DEF_LVL2_DEFAULT;
    default: return ISAL_DEF_LVL3_DEFAULT;
    }
}
