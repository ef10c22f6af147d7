// Typed forms of libcurl's variadic calls, which Swift can't import. One line each; the type in the name is the type
// that libcurl's documentation asks for with that option.
#pragma once
#include <curl/curl.h>

typedef size_t (*collector_curl_write_function)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode collector_curl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode collector_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode collector_curl_set_string(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode collector_curl_set_pointer(CURL *handle, CURLoption option, void *value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode collector_curl_set_write(CURL *handle, CURLoption option, collector_curl_write_function value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode collector_curl_set_tls(CURL *handle, CURLoption option, curl_ssl_ctx_callback value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode collector_curl_get_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}
static inline CURLcode collector_curl_get_string(CURL *handle, CURLINFO info, const char **value) {
    return curl_easy_getinfo(handle, info, value);
}
static inline CURLcode collector_curl_get_offset(CURL *handle, CURLINFO info, curl_off_t *value) {
    return curl_easy_getinfo(handle, info, value);
}
// The value of a header of the last answer; NULL where it has none.
static inline const char *collector_curl_header(CURL *handle, const char *name) {
    struct curl_header *header;
    return curl_easy_header(handle, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}
// The result's union is read here: Swift imports it under a name that differs between libcurl versions.
static inline CURLcode collector_curl_message_result(const CURLMsg *message) {
    return message->data.result;
}
