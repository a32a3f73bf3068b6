#include "client/top/top_screen.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "client/show/terminal_text.h"
#include "client/top/top_view.h"
#include "lib/buf.h"

/* Last: they define names like `lines` and `columns` as macros. */
#include <curses.h>
#include <term.h>

#define SIZE_MAX_SHOWN 1000 /* columns and lines: nothing is drawn beyond */

static struct {
    SCREEN *screen;
    struct termios before;
    char farewell[64]; /* sent to the terminal by top_screen_abandon */
    attr_t attributes[TOP_STYLES];
    short pairs[TOP_STYLES];
    bool cursor;
} terminal;

static const struct {
    attr_t plain;  /* without colours */
    attr_t colour; /* beside the colour */
    short foreground;
    short background;
} styles[TOP_STYLES] = {
    [TOP_STYLE_PLAIN] = {A_NORMAL, A_NORMAL, -1, -1},
    [TOP_STYLE_DIM] = {A_NORMAL, A_DIM, -1, -1},
    [TOP_STYLE_BOLD] = {A_BOLD, A_BOLD, -1, -1},
    [TOP_STYLE_TITLES] = {A_REVERSE, A_NORMAL, COLOR_BLACK, COLOR_GREEN},
    [TOP_STYLE_SORTED] = {A_REVERSE | A_BOLD, A_BOLD, COLOR_BLACK, COLOR_CYAN},
    [TOP_STYLE_CURSOR] = {A_REVERSE, A_REVERSE, -1, -1},
    [TOP_STYLE_GOOD] = {A_NORMAL, A_NORMAL, COLOR_GREEN, -1},
    [TOP_STYLE_WARN] = {A_BOLD, A_BOLD, COLOR_YELLOW, -1},
    [TOP_STYLE_BAD] = {A_BOLD, A_BOLD, COLOR_RED, -1},
};

static void choose_styles(bool colours)
{
    bool has = colours && has_colors() && start_color() == OK && use_default_colors() == OK;
    for (int i = 0; i < TOP_STYLES; i++) {
        bool paint = has && (styles[i].foreground >= 0 || styles[i].background >= 0);
        terminal.attributes[i] = has ? styles[i].colour : styles[i].plain;
        terminal.pairs[i] = 0;
        if (paint && init_pair((short)(i + 1), styles[i].foreground, styles[i].background) == OK)
            terminal.pairs[i] = (short)(i + 1);
    }
}

/* Whether terminfo knows how to move the cursor there: without it there is no full screen. */
static bool can_move(void)
{
    const char *how = tigetstr("cup");
    return how && how != (const char *)-1 && *how;
}

int top_screen_check(struct err *e)
{
    const char *term = getenv("TERM");
    int status;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return err_set(e, ERR_USAGE,
                       "top needs a terminal to show things and to read keys; for files and pipes there are "
                       "`snapshot` (once) and `stream`");
    bool can = term && setupterm(term, STDOUT_FILENO, &status) == OK && can_move();
    if (cur_term)
        del_curterm(cur_term); /* newterm makes its own */
    if (!can)
        return err_set(
            e, ERR_USAGE,
            "top cannot use a terminal of the kind TERM=%s; `snapshot` and `stream` can do without",
            term ? term : "");
    return 0;
}

/* Appends what terminfo has for |name| to the farewell, if it fits. */
static void add_farewell(const char *name)
{
    const char *text = tigetstr(name);
    size_t n = strlen(terminal.farewell);
    if (text && text != (const char *)-1 && n + strlen(text) < sizeof(terminal.farewell))
        memcpy(terminal.farewell + n, text, strlen(text) + 1);
}

int top_screen_open(bool colours, struct err *e)
{
    int rc = top_screen_check(e);
    if (rc != 0)
        return rc;
    if (tcgetattr(STDIN_FILENO, &terminal.before) == 0)
        terminal.screen = newterm(NULL, stdout, stdin);
    if (!terminal.screen)
        return err_set(e, ERR_USAGE, "top cannot use this terminal; `snapshot` and `stream` can do without");
    set_term(terminal.screen);
    terminal.farewell[0] = 0;
    add_farewell("sgr0");
    add_farewell("cnorm");
    add_farewell("rmcup");
    set_escdelay(25);
    cbreak();
    noecho();
    nonl();
    intrflush(stdscr, FALSE);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    curs_set(0);
    choose_styles(colours);
    return 0;
}

void top_screen_close(void)
{
    if (!terminal.screen)
        return;
    curs_set(1);
    endwin();
    delscreen(terminal.screen);
    terminal.screen = NULL;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.before);
}

void top_screen_abandon(void)
{
    ssize_t n = write(STDOUT_FILENO, terminal.farewell, strlen(terminal.farewell));
    (void)n; /* nobody is left to be told */
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
}

void top_screen_resized(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
        resizeterm(size.ws_row, size.ws_col);
    clearok(curscr, TRUE);
}

void top_screen_suspend(void)
{
    sigset_t set, old;
    struct sigaction action = {.sa_handler = SIG_DFL}, before;

    curs_set(1);
    endwin();
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.before);
    /* The signal itself, not SIGSTOP: an orphaned group, which nobody could continue, does not stop. */
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    sigaction(SIGTSTP, &action, &before);
    pthread_sigmask(SIG_UNBLOCK, &set, &old);
    raise(SIGTSTP);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    sigaction(SIGTSTP, &before, NULL);
    reset_prog_mode();
    curs_set(0);
    top_screen_resized();
}

size_t top_screen_width(void)
{
    int n = getmaxx(stdscr);
    return n < 0 ? 0 : n > SIZE_MAX_SHOWN ? SIZE_MAX_SHOWN : (size_t)n;
}

size_t top_screen_height(void)
{
    int n = getmaxy(stdscr);
    return n < 0 ? 0 : n > SIZE_MAX_SHOWN ? SIZE_MAX_SHOWN : (size_t)n;
}

bool top_screen_key(uint32_t *key)
{
    static const struct {
        wint_t curses;
        uint32_t ours;
    } keys[] = {
        {KEY_UP, TOP_KEY_UP},         {KEY_DOWN, TOP_KEY_DOWN},
        {KEY_LEFT, TOP_KEY_LEFT},     {KEY_RIGHT, TOP_KEY_RIGHT},
        {KEY_PPAGE, TOP_KEY_PAGE_UP}, {KEY_NPAGE, TOP_KEY_PAGE_DOWN},
        {KEY_HOME, TOP_KEY_HOME},     {KEY_END, TOP_KEY_END},
        {KEY_ENTER, TOP_KEY_ENTER},   {KEY_BACKSPACE, TOP_KEY_BACKSPACE},
        {KEY_DC, TOP_KEY_DELETE},
    };
    wint_t got;
    int rc = get_wch(&got);
    if (rc == ERR)
        return false;
    *key = TOP_KEY_OTHER;
    if (rc == KEY_CODE_YES) {
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            if (keys[i].curses == got)
                *key = keys[i].ours;
    } else if (got == '\r' || got == '\n') {
        *key = TOP_KEY_ENTER;
    } else if (got == '\b' || got == 0x7f) {
        *key = TOP_KEY_BACKSPACE;
    } else if (got <= 0x10ffff) {
        *key = got;
    }
    return true;
}

void top_screen_begin(void)
{
    erase();
    terminal.cursor = false;
}

void top_screen_end(void)
{
    curs_set(terminal.cursor ? 1 : 0);
    refresh();
}

size_t top_screen_put(size_t y, size_t x, size_t width, enum top_style style, const char *text)
{
    char storage[4 * SIZE_MAX_SHOWN + 1];
    struct buf clean;
    if (y >= top_screen_height() || x >= top_screen_width())
        return 0;
    if (width > top_screen_width() - x)
        width = top_screen_width() - x;
    buf_init_fixed(&clean, storage, sizeof(storage) - 1);
    size_t used = text_clean(&clean, text, strlen(text), width);
    storage[clean.len] = 0;
    attr_set(terminal.attributes[style], terminal.pairs[style], NULL);
    mvaddstr((int)y, (int)x, storage);
    attr_set(A_NORMAL, 0, NULL);
    return used;
}

void top_screen_fill(size_t y, size_t x, size_t width, enum top_style style)
{
    if (y >= top_screen_height() || x >= top_screen_width())
        return;
    if (width > top_screen_width() - x)
        width = top_screen_width() - x;
    attr_set(terminal.attributes[style], terminal.pairs[style], NULL);
    for (size_t i = 0; i < width; i++)
        mvaddch((int)y, (int)(x + i), ' ');
    attr_set(A_NORMAL, 0, NULL);
}

void top_screen_put_right(size_t y, size_t x, size_t width, enum top_style style, const char *text)
{
    struct buf clean;
    buf_init(&clean);
    size_t used = text_clean(&clean, text, strlen(text), width);
    buf_free(&clean);
    top_screen_put(y, x + (width - used), used, style, text);
}

void top_screen_cursor(size_t y, size_t x)
{
    if (y >= top_screen_height() || x >= top_screen_width())
        return;
    move((int)y, (int)x);
    terminal.cursor = true;
}
