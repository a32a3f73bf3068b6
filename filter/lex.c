#include "filter/lex.h"

#include <string.h>

#include "lib/ascii.h"
#include "lib/utf8.h"

static const struct {
    const char *text;
    enum token_kind kind;
    enum compare compare;
} symbols[] = {
    /* the longer of two that begin alike comes first */
    {"&&", TOKEN_AND, 0},      {"&", TOKEN_AND, 0},      {"||", TOKEN_OR, 0},       {"|", TOKEN_OR, 0},
    {"==", TOKEN_COMPARE, EQ}, {"=", TOKEN_COMPARE, EQ}, {"!=", TOKEN_COMPARE, NE}, {"!", TOKEN_NOT, 0},
    {"<=", TOKEN_COMPARE, LE}, {"<", TOKEN_COMPARE, LT}, {">=", TOKEN_COMPARE, GE}, {">", TOKEN_COMPARE, GT},
    {"(", TOKEN_OPEN, 0},      {")", TOKEN_CLOSE, 0},
};

static const struct {
    const char *name;
    enum compare compare;
} compare_words[] = {
    {"eq", EQ}, {"ne", NE},  {"neq", NE}, {"gt", GT},  {"lt", LT},
    {"ge", GE}, {"geq", GE}, {"le", LE},  {"leq", LE},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SPACE    " \t\r\n"

/* Characters that end a word, beside control characters and bytes that are no UTF-8. */
#define STOPS SPACE "()!&|=<>\""

/* Whether |text| has "[!" up to |n|: in a pattern, not an operator. */
static bool begins_negated_set(const char *text, size_t n)
{
    return text[n] == '!' && n > 0 && text[n - 1] == '[';
}

static size_t word_length(const char *text)
{
    size_t n = 0;
    while (text[n] && (!strchr(STOPS, text[n]) || begins_negated_set(text, n))) {
        size_t left = strnlen(text + n, 4);
        size_t len = utf8_length(text + n, left);
        if (len == 0 || utf8_is_control(text + n, len))
            break;
        n += len;
    }
    return n;
}

static struct token quoted(const char *text)
{
    struct token t = {.kind = TOKEN_QUOTED, .at = text + 1};
    const char *end = text + 1;
    while (*end && *end != '"') {
        size_t len = utf8_length(end, strnlen(end, 4));
        if (len == 0 || utf8_is_control(end, len))
            return (struct token){.kind = TOKEN_BAD, .at = end, .wrong = "a character that is not text"};
        if (*end == '\\' && (end[1] == '"' || end[1] == '\\'))
            end++;
        end += *end == '"' || *end == '\\' ? 1 : len;
    }
    if (!*end)
        return (struct token){.kind = TOKEN_BAD, .at = text, .wrong = "a quote that is not closed"};
    t.len = (size_t)(end - t.at);
    return t;
}

struct token lex_next(const char *text)
{
    text += strspn(text, SPACE);
    if (!*text)
        return (struct token){.kind = TOKEN_END, .at = text};
    for (size_t i = 0; i < COUNT(symbols); i++) {
        size_t n = strlen(symbols[i].text);
        if (strncmp(text, symbols[i].text, n) == 0)
            return (struct token){
                .kind = symbols[i].kind, .at = text, .len = n, .compare = symbols[i].compare};
    }
    if (*text == '"')
        return quoted(text);
    size_t n = word_length(text);
    if (n == 0)
        return (struct token){.kind = TOKEN_BAD, .at = text, .wrong = "a character that is not text"};
    return (struct token){.kind = TOKEN_WORD, .at = text, .len = n};
}

bool lex_is(const struct token *t, const char *name)
{
    if (t->kind != TOKEN_WORD || strlen(name) != t->len)
        return false;
    for (size_t i = 0; i < t->len; i++) {
        if (ascii_fold_name(t->at[i]) != name[i])
            return false;
    }
    return true;
}

int lex_compare(const struct token *t)
{
    for (size_t i = 0; i < COUNT(compare_words); i++) {
        if (lex_is(t, compare_words[i].name))
            return compare_words[i].compare;
    }
    return -1;
}

size_t lex_column(const char *text, const char *at)
{
    size_t column = 1;
    for (; text < at; text++)
        column += !utf8_goes_on(*text);
    return column;
}
