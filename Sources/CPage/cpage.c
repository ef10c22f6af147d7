#include "cpage.h"

// Clang has #embed in every C standard, and says that the standard is C23's.
#pragma clang diagnostic ignored "-Wc23-extensions"

#define SCRIPT "text/javascript; charset=utf-8"
#define STYLE "text/css; charset=utf-8"
#define DOCUMENT "text/html; charset=utf-8"
#define IMAGE "image/svg+xml"

static const unsigned char app[] = {
#embed "assets/app.js"
};
static const unsigned char attention[] = {
#embed "assets/attention.js"
};
static const unsigned char chart[] = {
#embed "assets/chart.js"
};
static const unsigned char documents[] = {
#embed "assets/documents.js"
};
static const unsigned char dom[] = {
#embed "assets/dom.js"
};
static const unsigned char errors[] = {
#embed "assets/errors.js"
};
static const unsigned char feed[] = {
#embed "assets/feed.js"
};
static const unsigned char format[] = {
#embed "assets/format.js"
};
static const unsigned char history[] = {
#embed "assets/history.js"
};
static const unsigned char overview[] = {
#embed "assets/overview.js"
};
static const unsigned char parts[] = {
#embed "assets/parts.js"
};
static const unsigned char pipeline[] = {
#embed "assets/pipeline.js"
};
static const unsigned char queue[] = {
#embed "assets/queue.js"
};
static const unsigned char queues[] = {
#embed "assets/queues.js"
};
static const unsigned char servers[] = {
#embed "assets/servers.js"
};
static const unsigned char sparkline[] = {
#embed "assets/sparkline.js"
};
static const unsigned char task[] = {
#embed "assets/task.js"
};
static const unsigned char tooltip[] = {
#embed "assets/tooltip.js"
};
static const unsigned char trace[] = {
#embed "assets/trace.js"
};
static const unsigned char style[] = {
#embed "assets/style.css"
};
static const unsigned char icon[] = {
#embed "assets/icon.svg"
};
static const unsigned char icon_trouble[] = {
#embed "assets/icon-trouble.svg"
};
static const unsigned char shell[] = {
#embed "assets/page.html"
};

static const struct page_file files[] = {
    {"app.js", SCRIPT, app, sizeof app},
    {"attention.js", SCRIPT, attention, sizeof attention},
    {"chart.js", SCRIPT, chart, sizeof chart},
    {"documents.js", SCRIPT, documents, sizeof documents},
    {"dom.js", SCRIPT, dom, sizeof dom},
    {"errors.js", SCRIPT, errors, sizeof errors},
    {"feed.js", SCRIPT, feed, sizeof feed},
    {"format.js", SCRIPT, format, sizeof format},
    {"history.js", SCRIPT, history, sizeof history},
    {"overview.js", SCRIPT, overview, sizeof overview},
    {"parts.js", SCRIPT, parts, sizeof parts},
    {"pipeline.js", SCRIPT, pipeline, sizeof pipeline},
    {"queue.js", SCRIPT, queue, sizeof queue},
    {"queues.js", SCRIPT, queues, sizeof queues},
    {"servers.js", SCRIPT, servers, sizeof servers},
    {"sparkline.js", SCRIPT, sparkline, sizeof sparkline},
    {"task.js", SCRIPT, task, sizeof task},
    {"tooltip.js", SCRIPT, tooltip, sizeof tooltip},
    {"trace.js", SCRIPT, trace, sizeof trace},
    {"style.css", STYLE, style, sizeof style},
    {"icon.svg", IMAGE, icon, sizeof icon},
    {"icon-trouble.svg", IMAGE, icon_trouble, sizeof icon_trouble},
};

size_t page_file_count(void) { return sizeof files / sizeof files[0]; }

struct page_file page_file_at(size_t index) { return files[index]; }

struct page_file page_shell(void) { return (struct page_file){"page.html", DOCUMENT, shell, sizeof shell}; }

static uint64_t hash_of(uint64_t hash, struct page_file file) {
    for (size_t index = 0; index < file.count; index += 1) hash = (hash ^ file.bytes[index]) * 0x100000001B3;
    return hash;
}

uint64_t page_hash(void) {
    uint64_t hash = hash_of(0xCBF29CE484222325, page_shell());
    for (size_t index = 0; index < page_file_count(); index += 1) hash = hash_of(hash, files[index]);
    return hash;
}
