#include "nswatch/view.h"

#include "lib/array.h"
#include "lib/err.h"
#include "nswatch/text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_PATH  "/proc/self/ns/net"
#define OWN_LABEL "default"

/* Longest text of a file's name: each of its bytes escaped. Labels are not longer, or they would have no room
 * in a record. */
#define LABEL_MAX (4 * NAME_MAX)

bool view_name_texts(struct ns_name *n, const char *dir, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return false;
    char *safe_dir = text_escape(dir, strlen(dir));
    char *safe_name = text_escape(name, strlen(name));
    char *text = NULL;
    bool done = safe_dir && safe_name;
    if (done && !strcmp(safe_dir, dir) && !strcmp(safe_name, name))
        text = path;
    else if (done)
        done = asprintf(&text, "%s/%s", safe_dir, safe_name) >= 0;
    if (done) {
        n->path = path;
        n->name = path + strlen(dir) + 1;
        n->text = text;
        n->label = text + strlen(safe_dir) + 1;
    } else {
        free(path);
    }
    free(safe_dir);
    free(safe_name);
    return done;
}

/* The names of |o| in an array that the registry keeps; without memory for it, none. */
static void view_names(struct view *v, struct registry *r, const struct ns_object *o)
{
    if (array_room(&r->scratch, o->name_count, &r->scratch_size, sizeof(*r->scratch)))
        return;
    for (const struct ns_name *n = o->names; n; n = n->sibling)
        r->scratch[v->ns.name_count++] =
            (struct nswatch_name){.dir = n->dir->path, .name = n->name, .text = n->text};
    v->ns.names = v->ns.name_count ? r->scratch : NULL;
}

static void view_error(struct err *e, const struct ns_object *o)
{
    switch (o->error) {
    case 0:
        break;
    case ERR_TIMEOUT:
        err_set(
            e, o->error, "has not become a namespace in time%s",
            o->names && o->names->dir->private_mount
                ? "; should it be one on the host: the directory is on a private mount here, so that the host's mounts "
                  "do not show in it (share it with slave propagation)"
                : ": still a plain file");
        break;
    case ERR_TYPE:
        err_set(e, o->error, "is not a network namespace");
        break;
    case -EPERM:
        err_set(e, o->error, "cannot be entered: CAP_SYS_ADMIN is missing");
        break;
    case -EACCES:
        err_set(e, o->error,
                "cannot be opened: permission denied (CAP_SYS_PTRACE or CAP_DAC_READ_SEARCH is missing)");
        break;
    default:
        err_set(e, o->error, "cannot be entered: %s", err_name(o->error));
    }
}

/* The label in records of a namespace whose file is |text|, of which |label| is the last part. A file with
 * the name of the daemon's own namespace is shown with its directory, so that the two can be
 * distinguished. */
static const char *label_of(const char *text, const char *label)
{
    return strcmp(label, OWN_LABEL) == 0 && strlen(text) <= LABEL_MAX ? text : label;
}

void view_of(struct view *v, struct registry *r, const struct ns_object *o)
{
    v->ns = (struct nswatch_ns){
        .id = o->id,
        .cookie = o->cookie,
        .inode = o->inode,
        .kind = o->own   ? NSWATCH_OWN
                : o->pid ? NSWATCH_ANONYMOUS
                         : NSWATCH_NAMED,
        .state = o->state,
        .pid = o->pid,
        .since_ns = o->since_ns,
        .netns = v->netns,
        .path = v->path,
        .found_at = v->path,
    };
    view_names(v, r, o);
    view_error(&v->ns.error, o);
    snprintf(v->netns, sizeof(v->netns), "netns:[%" PRIu64 "]", o->inode);
    snprintf(v->path, sizeof(v->path), "%s/%d/ns/net", r->proc_root, (int)o->pid);
    if (o->own) {
        v->ns.netns = OWN_LABEL;
        v->ns.path = v->ns.found_at = OWN_PATH;
    } else if (o->names) {
        v->ns.netns = label_of(o->names->text, o->names->label);
        v->ns.path = o->names->path;
        v->ns.found_at = o->names->text;
    } else if (!o->pid && o->last_text && o->last_path) {
        v->ns.netns = label_of(o->last_text, o->last_label);
        v->ns.path = o->last_path;
        v->ns.found_at = o->last_text;
    }
}
