/* The command line front end: the option table and the program's own options as one getopt_long table. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_internal.h"
#include "config/go_flags.h"
#include "config/value.h"
#include "lib/file.h"
#include "lib/nearest.h"

/* The value of getopt_long for a long option: one of these, plus the index in its table. */
enum { OWN_BASE = 0x1000, TABLE_BASE = 0x2000 };

#define SHORT_MAX 64

/* An option of the table as it was given. */
struct setting {
    const struct config_option *option;
    const char *text;
};

struct args {
    const struct config_program_option *own;
    size_t n_own;
    struct option *longs;
    char (*flags)[OPTION_FLAG_MAX]; /* names of the table's options */
    char shorts[SHORT_MAX];
    struct setting *settings;
    size_t n_settings;
    const char *file;
    bool ended; /* by --help or the like */
    struct err *e;
};

static void args_fini(struct args *a)
{
    free(a->longs);
    free(a->flags);
    free(a->settings);
}

static int args_init(struct args *a, int argc)
{
    a->longs = calloc(a->n_own + CONFIG_OPTION_COUNT + 1, sizeof(*a->longs));
    a->flags = calloc(CONFIG_OPTION_COUNT, sizeof(*a->flags));
    a->settings = calloc((size_t)argc + 1, sizeof(*a->settings));
    if (!a->longs || !a->flags || !a->settings)
        return err_set(a->e, -ENOMEM, "out of memory");
    struct buf shorts;
    buf_init_fixed(&shorts, a->shorts, sizeof(a->shorts));
    buf_str(&shorts, "+:"); /* stop at what is no option; tell a missing argument from an unknown option */
    for (size_t i = 0; i < a->n_own; i++) {
        const struct config_program_option *own = &a->own[i];
        a->longs[i] = (struct option){own->name, own->metavar ? required_argument : no_argument, NULL,
                                      OWN_BASE + (int)i};
        if (own->short_name) {
            buf_char(&shorts, own->short_name);
            buf_str(&shorts, own->metavar ? ":" : "");
        }
    }
    buf_cstr(&shorts);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        option_flag(config_options[i].name, a->flags[i]);
        a->longs[a->n_own + i] = (struct option){a->flags[i], required_argument, NULL, TABLE_BASE + (int)i};
    }
    return 0;
}

static int usage(struct args *a, const char *token, const char *sentence)
{
    char quoted[VALUE_QUOTED_MAX];
    return err_set(a->e, ERR_USAGE, "%s: %s", value_quote(token, quoted), sentence);
}

/* Whether |token| is a flag of the Go daemon, such as "-dest" or "-dest=null"; then |a->e| tells what it is called here. */
static bool is_go_flag(struct args *a, const char *token)
{
    size_t dashes = strspn(token, "-"), n = strcspn(token + dashes, "=");
    const struct go_flag *f = dashes == 1 || dashes == 2 ? go_flag_find(token + dashes, n) : NULL;
    if (!f)
        return false;
    struct buf text;
    buf_init(&text);
    go_flag_explain(f, dashes == 2, &text);
    err_set(a->e, ERR_USAGE, "%.*s%s: %s", (int)dashes, "--", f->name, buf_cstr(&text));
    buf_free(&text);
    return true;
}

/* |token| is "--name" or "--name=value": the name. */
static char *name_of(const char *token)
{
    token += strspn(token, "-");
    return strndup(token, strcspn(token, "="));
}

static int unknown_option(struct args *a, const char *token)
{
    if (strncmp(token, "--", 2) != 0) {
        char option[] = {'-', (char)optopt, '\0'};
        return usage(a, option, "no such option");
    }
    if (is_go_flag(a, token))
        return ERR_USAGE;
    char *name = name_of(token);
    if (!name)
        return err_set(a->e, -ENOMEM, "out of memory");
    struct nearest nearest = {.typed = name};
    for (const struct option *o = a->longs; o->name; o++)
        nearest_offer(&nearest, o->name);
    char quoted[VALUE_QUOTED_MAX];
    err_set(a->e, ERR_USAGE, "--%s: no such option%s%s%s", value_quote(name, quoted),
            nearest.name ? "; did you mean --" : "", nearest.name ? nearest.name : "",
            nearest.name ? "?" : "");
    free(name);
    return ERR_USAGE;
}

/* getopt_long takes any unambiguous beginning of a name for the name. A script that relies on that breaks
 * with the next option, so only whole names count. */
static bool is_abbreviated(const struct args *a, const char *token, int value)
{
    if (value < OWN_BASE)
        return false;
    size_t at = value >= TABLE_BASE ? a->n_own + (size_t)(value - TABLE_BASE) : (size_t)(value - OWN_BASE);
    const char *name = a->longs[at].name;
    size_t n = strlen(name);
    return strncmp(token + 2, name, n) != 0 || (token[2 + n] && token[2 + n] != '=');
}

static int take_own(struct args *a, const struct config_program_option *own, const char *text)
{
    if (own->flag)
        *own->flag = true;
    if (text) {
        struct err why = {0};
        if (own->check && own->check(text, &why)) {
            char quoted[VALUE_QUOTED_MAX];
            return err_set(a->e, ERR_USAGE, "--%s: value \"%s\" %s", own->name, value_quote(text, quoted),
                           why.text);
        }
        if (own->value)
            *own->value = text;
        if (own->is_config_file)
            a->file = text;
    }
    a->ended = own->ends;
    return 0;
}

static const struct config_program_option *own_by_short(const struct args *a, int value)
{
    const struct config_program_option *own = a->own;
    while (own->short_name != value)
        own++; /* getopt knows only short names that are in the table */
    return own;
}

/* The option that getopt_long has found for |token|. */
static int take(struct args *a, int value, const char *token)
{
    if (value == ':' || value == '?') {
        bool known = optopt >= OWN_BASE && !is_abbreviated(a, token, optopt);
        if (value == '?')
            return known ? usage(a, token, "takes no argument") : unknown_option(a, token);
        return optopt < OWN_BASE || known ? usage(a, token, "needs an argument") : unknown_option(a, token);
    }
    if (is_abbreviated(a, token, value))
        return unknown_option(a, token);
    if (value >= TABLE_BASE) {
        a->settings[a->n_settings++] = (struct setting){&config_options[value - TABLE_BASE], optarg};
        return 0;
    }
    return take_own(a, value >= OWN_BASE ? &a->own[value - OWN_BASE] : own_by_short(a, value), optarg);
}

/* Goes through |argv| without applying anything of the table: the file comes first. */
static int scan(struct args *a, int argc, char *const argv[])
{
    optind = 0; /* glibc: begin anew */
    opterr = 0;
    for (int at = 1; !a->ended; at = optind) {
        optarg = NULL;
        optopt = 0;
        /* Those with one dash come first: to getopt, -hostname is -h. */
        if (at < argc && argv[at][0] == '-' && argv[at][1] != '-' && is_go_flag(a, argv[at]))
            return ERR_USAGE;
        int value = getopt_long(argc, argv, a->shorts, a->longs, NULL);
        if (value == -1)
            break;
        int rc = take(a, value, argv[at]);
        if (rc)
            return rc;
    }
    if (!a->ended && optind < argc)
        return usage(a, argv[optind], "unexpected argument; there are only options");
    return 0;
}

/* The first use of a list option replaces what file or default say, further ones add to it. */
static int apply(struct config_builder *b, const struct setting *s, bool again, struct err *e)
{
    char origin[2 + OPTION_FLAG_MAX] = "--";
    option_flag(s->option->name, origin + 2);
    int rc;
    if (again && value_is_list(s->option)) {
        rc = value_add_items(s->option, value_field(s->option, b->config), s->text, e);
        if (rc)
            prefix_option(e, origin, s->option);
    } else {
        rc = builder_set(b, s->option, s->text, origin, e);
    }
    if (rc && rc != -ENOMEM)
        e->code = ERR_USAGE;
    return rc == 0 || rc == -ENOMEM ? rc : ERR_USAGE;
}

/* Reads the configuration |path|. A pipe is not read |again|: its bytes are gone. */
static int read_file(struct config_builder *b, const char *path, bool again, struct err *e)
{
    if (!again)
        return config_read_input(b, path, e);
    if (file_is_stream(path))
        return err_set(e, ERR_PRECONDITION,
                       "the configuration came by standard input (%s), which is read once: it stays", path);
    return config_read_file(b, path, e);
}

int config_parse_args(struct config_builder *b, const struct config_sources *from,
                      const struct config_program_option *own, size_t n_own, struct err *e)
{
    struct err unused;
    if (!e)
        e = &unused;
    struct args a = {.own = own, .n_own = n_own, .e = e};
    bool seen[CONFIG_OPTION_COUNT] = {false};
    int rc = args_init(&a, from->argc);
    if (!rc)
        rc = scan(&a, from->argc, from->argv);
    if (!a.file)
        a.file = environment_file(from->environment);
    if (!rc && !a.ended && a.file)
        rc = read_file(b, a.file, from->again, e);
    if (!rc && !a.ended)
        rc = config_parse_environment(b, from->environment, e);
    for (size_t i = 0; !rc && !a.ended && i < a.n_settings; i++) {
        bool *again = &seen[option_index(a.settings[i].option)];
        rc = apply(b, &a.settings[i], *again, e);
        if (rc)
            rc = builder_tell(b, a.settings[i].option, e);
        *again = true;
    }
    args_fini(&a);
    return rc;
}
