/* Addresses as text. An IPv4 peer of an IPv6 socket (::ffff:a.b.c.d) is shown as the IPv4 address it is. */
#include <odradek/io.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define HOST_LEN_MAX 255u

/* 0..65535, digits only. */
static bool port_parse(const char *text, uint16_t *ret_port)
{
    uint32_t port = 0;
    if (*text == 0)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        port = port * 10 + (uint32_t)(*text - '0');
        if (port > UINT16_MAX)
            return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

/* Splits "host:port" and "[host]:port". host holds HOST_LEN_MAX + 1 bytes. */
static bool host_split(const char *text, char *host, uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return false;
    const char *begin = text;
    const char *end = colon;
    bool bracketed = *text == '[';
    if (bracketed) {
        begin++;
        end--;
        if (end <= begin || *end != ']')
            return false;
    }
    size_t len = (size_t)(end - begin);
    if (len > HOST_LEN_MAX || (!bracketed && memchr(begin, ':', len)))
        return false;
    memcpy(host, begin, len);
    host[len] = 0;
    return port_parse(colon + 1, ret_port);
}

static void addr_set(struct odk_addr *ret, const void *sockaddr, size_t len)
{
    memset(ret, 0, sizeof(*ret));
    memcpy(&ret->storage, sockaddr, len);
    ret->len = (socklen_t)len;
}

static void addr_set_any(struct odk_addr *ret, uint16_t port)
{
    struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_any };
    addr_set(ret, &any, sizeof(any));
}

enum odk_err odk_addr_parse(const char *text, struct odk_addr *ret)
{
    char host[HOST_LEN_MAX + 1];
    uint16_t port;
    if (!host_split(text, host, &port))
        return ODK_ERR_INVALID;
    if (host[0] == 0) {
        addr_set_any(ret, port);
        return ODK_OK;
    }
    char service[8];
    (void)snprintf(service, sizeof(service), "%u", port);
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return ODK_ERR_NOT_FOUND;
    addr_set(ret, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return ODK_OK;
}

uint16_t odk_addr_host(const struct odk_addr *addr, char *dst, size_t len)
{
    char text[INET6_ADDRSTRLEN] = "?";
    uint16_t port = 0;
    if (addr->storage.ss_family == AF_INET) {
        struct sockaddr_in in4;
        memcpy(&in4, &addr->storage, sizeof(in4));
        (void)inet_ntop(AF_INET, &in4.sin_addr, text, sizeof(text));
        port = ntohs(in4.sin_port);
    } else if (addr->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &addr->storage, sizeof(in6));
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
        (void)inet_ntop(mapped ? AF_INET : AF_INET6, in6.sin6_addr.s6_addr + (mapped ? 12 : 0), text, sizeof(text));
        port = ntohs(in6.sin6_port);
    }
    (void)snprintf(dst, len, "%s", text);
    return port;
}

void odk_addr_print(const struct odk_addr *addr, char *dst, size_t len)
{
    char host[INET6_ADDRSTRLEN];
    uint16_t port = odk_addr_host(addr, host, sizeof(host));
    (void)snprintf(dst, len, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}
