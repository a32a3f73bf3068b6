/* The command completion: the words that a shell offers, made from the tables of commands and options. */
#include <stdio.h>
#include <string.h>

#include "client/command.h"
#include "client/show/socket_table.h"
#include "filter/filter.h"
#include "record/fields.h"

#define PROGRAM "xtcp2client"

/* The kinds of words behind an option or as an argument. */
enum values {
    VALUES_NONE,
    VALUES_FORMATS,
    VALUES_COLUMNS,
    VALUES_FILES,
    VALUES_SHELLS,
    VALUES_ACTIONS,
    VALUES_OTHER
};

static enum values values_called(const char *name)
{
    static const struct {
        const char *name;
        enum values values;
    } kinds[] = {{"FORMAT", VALUES_FORMATS},
                 {"A,B", VALUES_COLUMNS},
                 {"FILE", VALUES_FILES},
                 {"SHELL", VALUES_SHELLS},
                 {"ACTION", VALUES_ACTIONS}};
    if (!name)
        return VALUES_NONE;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].values;
    return VALUES_OTHER;
}

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

/* The words that an argument of that kind can be; NULL: they are not few words. */
static const char *const *words_of(enum values values)
{
    return values == VALUES_SHELLS ? shells : values == VALUES_ACTIONS ? command_outputs_actions : NULL;
}

/* ---- Words ---- */

static void put_words(struct buf *out, const char *const *words)
{
    for (size_t i = 0; words[i]; i++)
        buf_printf(out, "%s%s", i ? " " : "", words[i]);
}

static void put_command_names(struct buf *out)
{
    for (size_t i = 0; i < n_commands; i++)
        buf_printf(out, "%s%s", i ? " " : "", commands[i].name);
}

/* All formats, or those of |c|. */
static void put_formats(struct buf *out, const struct command *c)
{
    const char *gap = "";
    for (enum output_format f = OUTPUT_TABLE; f < OUTPUT_COUNT; f++) {
        if (c && !(c->formats & FORMAT_BIT(f)))
            continue;
        buf_printf(out, "%s%s", gap, output_format_name(f));
        gap = " ";
    }
}

/* The columns of tables, then the short names of all fields. */
static void put_columns(struct buf *out)
{
    for (size_t i = 0; i < n_socket_table_columns; i++)
        buf_printf(out, "%s%s", i ? " " : "", socket_table_columns[i].name);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const char *alias = filter_field_alias(&record_fields[i], 0);
        const char *name = alias ? alias : record_fields[i].name;
        bool known = false;
        for (size_t k = 0; k < n_socket_table_columns; k++)
            known = known || strcmp(socket_table_columns[k].name, name) == 0;
        if (!known)
            buf_printf(out, " %s", name);
    }
}

/* "-t --target", with |gap| between them. */
static void put_option(struct buf *out, const struct option_def *d, const char *prefix, const char *gap)
{
    if (d->letter)
        buf_printf(out, "%s-%c%s", prefix, d->letter, gap);
    buf_printf(out, "%s--%s", prefix, d->name);
}

static void put_options(struct buf *out, const struct option_def *defs)
{
    for (const struct option_def *d = defs; d && d->name; d++) {
        put_option(out, d, "", " ");
        if (d[1].name)
            buf_char(out, ' ');
    }
}

/* ---- bash ---- */

static const char *const bash_actions[] = {
    [VALUES_FORMATS] = "_" PROGRAM "_words \"$formats\"",
    [VALUES_COLUMNS] = "_" PROGRAM "_list \"$columns\"",
    [VALUES_FILES] = "_" PROGRAM "_files",
    [VALUES_OTHER] = ":",
};

static void bash_action(struct buf *out, enum values values)
{
    const char *const *words = words_of(values);
    if (!words) {
        buf_str(out, bash_actions[values]);
        return;
    }
    buf_str(out, "_" PROGRAM "_words \"");
    put_words(out, words);
    buf_char(out, '"');
}

/* Whether |letter| before a command is an option with a value. */
static bool is_global_with_value(char letter)
{
    for (const struct option_def *d = options_global; d->name; d++)
        if (d->letter == letter && letter && d->value)
            return true;
    return false;
}

/* A branch of a case for each option of |defs| with a value, behind the command |name| (*: any). */
static void bash_values(struct buf *out, const char *name, const struct option_def *defs)
{
    for (const struct option_def *d = defs; d && d->name; d++) {
        enum values values = values_called(d->value);
        char prefix[64];
        if (values == VALUES_NONE && is_global_with_value(d->letter))
            buf_printf(out, "    %s/-%c) ;;\n", name, d->letter); /* a flag here */
        if (values == VALUES_NONE)
            continue;
        snprintf(prefix, sizeof(prefix), "%s/", name);
        buf_str(out, "    ");
        put_option(out, d, prefix, "|");
        buf_str(out, ") ");
        bash_action(out, values);
        buf_str(out, "; return ;;\n");
    }
}

static const char bash_head[] =
    "# Completion of " PROGRAM " for bash: source <(" PROGRAM " completion bash)\n"
    "_" PROGRAM "_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\"); }\n"
    "_" PROGRAM
    "_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); }\n"
    "# Names with commas between them, each perhaps with a direction in front.\n"
    "_" PROGRAM "_list() {\n"
    "    local before=${cur%\"${cur##*,}\"} name=${cur##*,} sign=\n"
    "    case $name in -*|+*) sign=${name:0:1}; name=${name:1} ;; esac\n"
    "    compopt -o nospace 2>/dev/null\n"
    "    mapfile -t COMPREPLY < <(compgen -P \"$before$sign\" -W \"$1\" -- \"$name\")\n"
    "}\n"
    "_" PROGRAM "() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i\n"
    "    local formats columns\n"
    "    # --name=value comes as three words.\n"
    "    [ \"$cur\" = = ] && cur=\n"
    "    [ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n";

static void bash_formats(struct buf *out)
{
    buf_str(out, "    case $command in\n");
    for (size_t i = 0; i < n_commands; i++) {
        if (!commands[i].formats)
            continue;
        buf_printf(out, "    %s) formats=\"", commands[i].name);
        put_formats(out, &commands[i]);
        buf_str(out, "\" ;;\n");
    }
    buf_str(out, "    *) formats=\"");
    put_formats(out, NULL);
    buf_str(out, "\" ;;\n    esac\n    columns=\"");
    put_columns(out);
    buf_str(out, "\"\n");
}

/* The words that are offered where no value of an option is due. */
static void bash_words(struct buf *out)
{
    buf_str(out, "    case $command/$cur in\n");
    for (size_t i = 0; i < n_commands; i++) {
        buf_printf(out, "    %s/-*) _" PROGRAM "_words \"", commands[i].name);
        put_options(out, commands[i].options);
        buf_str(out, " $global\" ;;\n");
        enum values values = values_called(commands[i].argument);
        if (values != VALUES_FILES && !words_of(values))
            continue;
        buf_printf(out, "    %s/*) ", commands[i].name);
        bash_action(out, values);
        buf_str(out, " ;;\n");
    }
    buf_str(out, "    /-*) _" PROGRAM "_words \"$global\" ;;\n    /*) _" PROGRAM "_words \"");
    put_command_names(out);
    buf_str(out, " help\" ;;\n    esac\n");
}

static void put_bash(struct buf *out)
{
    buf_str(out, bash_head);
    buf_str(out, "        =) ;;\n        ");
    const char *gap = "";
    for (const struct option_def *d = options_global; d->name; d++) {
        if (!d->value)
            continue;
        buf_str(out, gap);
        put_option(out, d, "", "|");
        gap = "|";
    }
    buf_str(out, ") [ \"${COMP_WORDS[i+1]}\" = = ] && ((i++)); ((i++)) ;;\n"
                 "        -*) ;;\n"
                 "        help) ;;\n"
                 "        *) command=${COMP_WORDS[i]}; break ;;\n"
                 "        esac\n"
                 "    done\n"
                 "    local global=\"");
    put_options(out, options_global);
    buf_str(out, "\"\n");
    bash_formats(out);
    buf_str(out, "    case $command/$prev in\n");
    for (size_t i = 0; i < n_commands; i++)
        bash_values(out, commands[i].name, commands[i].options);
    bash_values(out, "*", options_global);
    buf_str(out, "    esac\n");
    bash_words(out);
    buf_str(out, "}\ncomplete -F _" PROGRAM " " PROGRAM "\n");
}

/* ---- zsh ---- */

/* |text| inside of '…', where |special| characters need a backslash. */
static void put_quoted(struct buf *out, const char *text, const char *special)
{
    for (; *text; text++) {
        if (*text == '\'')
            buf_str(out, "'\\''");
        else if (strchr(special, *text))
            buf_printf(out, "\\%c", *text);
        else
            buf_char(out, *text);
    }
}

#define ZSH_SPECIAL "[]:\\"

static void zsh_action(struct buf *out, enum values values, const struct command *c)
{
    switch (values) {
    case VALUES_FORMATS:
        buf_str(out, "(");
        put_formats(out, c);
        buf_str(out, ")");
        break;
    case VALUES_COLUMNS:
        buf_str(out, "_sequence compadd - $columns");
        break;
    case VALUES_FILES:
        buf_str(out, "_files");
        break;
    case VALUES_SHELLS:
    case VALUES_ACTIONS:
        buf_str(out, "(");
        put_words(out, words_of(values));
        buf_str(out, ")");
        break;
    case VALUES_NONE:
    case VALUES_OTHER:
        buf_str(out, " ");
        break;
    }
}

/* '*--target=[text]:TARGET:action' */
static void zsh_option(struct buf *out, const struct option_def *d, const char *name, const struct command *c)
{
    buf_printf(out, " '%s%s%s[", d->kind == OPTION_LIST ? "*" : "", name,
               !d->value        ? ""
               : name[1] == '-' ? "="
                                : "+");
    put_quoted(out, d->help, ZSH_SPECIAL);
    buf_char(out, ']');
    if (d->value) {
        buf_char(out, ':');
        put_quoted(out, d->value, ZSH_SPECIAL);
        buf_char(out, ':');
        zsh_action(out, values_called(d->value), c);
    }
    buf_char(out, '\'');
}

static void zsh_options(struct buf *out, const struct option_def *defs, const struct command *c)
{
    for (const struct option_def *d = defs; d && d->name; d++) {
        char name[64];
        snprintf(name, sizeof(name), "--%s", d->name);
        zsh_option(out, d, name, c);
        if (!d->letter)
            continue;
        snprintf(name, sizeof(name), "-%c", d->letter);
        zsh_option(out, d, name, c);
    }
}

static void put_zsh(struct buf *out)
{
    buf_str(out, "#compdef " PROGRAM "\n"
                 "# Completion of " PROGRAM " for zsh: source <(" PROGRAM " completion zsh)\n"
                 "_" PROGRAM "() {\n"
                 "    local curcontext=$curcontext state line\n"
                 "    local -a names columns\n"
                 "    columns=(");
    put_columns(out);
    buf_str(out, ")\n    names=(\n");
    for (size_t i = 0; i < n_commands; i++) {
        buf_printf(out, "        '%s:", commands[i].name);
        put_quoted(out, commands[i].summary, ":\\");
        buf_str(out, "'\n");
    }
    buf_str(out, "    )\n    _arguments -C");
    zsh_options(out, options_global, NULL);
    buf_str(out, " '1:command:->command' '*::argument:->argument' && return\n"
                 "    case $state in\n"
                 "    command) _describe command names ;;\n"
                 "    argument)\n"
                 "        case $words[1] in\n");
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        buf_printf(out, "        %s) _arguments", c->name);
        zsh_options(out, c->options, c);
        if (c->argument) {
            buf_str(out, " '*:");
            put_quoted(out, c->argument, ZSH_SPECIAL);
            buf_char(out, ':');
            zsh_action(out, values_called(c->argument), c);
            buf_char(out, '\'');
        }
        buf_str(out, " ;;\n");
    }
    buf_str(out, "        esac ;;\n    esac\n}\n"
                 "if [ \"$funcstack[1]\" = _" PROGRAM " ]; then _" PROGRAM " \"$@\"; else compdef _" PROGRAM
                 " " PROGRAM "; fi\n");
}

/* ---- fish ---- */

/* The option of |c| with the letter or the name of |global|, or NULL. */
static const struct option_def *own_option(const struct command *c, const struct option_def *global)
{
    for (const struct option_def *d = c->options; d && d->name; d++) {
        if ((global->letter && d->letter == global->letter) || strcmp(d->name, global->name) == 0)
            return d;
    }
    return NULL;
}

/* When the option |d| is offered: behind the command |c|, or (NULL) anywhere but behind commands that have
 * another one of that letter or name. */
static void fish_condition(struct buf *out, const struct option_def *d, const struct command *c)
{
    bool any = false;
    buf_str(out, " -n '");
    if (c)
        buf_printf(out, "__fish_seen_subcommand_from %s", c->name);
    for (size_t i = 0; !c && i < n_commands; i++) {
        if (own_option(&commands[i], d)) {
            buf_printf(out, "%s %s", any ? "" : "not __fish_seen_subcommand_from", commands[i].name);
            any = true;
        }
    }
    buf_str(out, !c && !any ? "true'" : "'");
}

static void fish_option(struct buf *out, const struct option_def *d, const struct command *c)
{
    buf_str(out, "complete -c " PROGRAM);
    fish_condition(out, d, c);
    if (d->letter)
        buf_printf(out, " -s %c", d->letter);
    buf_printf(out, " -l %s", d->name);
    switch (values_called(d->value)) {
    case VALUES_NONE:
        break;
    case VALUES_FORMATS:
        buf_str(out, " -x -a '");
        put_formats(out, NULL);
        buf_char(out, '\'');
        break;
    case VALUES_COLUMNS:
        buf_str(out, " -x -a '(__fish_append , $" PROGRAM "_columns)'");
        break;
    case VALUES_FILES:
        buf_str(out, " -r -F");
        break;
    default:
        buf_str(out, " -x");
    }
    buf_str(out, " -d '");
    put_quoted(out, d->help, "\\");
    buf_str(out, "'\n");
}

/* The options of all commands of which |c| takes only the name, since the letter belongs to another
 * option. */
static void fish_names(struct buf *out, const struct command *c)
{
    for (const struct option_def *d = options_global; d->name; d++) {
        const struct option_def *own = own_option(c, d);
        struct option_def name = *d;
        name.letter = 0;
        if (own && strcmp(own->name, d->name) != 0)
            fish_option(out, &name, c);
    }
}

static void put_fish(struct buf *out)
{
    buf_str(out, "# Completion of " PROGRAM " for fish: " PROGRAM " completion fish | source\n"
                 "set -g " PROGRAM "_columns ");
    put_columns(out);
    buf_str(out, "\ncomplete -c " PROGRAM " -f\n");
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        buf_printf(out, "complete -c " PROGRAM " -n __fish_use_subcommand -a %s -d '", c->name);
        put_quoted(out, c->summary, "\\");
        buf_str(out, "'\n");
        for (const struct option_def *d = c->options; d && d->name; d++)
            fish_option(out, d, c);
        fish_names(out, c);
        enum values values = values_called(c->argument);
        if (values == VALUES_FILES)
            buf_printf(out, "complete -c " PROGRAM " -n '__fish_seen_subcommand_from %s' -F\n", c->name);
        if (words_of(values)) {
            buf_printf(out, "complete -c " PROGRAM " -n '__fish_seen_subcommand_from %s' -a '", c->name);
            put_words(out, words_of(values));
            buf_str(out, "'\n");
        }
    }
    for (const struct option_def *d = options_global; d->name; d++)
        fish_option(out, d, NULL);
}

int command_completion(const struct options *o, struct output *out)
{
    static void (*const writers[])(struct buf * out) = {put_bash, put_zsh, put_fish};
    for (size_t i = 0; shells[i]; i++) {
        if (strcmp(shells[i], o->argument) == 0) {
            writers[i](&out->data);
            return EXIT_DONE;
        }
    }
    output_note(out, "completion %s: expected bash, zsh or fish", o->argument);
    return EXIT_USAGE;
}
