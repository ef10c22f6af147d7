// The files of the status page, embedded when the program is built.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// One file: its name, its Content-Type and its bytes, which live as long as the program.
struct page_file {
    const char *_Nonnull name;
    const char *_Nonnull content_type;
    const unsigned char *_Nonnull bytes;
    size_t count;
};

/// The number of files that the page asks for: modules, style sheet, icons.
size_t page_file_count(void);

/// The file at `index`, below `page_file_count()`.
struct page_file page_file_at(size_t index);

/// The document that loads them. The program puts its own text in place of {{assets}}, {{title}} and {{plain}}.
struct page_file page_shell(void);

/// A hash of all of them (FNV-1a, 64 bits). It is the folder of their addresses, so that a browser may cache them without end.
uint64_t page_hash(void);
