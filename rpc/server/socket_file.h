/* The file of a listening unix socket: its folder, the claim against other processes, and the right to
 * connect. One thread at a time. */
#ifndef XTCP_RPC_SERVER_SOCKET_FILE_H
#define XTCP_RPC_SERVER_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "lib/err.h"

struct rpc_socket_file {
    struct sockaddr_un address;
    int lock;         /* descriptor of the lock file, PATH.lock */
    int file;         /* O_PATH descriptor of the socket that was bound; -1: none is */
    bool made_folder; /* it was not there before */
};

/* Claims |path| (absolute, it fits sun_path): makes its folder (mode 0755) when only that is missing, takes
 * the lock file beside it, and removes the socket of a process that is gone. Two processes never hold the
 * same claim; it ends with the process, whatever ends that. Returns 0, -EADDRINUSE when a living process has
 * it, -EEXIST when something other than a socket is there, or another -errno; |f| then holds nothing. */
int rpc_socket_file_claim(struct rpc_socket_file *f, const char *path);

/* Makes sure of the claim of |f| after its files may have been removed: takes the lock file again where it is
 * gone, and removes the socket of a process that is gone, as rpc_socket_file_claim does, and with its errors.
 * After an error |f| holds the same as before. */
int rpc_socket_file_claim_again(struct rpc_socket_file *f);

/* The group called |name|, or with that number; (gid_t)-1 for an empty name. Returns 0 and it in |out|, or a
 * code with |e|. */
int rpc_socket_file_group(const char *name, gid_t *out, struct err *e);

/* Binds |fd| to it. Nobody can connect before the file has the mode |mode| and the group |group|, (gid_t)-1
 * for the process's own. A file that somebody else puts in its place is never changed. Returns 0 or -errno,
 * or ERR_GONE when that has happened, or when the file was removed meanwhile; a file of ours is then gone or,
 * when its descriptor is in |f|, for rpc_socket_file_unbind. */
int rpc_socket_file_bind(struct rpc_socket_file *f, int fd, mode_t mode, gid_t group);

/* Gives the bound file another mode and group, (gid_t)-1 for the process's own. In between it has only the
 * rights that the old and the new mode have in common. Nothing for a file that is no longer at its place.
 * Returns 0 or -errno; some of it may then have been done. */
int rpc_socket_file_permit(const struct rpc_socket_file *f, mode_t mode, gid_t group);

/* Whether the bound file is still at its place, where clients find it. */
bool rpc_socket_file_is_there(const struct rpc_socket_file *f);

/* Removes the socket if it is still there; the claim stays. */
void rpc_socket_file_unbind(struct rpc_socket_file *f);

/* Removes the socket if it is still there, the lock file, and the folder if it was made for them and is
 * empty. */
void rpc_socket_file_release(struct rpc_socket_file *f);

#endif
