/* Finds the sink of a kind of destinations: in the program, or in a module, a shared object in the folder of modules, which
 * stands beside that of the program: /usr/bin/xtcp2 and /usr/lib/xtcp2. A module is loaded when it is first needed, and
 * stays. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "outputs/module.h"
#include "outputs/sink/sink.h"

extern const struct sink_ops xtcp_sink_null, xtcp_sink_stdout, xtcp_sink_stderr, xtcp_sink_file,
    xtcp_sink_tcp, xtcp_sink_unix, xtcp_sink_udp, xtcp_sink_unixgram;

static const struct builtin {
    const char *kind;
    const struct sink_ops *ops;
} builtins[] = {
    {"null", &xtcp_sink_null}, {"stdout", &xtcp_sink_stdout},     {"stderr", &xtcp_sink_stderr},
    {"file", &xtcp_sink_file}, {"tcp", &xtcp_sink_tcp},           {"unix", &xtcp_sink_unix},
    {"udp", &xtcp_sink_udp},   {"unixgram", &xtcp_sink_unixgram},
};

#define MODULES_MAX 16

/* The modules that are loaded. */
static struct {
    pthread_mutex_t lock;                    /* a leaf, but for what the dynamic linker does */
    const struct sink_ops *ops[MODULES_MAX]; /* by the place in output_kinds */
} loaded = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The file of the module of |kind|. Returns 0 or -errno. */
static int module_path(const struct output_kind *kind, char out[PATH_MAX])
{
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (n <= 0)
        return n < 0 ? -errno : -ENOENT;
    program[n] = '\0';
    char *slash = strrchr(program, '/');
    if (!slash)
        return -ENOENT;
    *slash = '\0';
    n = snprintf(out, PATH_MAX, "%s/../lib/xtcp2/output_%s.so", program, kind->name);
    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

bool module_is_there(const struct output_kind *kind)
{
    char path[PATH_MAX];
    return !kind->module || (module_path(kind, path) == 0 && access(path, R_OK) == 0);
}

static const struct sink_ops *load(const struct output_kind *kind, struct err *e)
{
    char path[PATH_MAX], symbol[64];
    int rc = module_path(kind, path);
    if (rc || access(path, R_OK) != 0) {
        err_set(e, ERR_UNSUPPORTED,
                "destinations of the kind %s need the module %s, which is not there; install %s", kind->name,
                rc ? err_name(rc) : path, kind->module);
        return NULL;
    }
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) {
        err_set(e, ERR_UNSUPPORTED, "destinations of the kind %s: the module cannot be loaded: %s",
                kind->name, dlerror());
        return NULL;
    }
    snprintf(symbol, sizeof(symbol), "xtcp_sink_%s", kind->name);
    const struct sink_ops *ops = dlsym(module, symbol);
    if (!ops || ops->abi != SINK_ABI) {
        err_set(e, ERR_UNSUPPORTED, "%s: is a module of another version of xtcp2; install %s of this one",
                path, kind->module);
        dlclose(module);
        return NULL;
    }
    if (ops->use_log)
        ops->use_log(log_state());
    return ops;
}

const struct sink_ops *sink_find(const struct output_kind *kind, struct err *e)
{
    size_t place = (size_t)(kind - output_kinds);
    for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
        if (strcmp(builtins[i].kind, kind->name) == 0)
            return builtins[i].ops;
    pthread_mutex_lock(&loaded.lock);
    if (!loaded.ops[place])
        loaded.ops[place] = load(kind, e);
    const struct sink_ops *ops = loaded.ops[place];
    pthread_mutex_unlock(&loaded.lock);
    return ops;
}
