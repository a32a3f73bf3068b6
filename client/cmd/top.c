/* The command top: sockets as they are now, on the whole screen. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/command.h"
#include "client/show/view.h"
#include "client/top/top_draw.h"
#include "client/top/top_feed.h"
#include "client/top/top_screen.h"
#include "filter/filter.h"
#include "lib/clock.h"

#define COUNTDOWN_NS (NS_PER_S / 2) /* between two looks at the time that is left until the next attempt */

struct top {
    struct session *session;
    struct top_feed *feed;
    struct top_model model;
    struct top_view view;
    struct top_scene scene;
    int signals; /* signalfd */
    bool open;   /* the screen is ours */
    bool done;
    int code;
    char failure[ERR_TEXT_MAX * 2]; /* to be told when the terminal is restored; "": none */
};

/* ---- Signals that only a full screen cares for ---- */

static void screen_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTSTP);
    sigaddset(set, SIGCONT);
    sigaddset(set, SIGWINCH);
}

void command_top_prepare(void)
{
    sigset_t set;
    screen_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void take_signals(struct top *t)
{
    struct signalfd_siginfo info;
    while (read(t->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGTSTP)
            top_screen_suspend();
        else
            top_screen_resized();
    }
}

/* ---- Filters ---- */

/* The filter of |text|: 0 and a reference in |out| (NULL when everything passes), or an error with |e|. */
static int filter_of(const char *text, struct filter **out, struct err *e)
{
    struct filter_error fe = {0};
    int rc = filter_parse(text, out, &fe);
    if (rc != 0) {
        *e = fe.err;
        return rc;
    }
    if (filter_is_empty(*out)) {
        filter_unref(*out);
        *out = NULL;
    }
    return 0;
}

static int check_filter(const char *text, struct err *e)
{
    struct filter *f = NULL;
    int rc = filter_of(text, &f, e);
    if (rc == 0)
        filter_unref(f);
    return rc;
}

/* The words of the command line as one text. */
static int join_words(const struct option_list *words, char *out, size_t size, struct err *e)
{
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < words->n; i++) {
        size_t len = strlen(words->items[i]);
        if (n + len + 2 > size)
            return err_set(e, ERR_USAGE, "the filter is too long: %zu bytes at most", size - 1);
        if (n)
            out[n++] = ' ';
        memcpy(out + n, words->items[i], len + 1);
        n += len;
    }
    return 0;
}

static int sort_of(const char *name, enum top_sort *out, struct err *e)
{
    /* The columns that an order is about, as the screen has them. */
    static const char *const titles[TOP_SORTS][2] = {
        [TOP_SORT_THROUGHPUT] = {"SEND", "RECEIVE"},
        [TOP_SORT_RETRANS] = {"RETR/S", "RETR%"},
        [TOP_SORT_RTT] = {"RTT", "RTT"},
        [TOP_SORT_QUEUE] = {"SEND-Q", "RECV-Q"},
    };
    *out = TOP_SORT_THROUGHPUT;
    for (unsigned i = 0; name && i < TOP_SORTS; i++) {
        size_t n = strlen(name);
        if (view_is_name(top_sort_names[i], name, n) || view_is_name(titles[i][0], name, n) ||
            view_is_name(titles[i][1], name, n)) {
            *out = (enum top_sort)i;
            return 0;
        }
    }
    return name ? err_set(e, ERR_USAGE, "--sort %s: expected throughput, retrans, rtt or queue", name) : 0;
}

/* ---- Events ---- */

static void take_poll(struct top *t)
{
    struct top_poll *p = t->view.paused ? NULL : top_feed_take(t->feed);
    if (!p)
        return;
    int rc = top_model_apply(&t->model, p);
    top_feed_give_back(t->feed, p);
    if (rc != 0) {
        snprintf(t->failure, sizeof(t->failure), "out of memory");
        t->done = true;
        t->code = EXIT_FAILED;
    }
    top_model_sort(&t->model, t->view.sort);
}

static void take_news(struct top *t)
{
    top_feed_status(t->feed, &t->scene.feed);
    take_poll(t);
    if (t->scene.feed.state != TOP_FEED_FAILED)
        return;
    snprintf(t->failure, sizeof(t->failure), "%s", t->scene.feed.text);
    t->done = true;
    t->code = EXIT_FAILED;
}

static void change_filter(struct top *t)
{
    struct filter *f = NULL;
    struct err e;
    if (filter_of(t->view.filter, &f, &e) != 0)
        return; /* it was checked before: out of memory */
    top_feed_filter(t->feed, f);
    filter_unref(f);
    t->view.paused = false; /* a new filter shows its effect at once */
}

static void take_keys(struct top *t)
{
    uint32_t key;
    while (!t->done && top_screen_key(&key)) {
        switch (top_view_key(&t->view, &t->model, key)) {
        case TOP_ACTION_QUIT:
            t->done = true;
            break;
        case TOP_ACTION_FILTER:
            change_filter(t);
            break;
        case TOP_ACTION_PAUSE:
            take_poll(t);
            break;
        case TOP_ACTION_RETRY:
            top_feed_hurry(t->feed);
            break;
        case TOP_ACTION_NONE:
            break;
        }
    }
}

/* The time to wait for an event, in ns; negative: for ever. */
static int64_t patience(const struct top *t)
{
    int64_t deadline = t->session->deadline_ns, now = clock_mono_ns();
    int64_t left = t->scene.feed.state == TOP_FEED_WAITING ? COUNTDOWN_NS : -1;
    if (deadline && (left < 0 || deadline - now < left))
        left = deadline > now ? deadline - now : 0;
    return left;
}

/* Waits for a key, a signal or news of the feed, and handles it. */
static void turn(struct top *t)
{
    struct pollfd fds[] = {
        {.fd = stop_fd(t->session->stop), .events = POLLIN},
        {.fd = top_feed_fd(t->feed), .events = POLLIN},
        {.fd = t->signals, .events = POLLIN},
        {.fd = t->open ? STDIN_FILENO : -1, .events = POLLIN},
    };
    int64_t left = patience(t);
    struct timespec wait = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
    if (ppoll(fds, sizeof(fds) / sizeof(fds[0]), left < 0 ? NULL : &wait, NULL) < 0 && errno != EINTR) {
        t->done = true;
        return;
    }
    if (stop_reason(t->session->stop) != STOP_NOT ||
        (t->session->deadline_ns && clock_mono_ns() >= t->session->deadline_ns)) {
        t->done = true;
        if (!t->open) {
            snprintf(t->failure, sizeof(t->failure), "no answer from %s", t->scene.target);
            t->code = EXIT_FAILED;
        }
        return;
    }
    if (fds[1].revents)
        take_news(t);
    if (fds[2].revents)
        take_signals(t);
    if (fds[3].revents & POLLIN)
        take_keys(t);
    else if (fds[3].revents)
        t->done = true; /* the terminal has gone */
}

static void run(struct top *t, bool colours)
{
    struct err e = {0};
    while (!t->done) {
        turn(t);
        /* Nothing is drawn before a daemon has answered: if none does, an error on the next line is enough. */
        if (!t->done && !t->open && t->scene.feed.ever) {
            if (top_screen_open(colours, &e) != 0) {
                snprintf(t->failure, sizeof(t->failure), "%s", e.text);
                t->code = EXIT_FAILED;
                return;
            }
            t->open = true;
            stop_last(t->session->stop, top_screen_abandon);
        }
        if (!t->done && t->open)
            top_draw(&t->scene);
    }
}

static int start(struct top *t, struct err *e)
{
    const struct options *o = t->session->options;
    struct top_feed_options feed = {.client = o, .every_ns = o->every_ns};
    char filter[TOP_FILTER_MAX];
    enum top_sort sort;
    sigset_t set;

    int rc = sort_of(o->sort, &sort, e);
    if (rc == 0)
        rc = join_words(&o->arguments, filter, sizeof(filter), e);
    if (rc == 0)
        rc = filter_of(filter, &feed.filter, e);
    if (rc == 0)
        rc = top_screen_check(e);
    if (rc != 0) {
        t->code = EXIT_USAGE;
    } else {
        top_view_init(&t->view, sort, filter);
        t->view.check = check_filter;
        screen_signals(&set);
        t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        rc = t->signals < 0 ? -errno : top_feed_new(&feed, &t->feed);
        if (rc != 0)
            err_set(e, rc, "cannot start: %s", err_name(rc));
    }
    filter_unref(feed.filter);
    return rc;
}

int command_top(struct session *s)
{
    struct top t = {.session = s, .signals = -1, .code = EXIT_FAILED};
    const char *no_color = getenv("NO_COLOR");
    struct err e = {0};

    top_model_init(&t.model);
    t.scene = (struct top_scene){
        .model = &t.model, .view = &t.view, .target = s->options->target, .every_ns = s->options->every_ns};
    if (start(&t, &e) == 0) {
        t.code = EXIT_DONE;
        run(&t, !s->options->no_color && !(no_color && *no_color));
    } else {
        snprintf(t.failure, sizeof(t.failure), "%s", e.text);
    }
    /* The terminal first: ending the feed may take a moment, and a second signal ends the process. */
    if (t.open)
        top_screen_close();
    stop_last(s->stop, NULL);
    if (t.failure[0])
        output_note(s->out, "%s", t.failure);
    top_feed_free(t.feed);
    top_model_free(&t.model);
    if (t.signals >= 0)
        close(t.signals);
    return t.code;
}
