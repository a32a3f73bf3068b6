/* The commands of the program, their help, and how one is run. */
#ifndef XTCP_CLIENT_COMMAND_H
#define XTCP_CLIENT_COMMAND_H

#include <stddef.h>

#include "client/options.h"
#include "client/session.h"
#include "lib/buf.h"

#define FORMAT_BIT(format) (1u << (format))

/* How many positional arguments a command takes: one, unless a bit says otherwise. */
enum {
    ARGUMENTS_OPTIONAL = 1 << 0,                            /* or none */
    ARGUMENTS_MANY = 1 << 1,                                /* or more */
    ARGUMENTS_FILTER = ARGUMENTS_OPTIONAL | ARGUMENTS_MANY, /* words that make a filter, as ss has it */
};

struct fleet;

/* One command. */
struct command {
    const char *name;
    const char *argument;             /* name of its positional argument; NULL: it takes none */
    unsigned arguments;               /* ARGUMENTS_… */
    const char *usage;                /* the words behind the name: "[--count N] [--polls N]" */
    const char *summary;              /* one line, no full stop */
    const char *help;                 /* more lines, NULL: none */
    const char *example;              /* a command line that works */
    const struct option_def *options; /* its own ones, ending with a NULL name; behind the command they come
                                         before global ones of the same name; NULL: none */
    unsigned formats;      /* FORMAT_BIT of each --output that it has; 0: none, it prints as it likes */
    bool table;            /* its format is table also where standard output is no terminal */
    bool single;           /* for one target only */
    bool reads_file;       /* its argument is a file, "-" standard input */
    void (*prepare)(void); /* called before any thread is started; NULL: not needed */
    int (*run)(
        struct session *s); /* for one target; returns an exit code; NULL: |run_fleet| serves that, too */
    int (*run_fleet)(struct fleet *f); /* for several targets; NULL: |run| is called for each */
    int (*run_here)(const struct options *o, struct output *out); /* needs no daemon; NULL: it does */
};

extern const struct command commands[];
extern const size_t n_commands;

/* Sets the default format when none was asked for: table on a terminal, else jsonl, if |c| has formats at
 * all. Binary formats are refused on a terminal. Returns 0 or ERR_USAGE with |e|. */
int command_format(const struct command *c, bool terminal, struct options *o, struct err *e);

/* Append the help of the program, of one command. */
void command_help_all(struct buf *out);
void command_help(const struct command *c, struct buf *out);

/* The commands, each in the file of its subject. */
int command_get(struct session *s);
int command_apply(struct session *s);
int command_frequency(struct session *s);
int command_trigger(struct session *s);
int command_burst(struct session *s);
int command_namespaces(struct session *s);
int command_outputs(struct session *s);
int command_status(struct session *s);
int command_health(struct session *s);
int command_set(struct session *s);
int command_reset(struct session *s);
int command_edit(struct session *s);
int command_changes(struct session *s);
int command_completion(const struct options *o, struct output *out);
int command_top(struct session *s);
int command_watch(struct session *s);
void command_top_prepare(void);

/* The words that can follow outputs, before the name of one; NULL behind the last. */
extern const char *const command_outputs_actions[];

/* The same for one target and for several at once. */
int command_stream(struct fleet *f);
int command_poll(struct fleet *f);
int command_snapshot(struct fleet *f);
int command_join(struct fleet *f);

#endif
