#include "io/os.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define LISTEN_BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

static int32_t option_set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Closes fd if result is an error. */
static int32_t fd_or_error(int fd, int32_t result)
{
    if (result >= 0)
        return fd;
    (void)close(fd);
    return result;
}

static bool is_any6(const struct odk_addr *addr)
{
    if (addr->storage.ss_family != AF_INET6)
        return false;
    struct sockaddr_in6 in6;
    memcpy(&in6, &addr->storage, sizeof(in6));
    return IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
}

/* "All addresses" of a host that has no IPv6. */
static struct odk_addr any4(const struct odk_addr *any6)
{
    struct sockaddr_in6 in6;
    memcpy(&in6, &any6->storage, sizeof(in6));
    struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = in6.sin6_port };
    struct odk_addr addr = { .len = sizeof(in4) };
    memcpy(&addr.storage, &in4, sizeof(in4));
    return addr;
}

/* TCP_NODELAY stands on the listener: accepted sockets inherit it, which saves a call for each. */
static int32_t listener_prepare(int fd, const struct odk_addr *at, bool reuse_port)
{
    int32_t result = option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (result == 0 && reuse_port)
        result = option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (result == 0)
        result = option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (result == 0 && is_any6(at))
        result = option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (result == 0 && bind(fd, (const struct sockaddr *)&at->storage, at->len) < 0)
        result = -errno;
    if (result == 0 && listen(fd, LISTEN_BACKLOG) < 0)
        result = -errno;
    return result;
}

static int32_t listen_at(const struct odk_addr *at, bool reuse_port, int mode, struct odk_addr *ret_bound)
{
    int fd = socket(at->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | mode, 0);
    if (fd < 0)
        return -errno;
    int32_t result = listener_prepare(fd, at, reuse_port);
    if (result == 0 && ret_bound)
        result = os_local_addr(NULL, fd, ret_bound);
    return fd_or_error(fd, result);
}

int32_t os_listen_mode(const struct odk_addr *at, bool reuse_port, int mode, struct odk_addr *ret_bound)
{
    int32_t sock = listen_at(at, reuse_port, mode, ret_bound);
    if ((sock != -EAFNOSUPPORT && sock != -EADDRNOTAVAIL) || !is_any6(at))
        return sock;
    struct odk_addr fallback = any4(at);
    return listen_at(&fallback, reuse_port, mode, ret_bound);
}

int32_t os_socket(const struct odk_addr *to, int mode)
{
    if (to->storage.ss_family != AF_INET && to->storage.ss_family != AF_INET6)
        return -EAFNOSUPPORT;
    int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | mode, 0);
    if (fd < 0)
        return -errno;
    return fd_or_error(fd, option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1));
}

void os_shutdown(struct odk_io *io, int32_t sock)
{
    (void)io;
    /* ENOTCONN: the peer was faster, and what was in flight has its result already. */
    (void)shutdown(sock, SHUT_RDWR);
}

void os_close_socket(struct odk_io *io, int32_t sock)
{
    (void)io;
    ASSERT(sock >= 0);
    (void)close(sock); /* on a socket it frees the descriptor whatever it returns */
}

int32_t os_local_addr(struct odk_io *io, int32_t sock, struct odk_addr *ret)
{
    (void)io;
    struct odk_addr addr = { .len = sizeof(addr.storage) };
    if (getsockname(sock, (struct sockaddr *)&addr.storage, &addr.len) < 0)
        return -errno;
    *ret = addr;
    return 0;
}

int32_t os_peer_addr(struct odk_io *io, int32_t sock, struct odk_addr *ret)
{
    (void)io;
    struct odk_addr addr = { .len = sizeof(addr.storage) };
    if (getpeername(sock, (struct sockaddr *)&addr.storage, &addr.len) < 0)
        return -errno;
    *ret = addr;
    return 0;
}
