#include "runbook.h"

// Clang has #embed in every C standard, and says that the standard is C23's.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char runbook[] = {
#embed "../../docs/RUNBOOK.md"
};

struct page_file page_runbook(void) {
    return (struct page_file){"RUNBOOK.md", "text/markdown; charset=utf-8", runbook, sizeof runbook};
}
