#include "server/listen/tokens.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/log.h"

#define FILE_BYTES_MAX (128 * 1024)

struct tokens {
    pthread_mutex_t lock; /* guards all below; a leaf */
    char path[PATH_MAX];
    struct file_stamp seen; /* of the file when it was last tried */
    struct file_attempt attempt;
    struct token_table table;
};

/* ---- The file ---- */

/* Refuses a file that others can change or read: it is no place for secrets. */
static int check_mode(const struct stat *st, struct err *e)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return err_set(e, ERR_PERMISSION,
                       "belongs to user %u, who is neither root nor the user of the daemon",
                       (unsigned)st->st_uid);
    if (st->st_mode & (S_IWGRP | S_IROTH | S_IWOTH | S_IXOTH))
        return err_set(e, ERR_PERMISSION, "has the mode %04o; allowed 0640 or less",
                       (unsigned)st->st_mode & 07777);
    return 0;
}

static int load(const char *path, struct token_table *out, struct err *e)
{
    char *text;
    size_t len;
    struct stat st;
    *out = (struct token_table){0};
    if (!*path)
        return 0;
    int rc = file_read(path, FILE_BYTES_MAX, &text, &len, &st, e);
    if (rc)
        return err_prefix(e, "token_file");
    rc = check_mode(&st, e);
    if (rc == 0)
        rc = token_table_parse(text, len, out, e);
    explicit_bzero(text, len);
    free(text);
    if (rc)
        err_prefix(e, "token_file: %s", path);
    return rc;
}

/* Reads the file if it has changed, if the last error with it may have passed, or |anyway|. The lock is
 * held. */
static void reload(struct tokens *t, const char *path, bool anyway)
{
    struct token_table fresh;
    struct err e = {0};
    const struct file_stamp now = file_stamp(path);
    bool same = file_stamp_same(&now, &t->seen) && strcmp(path, t->path) == 0;
    if (same && !anyway && !file_attempt_due(&t->attempt))
        return;
    t->seen = now;
    snprintf(t->path, sizeof(t->path), "%s", path);
    int rc = load(path, &fresh, &e);
    bool other = file_attempt_note(&t->attempt, rc);
    if (rc && (!same || anyway || other))
        log_error("access", "%s; the tokens from before still count", e.text);
    if (rc)
        return;
    token_table_clear(&t->table);
    t->table = fresh;
    if (!same || other)
        log_info("access", "token_file: %zu tokens", fresh.n);
}

/* ---- Life and use ---- */

int tokens_new(const char *path, struct tokens **out, struct err *e)
{
    struct tokens *t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(e, -ENOMEM, "out of memory");
    pthread_mutex_init(&t->lock, NULL);
    snprintf(t->path, sizeof(t->path), "%s", path);
    t->seen = file_stamp(path);
    int rc = load(path, &t->table, e);
    if (rc) {
        tokens_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

void tokens_free(struct tokens *t)
{
    if (!t)
        return;
    token_table_clear(&t->table);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* Whether both are the same, in a time that depends on neither. */
static unsigned same_text(const unsigned char *a, const unsigned char *b)
{
    unsigned differ = 0;
    for (size_t i = 0; i <= TOKEN_LENGTH_MAX; i++)
        differ |= a[i] ^ b[i];
    return differ == 0;
}

void tokens_refresh(struct tokens *t, const char *path, bool anyway)
{
    pthread_mutex_lock(&t->lock);
    reload(t, path, anyway);
    pthread_mutex_unlock(&t->lock);
}

bool tokens_find(struct tokens *t, const char *path, const char *token, struct rpc_grant *out)
{
    unsigned char padded[TOKEN_LENGTH_MAX + 1] = {0};
    size_t len = strlen(token);
    unsigned found = 0;
    if (len < TOKEN_LENGTH_MIN || len > TOKEN_LENGTH_MAX)
        return false;
    memcpy(padded, token, len);
    pthread_mutex_lock(&t->lock);
    reload(t, path, false);
    for (size_t i = 0; i < t->table.n; i++) { /* all of them, also after the right one */
        unsigned same = same_text(padded, t->table.items[i].text);
        unsigned better = same && (!found || t->table.items[i].role > out->role);
        out->role = better ? t->table.items[i].role : out->role;
        out->token = better ? (unsigned)i + 1 : out->token;
        found |= same;
    }
    pthread_mutex_unlock(&t->lock);
    explicit_bzero(padded, sizeof(padded));
    return found != 0;
}
