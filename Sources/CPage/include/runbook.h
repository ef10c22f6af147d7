// docs/RUNBOOK.md, embedded when the program is built.
#pragma once
#include "cpage.h"

/// The text, Markdown.
struct page_file page_runbook(void);
