/* URLs: what is read, what is refused and how that is told, and what people may see of them. */
#include "lib_test.h"

#include "lib/url.h"
#include "lib/utf8.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
char *__wrap_strndup(const char *text, size_t n);

static long until_failure = -1; /* allocations that still succeed; -1: all */

static bool fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

char *__wrap_strndup(const char *text, size_t n)
{
    return fails() ? NULL : __real_strndup(text, n);
}

static void add_part(struct buf *b, const char *name, const char *text)
{
    if (text && *text)
        buf_printf(b, " %s=%s", name, text);
    else if (text && (strcmp(name, "user") == 0 || strcmp(name, "password") == 0))
        buf_printf(b, " %s is empty", name);
}

/* |u| on one line, parts that are not there left out. */
static const char *describe(const struct url *u, struct buf *b)
{
    buf_reset(b);
    buf_str(b, u->scheme);
    add_part(b, "user", u->user);
    add_part(b, "password", u->password);
    for (size_t i = 0; i < u->n_hosts; i++) {
        buf_printf(b, " host=%s", u->hosts[i].name);
        if (u->hosts[i].port)
            buf_printf(b, " port=%u", u->hosts[i].port);
    }
    add_part(b, "path", u->path);
    add_part(b, "query", u->query);
    return buf_cstr(b);
}

static const struct {
    const char *text;
    enum url_kind kind;
    const char *parts;
} good[] = {
    {"null", URL_BARE, "null"},
    {"null:", URL_BARE, "null"},
    {"stdout", URL_BARE, "stdout"},
    {"STDERR:", URL_BARE, "stderr"},

    {"file:/var/x", URL_PATH, "file path=/var/x"},
    {"file:///var/x", URL_PATH, "file path=/var/x"},
    {"file:////var/x", URL_PATH, "file path=//var/x"},
    {"unix:/run/x.sock", URL_PATH, "unix path=/run/x.sock"},
    {"file:/a b/%41?b=c#d@e:f", URL_PATH, "file path=/a b/%41?b=c#d@e:f"},
    {"file:/gr\xc3\xbc\xc3\x9f\x65", URL_PATH, "file path=/gr\xc3\xbc\xc3\x9f\x65"},

    {"tcp:host:9000", URL_NET, "tcp host=host port=9000"},
    {"tcp:host", URL_NET, "tcp host=host"},
    {"tcp:host:1", URL_NET, "tcp host=host port=1"},
    {"tcp:host:65535", URL_NET, "tcp host=host port=65535"},
    {"tcp:127.0.0.1:9000", URL_NET, "tcp host=127.0.0.1 port=9000"},
    {"tcp:a_b-c.example.:9000", URL_NET, "tcp host=a_b-c.example. port=9000"},
    {"tcp://[::1]:9000", URL_NET, "tcp host=::1 port=9000"},
    {"tcp:[::1]", URL_NET, "tcp host=::1"},
    {"tcp:[::ffff:1.2.3.4]:5", URL_NET, "tcp host=::ffff:1.2.3.4 port=5"},
    {"tcp:[fe80::1%eth0.7]:5", URL_NET, "tcp host=fe80::1%eth0.7 port=5"},
    {"tcp:[fe80::1%25eth0]:5", URL_NET, "tcp host=fe80::1%eth0 port=5"},
    {"tcp:[fe80::1%3]:5", URL_NET, "tcp host=fe80::1%3 port=5"},
    {"tcp:[fe80::1%25]:5", URL_NET, "tcp host=fe80::1%25 port=5"},
    {"kafka:a:9092,b:9092", URL_NET, "kafka host=a port=9092 host=b port=9092"},
    {"kafka:a,[::1]:9092,c", URL_NET, "kafka host=a host=::1 port=9092 host=c"},
    {"kafka:[::1]:9092", URL_NET, "kafka host=::1 port=9092"},
    {"kafka:a:9092/topic", URL_NET, "kafka host=a port=9092 path=/topic"},
    {"kafka://user:p%40ss@a:9092,[fe80::1]:9093/topic", URL_NET,
     "kafka user=user password=p@ss host=a port=9092 host=fe80::1 port=9093 path=/topic"},
    {"nats://user:pw@h:4222", URL_NET, "nats user=user password=pw host=h port=4222"},
    {"nats:user:pw@h:4222", URL_NET, "nats user=user password=pw host=h port=4222"},
    {"nats://token@h", URL_NET, "nats user=token host=h"},
    {"nats://user:@h", URL_NET, "nats user=user password is empty host=h"},
    {"redis://:pw@h", URL_NET, "redis user is empty password=pw host=h"},
    {"redis://@h", URL_NET, "redis user is empty host=h"},
    {"nats://u:p@ss@h", URL_NET, "nats user=u password=p@ss host=h"}, /* the last one counts */
    {"nats://u:p:w%3a@h", URL_NET, "nats user=u password=p:w: host=h"},
    {"nats://u%3A:%2F%3f%23%25%20@h", URL_NET, "nats user=u: password=/?#%  host=h"},
    {"nats://\xc3\xbc:%C3%BC@h", URL_NET, "nats user=\xc3\xbc password=\xc3\xbc host=h"},
    {"HTTP://user:pw@h:8123/?query=INSERT%20INTO&password=x", URL_NET,
     "http user=user password=pw host=h port=8123 path=/ query=query=INSERT%20INTO&password=x"},
    {"https://h/path", URL_NET, "https host=h path=/path"},
    {"https://h/a%20b%2fc?", URL_NET, "https host=h path=/a b/c"},
    {"https://h?a=/b?c%0a%ff", URL_NET, "https host=h query=a=/b?c%0a%ff"},
};

static void test_good(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < COUNT(good); i++) {
        struct url u;
        struct err e = {0};
        int rc = url_parse(good[i].text, good[i].kind, &u, &e);
        if (rc)
            fail_msg("%s: %s", good[i].text, e.text);
        assert_non_null(u.path);
        assert_non_null(u.query);
        assert_string_equal(describe(&u, &b), good[i].parts);
        assert_true((u.hosts != NULL) == (good[i].kind == URL_NET));
        url_free(&u);
        assert_null(u.scheme);
        url_free(&u); /* an empty one */
    }
    buf_free(&b);
}

/* S3CRET marks what must not be told. */
static const struct {
    const char *text;
    enum url_kind kind;
    int code;
    const char *says;
} bad[] = {
    {"", URL_NET, ERR_MALFORMED, "does not begin with a scheme"},
    {":", URL_BARE, ERR_MALFORMED, "does not begin with a scheme"},
    {"//h:1", URL_NET, ERR_MALFORMED, "does not begin with a scheme"},
    {"/var/x", URL_PATH, ERR_MALFORMED, "does not begin with a scheme"},
    {"7up:h:1", URL_NET, ERR_MALFORMED, "does not begin with a scheme"},
    {"u_s:S3CRET@h", URL_NET, ERR_MALFORMED, "does not begin with a scheme"},
    {"null:x", URL_BARE, ERR_MALFORMED, "has something behind its colon"},
    {"null://", URL_BARE, ERR_MALFORMED, "has something behind its colon"},

    {"file", URL_PATH, ERR_MALFORMED, "has no path"},
    {"file:", URL_PATH, ERR_MALFORMED, "has no path"},
    {"file://", URL_PATH, ERR_MALFORMED, "has no path"},
    {"file:var/x", URL_PATH, ERR_MALFORMED, "has a path that is not absolute"},
    {"file://host/x", URL_PATH, ERR_MALFORMED, "has a host in front of its path"},
    {"file:/a\nb", URL_PATH, ERR_MALFORMED, "has a control character in it"},
    {"file:/a\x7f", URL_PATH, ERR_MALFORMED, "has a control character in it"},
    {"file:/\xc2\x85", URL_PATH, ERR_MALFORMED, "has a control character in it"},
    {"file:/\xff", URL_PATH, ERR_MALFORMED, "has bytes that are not UTF-8 in it"},
    {"file:/\xc3", URL_PATH, ERR_MALFORMED, "has bytes that are not UTF-8 in it"},

    {"tcp", URL_NET, ERR_MALFORMED, "has no host"},
    {"tcp:", URL_NET, ERR_MALFORMED, "has no host"},
    {"tcp://", URL_NET, ERR_MALFORMED, "has no host"},
    {"tcp:/x", URL_NET, ERR_MALFORMED, "has no host"},
    {"tcp:///h:1", URL_NET, ERR_MALFORMED, "has no host"},
    {"http://?x", URL_NET, ERR_MALFORMED, "has no host"},
    {"nats://u:S3CRET@", URL_NET, ERR_MALFORMED, "has no host"},
    {"nats://u:S3CRET@/x", URL_NET, ERR_MALFORMED, "has no host"},
    {"tcp::9000", URL_NET, ERR_MALFORMED, "has an empty host"},
    {"tcp://u:S3CRET@:9000", URL_NET, ERR_MALFORMED, "has an empty host"},
    {"kafka:,", URL_NET, ERR_MALFORMED, "has an empty host"},
    {"kafka:a:1,", URL_NET, ERR_MALFORMED, "has an empty host"},
    {"kafka:a:1,,b:1", URL_NET, ERR_MALFORMED, "has an empty host"},
    {"tcp:h%61:1", URL_NET, ERR_MALFORMED, "not of letters, digits"},
    {"tcp:h\xc3\xbc:1", URL_NET, ERR_MALFORMED, "not of letters, digits"},
    {"tcp:a[::1]", URL_NET, ERR_MALFORMED, "more than one colon"},
    {"tcp:a]:1", URL_NET, ERR_MALFORMED, "not of letters, digits"},
    {"tcp:::1:9000", URL_NET, ERR_MALFORMED, "an IPv6 address stands in brackets"},
    {"tcp://fe80::1", URL_NET, ERR_MALFORMED, "an IPv6 address stands in brackets"},
    {"tcp:[::1:9000", URL_NET, ERR_MALFORMED, "has a [ without its ]"},
    {"tcp:[", URL_NET, ERR_MALFORMED, "has a [ without its ]"},
    {"kafka:[::1,b]:9000", URL_NET, ERR_MALFORMED, "has a [ without its ]"},
    {"tcp:[]:1", URL_NET, ERR_MALFORMED, "no IPv6 address"},
    {"tcp:[h]:1", URL_NET, ERR_MALFORMED, "no IPv6 address"},
    {"tcp:[1.2.3.4]:1", URL_NET, ERR_MALFORMED, "no IPv6 address"},
    {"tcp:[1:2:3:4:5:6:7:8:9]:1", URL_NET, ERR_MALFORMED, "no IPv6 address"},
    {"tcp:[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1", URL_NET, ERR_MALFORMED,
     "no IPv6 address"},
    {"tcp:[::1]9000", URL_NET, ERR_MALFORMED, "other than a port behind a ]"},
    {"tcp:[::1]]:9000", URL_NET, ERR_MALFORMED, "other than a port behind a ]"},
    {"tcp:[fe80::1%]:1", URL_NET, ERR_MALFORMED, "zone is no name"},
    {"tcp:[fe80::1%a%b]:1", URL_NET, ERR_MALFORMED, "zone is no name"},
    {"tcp:[fe80::1%an_interface_of16]:1", URL_NET, ERR_MALFORMED, "zone is no name"},
    {"tcp:h:", URL_NET, ERR_MALFORMED, "has a port that is no number, allowed is 1 to 65535"},
    {"tcp:h:http", URL_NET, ERR_MALFORMED, "has a port that is no number"},
    {"tcp:h:-1", URL_NET, ERR_MALFORMED, "has a port that is no number"},
    {"tcp:h:+1", URL_NET, ERR_MALFORMED, "has a port that is no number"},
    {"tcp:h:0", URL_NET, ERR_RANGE, "has a port out of range, allowed is 1 to 65535"},
    {"tcp:h:65536", URL_NET, ERR_RANGE, "has a port out of range"},
    {"tcp:h:18446744073709551617", URL_NET, ERR_RANGE, "has a port out of range"},
    {"kafka:u:S3CRET,b:1", URL_NET, ERR_MALFORMED, "has a port that is no number"},

    {"http://h/a b", URL_NET, ERR_MALFORMED, "has a space in it, which is written %20"},
    {"nats://u:S3CRET x@h", URL_NET, ERR_MALFORMED, "has a space in it"},
    {"nats://u:S3CRET\t@h", URL_NET, ERR_MALFORMED, "has a control character in it"},
    {"nats://u:S3CRET\xe0\x80\x80@h", URL_NET, ERR_MALFORMED, "has bytes that are not UTF-8 in it"},
    {"nats://u:S3CRET%00@h", URL_NET, ERR_MALFORMED, "has %00, a NUL, in its password"},
    {"nats://u:S3CRET%0a@h", URL_NET, ERR_MALFORMED, "has a control character in its password"},
    {"nats://u:S3CRET%7F@h", URL_NET, ERR_MALFORMED, "has a control character in its password"},
    {"nats://u:S3CRET%c2%80@h", URL_NET, ERR_MALFORMED, "has a control character in its password"},
    {"nats://u:S3CRET%ff@h", URL_NET, ERR_MALFORMED, "has bytes that are not UTF-8 in its password"},
    {"nats://u:S3CRET%@h", URL_NET, ERR_MALFORMED, "has a % without two hexadecimal digits in its password"},
    {"nats://u:S3CRET%4@h", URL_NET, ERR_MALFORMED, "has a % without two hexadecimal digits in its password"},
    {"nats://u:S3CRET%4g@h", URL_NET, ERR_MALFORMED, "% is written %25"},
    {"nats://u%:S3CRET@h", URL_NET, ERR_MALFORMED, "has a % without two hexadecimal digits in its user"},
    {"nats://u%01:S3CRET@h", URL_NET, ERR_MALFORMED, "has a control character in its user"},
    {"http://h/%", URL_NET, ERR_MALFORMED, "has a % without two hexadecimal digits in its path"},
    {"http://h/%0d", URL_NET, ERR_MALFORMED, "has a control character in its path"},
    {"http://h/?password=S3CRET%2", URL_NET, ERR_MALFORMED,
     "has a % without two hexadecimal digits in its query"},
    {"http://h/?password=S3CRET%00", URL_NET, ERR_MALFORMED, "has %00, a NUL, in its query"},
    {"nats://u:S3/CRET@h", URL_NET, ERR_MALFORMED, "has a slash, ? or # in front of an @"},
    {"nats://u:S3?CRET@h", URL_NET, ERR_MALFORMED, "has a slash, ? or # in front of an @"},
    {"nats://u:S3#CRET@h", URL_NET, ERR_MALFORMED,
     "in a user or a password they are written %2F, %3F and %23"},
    {"nats://u:S3CRET@a:1,nats://u:S3CRET@b:1", URL_NET, ERR_MALFORMED,
     "has a slash, ? or # in front of an @"},
    {"http://h:80/?a=b@c", URL_NET, ERR_MALFORMED, "behind the hosts an @ is %40"},
    {"http://h/a#b", URL_NET, ERR_MALFORMED, "has a # in it, which is written %23 (there are no fragments)"},
    {"http://h#b", URL_NET, ERR_MALFORMED, "has a # in it"},
    {"http://h/?password=S3CRET#b", URL_NET, ERR_MALFORMED, "has a # in it"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct url u;
        struct err e = {0};
        struct buf b;
        int rc = url_parse(bad[i].text, bad[i].kind, &u, &e);
        if (rc != bad[i].code || e.code != rc || !strstr(e.text, bad[i].says))
            fail_msg("%s: %d %s", bad[i].text, rc, e.text);
        assert_true(!u.scheme && !u.user && !u.password && !u.hosts && !u.n_hosts && !u.path && !u.query);
        assert_null(strstr(e.text, "S3"));
        assert_int_equal(url_parse(bad[i].text, bad[i].kind, &u, NULL), rc);
        /* A text that is refused is shown with its error. */
        buf_init(&b);
        url_print_safe(bad[i].text, &b);
        if (strchr(bad[i].text, '@') && (strstr(buf_cstr(&b), "S3") || strstr(buf_cstr(&b), "CRET")))
            fail_msg("%s: %s", bad[i].text, buf_cstr(&b));
        buf_free(&b);
    }
}

/* Reads |begin|, |n| bytes |c| and |end|. */
static int parse_long(const char *begin, char c, size_t n, const char *end, enum url_kind kind, struct err *e)
{
    struct buf text;
    struct url u;
    buf_init(&text);
    buf_str(&text, begin);
    while (n-- > 0)
        buf_char(&text, c);
    buf_str(&text, end);
    int rc = url_parse(buf_cstr(&text), kind, &u, e);
    url_free(&u);
    buf_free(&text);
    return rc;
}

static void test_bounds(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(parse_long("file:/", 'x', URL_TEXT_MAX - 6, "", URL_PATH, &e), 0);
    assert_int_equal(parse_long("file:/", 'x', URL_TEXT_MAX - 5, "", URL_PATH, &e), ERR_RANGE);
    assert_string_equal(e.text, "is too long, allowed are 4096 bytes");
    assert_int_equal(parse_long("tcp:", 'h', URL_HOST_MAX, ":1", URL_NET, &e), 0);
    assert_int_equal(parse_long("tcp:", 'h', URL_HOST_MAX + 1, ":1", URL_NET, &e), ERR_RANGE);
    assert_string_equal(e.text, "has a host that is too long, allowed are 253 bytes");
    assert_int_equal(parse_long("tcp:h:", '0', 100, "1", URL_NET, &e), 0);

    struct buf text;
    struct url u;
    buf_init(&text);
    buf_str(&text, "kafka:h");
    for (size_t i = 1; i < URL_HOSTS_MAX; i++)
        buf_str(&text, ",h");
    assert_int_equal(url_parse(buf_cstr(&text), URL_NET, &u, &e), 0);
    assert_int_equal(u.n_hosts, URL_HOSTS_MAX);
    url_free(&u);
    buf_str(&text, ",h");
    assert_int_equal(url_parse(buf_cstr(&text), URL_NET, &u, &e), ERR_RANGE);
    buf_free(&text);
    assert_string_equal(e.text, "has too many hosts, allowed are 32");
}

static void test_scheme(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *scheme;
    } cases[] = {
        {"null", "null"},
        {"Kafka:a", "kafka"},
        {"a+b-c.1://x", "a+b-c.1"},
        {"sixteen.letters.:", ""}, /* does not fit */
        {"fifteen.letters:", "fifteen.letters"},
        {"", ""},
        {":", ""},
        {"1a:", ""},
        {"a b:", ""},
        {"/a:b", ""},
        {"\xc3\xbc:", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[16];
        memset(out, '#', sizeof(out));
        url_scheme(cases[i].text, out, sizeof(out));
        assert_string_equal(out, cases[i].scheme);
    }
}

static void test_query(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int length;
        const char *value;
    } cases[] = {
        {"a", 1, "1"}, /* the first one */
        {"empty", 0, ""},       {"flag", 0, ""},  {"sp ace", 5, "x y+z"}, {"eq", 3, "b=c"},
        {"fits", 7, "1234567"}, {"long", -1, ""}, {"line", -1, ""},       {"byte", -1, ""},
        {"absent", -1, ""},     {"A", -1, ""},    {"em", -1, ""},         {"empty2", -1, ""},
        {"", -1, ""},
    };
    struct url u;
    assert_int_equal(
        url_parse("http://h/?a=1&empty=&a=2&flag&%73p%20ace=x%20y+z&eq=b=c&fits=123456%37&long=1234567%38&"
                  "line=a%0ab&byte=%ff",
                  URL_NET, &u, NULL),
        0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[8] = "#";
        if (url_query(&u, cases[i].name, out, sizeof(out)) != cases[i].length ||
            strcmp(out, cases[i].value) != 0)
            fail_msg("%s: %s", cases[i].name, out);
    }
    url_free(&u);
    assert_int_equal(url_parse("null", URL_BARE, &u, NULL), 0);
    char out[8] = "#";
    assert_int_equal(url_query(&u, "a", out, sizeof(out)), -1);
    assert_string_equal(out, "");
    url_free(&u);
}

static void test_print(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *safe;
    } cases[] = {
        {"", ""},
        {"null", "null"},
        {"kafka:a:9092,b:9092", "kafka:a:9092,b:9092"},
        {"tcp://[::1]:9000", "tcp://[::1]:9000"},
        {"nats://user:pw@h:4222", "nats://user:***@h:4222"},
        {"nats:user:pw@h:4222", "nats:user:***@h:4222"},
        {"nats://user:p@w@h:4222", "nats://user:***@h:4222"},
        {"nats://user:p:w@h:4222", "nats://user:***@h:4222"},
        {"nats://user:@h", "nats://user:@h"},
        {"redis://:pw@h", "redis://:***@h"},
        {"nats://token@h", "nats://***@h"},
        {"https://h/path?a=b", "https://h/path?a=b"},
        {"http://user:pw@h:8123/?query=INSERT%20INTO&password=x",
         "http://user:***@h:8123/?query=INSERT%20INTO&password=***"},

        /* names of parameters */
        {"http://h/?passwd=x&a=1&pass=x", "http://h/?passwd=***&a=1&pass=***"},
        {"http://h/?AccessToken=x&client_secret=x&api-KEY=x",
         "http://h/?AccessToken=***&client_secret=***&api-KEY=***"},
        {"http://h/?X-Amz-Signature=x&X-Amz-Credential=x&sig=x&oauth=x&pwd=x",
         "http://h/?X-Amz-Signature=***&X-Amz-Credential=***&sig=***&oauth=***&pwd=***"},
        {"http://h/?p%61ssw%6Frd=x&%70ASS=x", "http://h/?p%61ssw%6Frd=***&%70ASS=***"},
        {"http://h/?user=a&pas=s&password", "http://h/?user=a&pas=s&password"},
        {"http://h/?password=", "http://h/?password="},
        {"http://h/?a=password", "http://h/?a=password"},
        {"http://h/?password=a=b;c?d#e%26&f=1", "http://h/?password=***&f=1"},
        {"http://h/?a=1;password=x&b=2", "http://h/?a=1;password=***&b=2"},
        {"http://h/?a=1?password=x", "http://h/?a=1?password=***"},
        {"http://h/#token=x", "http://h/#token=***"},
        {"http://h/&key=x", "http://h/&key=x"},
        {"http://u@v:p&key=@h/?a=b&key=x", "http://u@v:***@h/?a=b&key=***"},

        /* what url_parse refuses */
        {"user:pw@h:1", "user:***@h:1"},
        {"us_er:pw@h:1", "us_er:***@h:1"},
        {"//user:pw@h:1", "//user:***@h:1"},
        {" nats://user:pw@h:1", " nats:***@h:1"},
        {"nats:/user:pw@h:1", "nats:/user:***@h:1"},
        {"nats:///user:pw@h:1", "nats:///user:***@h:1"},
        {"nats://user:p/w?x#y@h:1", "nats://user:***@h:1"},
        {"nats://u:pw@a:1,nats://u:pw@b:1", "nats://u:***@b:1"},
        {"http://h/?password=a@b", "http://***"},
        {"http://h:1/?password=a@b&c=d", "http://h:***&c=d"},
        {"nats://user:p\nw@h\n:\x1b[1m\xff\xe2\x80\xae",
         "nats://user:***@h" UTF8_REPLACEMENT ":" UTF8_REPLACEMENT "[1m" UTF8_REPLACEMENT UTF8_REPLACEMENT},

        /* paths */
        {"file:/var/x", "file:/var/x"},
        {"file:/var/x@y", "file:/var/x@y"},
        {"file:///var/x@y:1", "file:///var/x@y:1"},
        {"/var/x@y", "/var/x@y"},
    };
    struct buf b, again;
    buf_init(&b);
    buf_init(&again);
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_reset(&b);
        buf_reset(&again);
        url_print_safe(cases[i].text, &b);
        assert_string_equal(buf_cstr(&b), cases[i].safe);
        url_print_safe(buf_cstr(&b), &again);
        assert_string_equal(buf_cstr(&again), cases[i].safe);
    }
    buf_free(&b);
    buf_free(&again);
}

/* What is longer than a URL may be is cut, wherever its password ends. */
static void test_print_long(void **state)
{
    (void)state;
    static char text[3 * URL_TEXT_MAX];
    struct buf b;
    buf_init(&b);
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "nats://u:", 9);
    memcpy(text + sizeof(text) - 5, "@h:1", 5);
    url_print_safe(text, &b);
    assert_string_equal(buf_cstr(&b), "nats://u:***...");

    buf_reset(&b);
    memset(text, '\1', sizeof(text) - 1);
    url_print_safe(text, &b);
    assert_int_equal(b.len, URL_SAFE_MAX);

    /* It ends within a character and within a secret. */
    buf_reset(&b);
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text + URL_TEXT_MAX - 1, "\xc3\xbc", 2);
    url_print_safe(text, &b);
    assert_string_equal(buf_cstr(&b) + URL_TEXT_MAX - 1, UTF8_REPLACEMENT "...");
    buf_reset(&b);
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text + URL_TEXT_MAX - 10, "?password=", 10);
    url_print_safe(text, &b);
    assert_string_equal(buf_cstr(&b) + URL_TEXT_MAX - 10, "?password=...");
    buf_free(&b);
}

static void test_each_allocation(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum url_kind kind;
        unsigned allocations;
    } cases[] = {
        {"null", URL_BARE, 3},
        {"file:/x", URL_PATH, 3},
        {"kafka://u:p@a:1,[::1]:1,[fe80::1%eth0]:1/topic?a=b", URL_NET, 9},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct url u;
        struct err e;
        for (unsigned n = 0; n < cases[i].allocations; n++) {
            until_failure = (long)n;
            int rc = url_parse(cases[i].text, cases[i].kind, &u, &e);
            until_failure = -1;
            assert_int_equal(rc, -ENOMEM);
            assert_string_equal(e.text, "cannot be read: out of memory");
            assert_null(u.scheme);
        }
        until_failure = (long)cases[i].allocations;
        int rc = url_parse(cases[i].text, cases[i].kind, &u, &e);
        bool unused = until_failure == 0;
        until_failure = -1;
        assert_int_equal(rc, 0);
        assert_true(unused);
        url_free(&u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_bad),
        cmocka_unit_test(test_bounds),     cmocka_unit_test(test_scheme),
        cmocka_unit_test(test_query),      cmocka_unit_test(test_print),
        cmocka_unit_test(test_print_long), cmocka_unit_test(test_each_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
