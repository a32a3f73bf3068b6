/* The last step of a builder, and the check of any configuration: each value against the bounds of its option, and the
 * rules between options. */
#include <errno.h>
#include <string.h>

#include "config/config_internal.h"
#include "config/output_list.h"
#include "config/value.h"

/* ---- Errors ---- */

/* |e| is about |option|: puts its name before the sentence, and tells the error to the listener, if there is one. |b|
 * NULL: the origins of the values are not known. Returns 0 when the checks are to go on, else e's code. */
static int blame(struct config_builder *b, const struct config_option *option, struct err *e)
{
    prefix_option(e, b ? b->origins[option_index(option)] : NULL, option);
    return b ? builder_tell(b, option, e) : e->code;
}

/* Whether rules about |option| are checked: not when its value is known to be wrong. */
static bool counts(const struct config_builder *b, enum config_option_index option)
{
    return !b || !b->wrong[option];
}

/* ---- Values ---- */

static int check_values(struct config_builder *b, const struct config *c, struct err *e)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *o = &config_options[i];
        const struct value_type *type = value_type(o);
        if (!counts(b, i) || !type->check || !type->check(o, value_field_const(o, c), e))
            continue;
        int rc = blame(b, o, e);
        if (rc)
            return rc;
    }
    if (c->debug_level > DEBUG_LEVEL_MAX)
        return err_set(e, ERR_RANGE, "debug_level: value \"%u\" is out of range; allowed 0 to %d",
                       c->debug_level, DEBUG_LEVEL_MAX);
    return 0;
}

/* ---- Rules between options ---- */

/* The first option, a duration, must be less than the second. */
static const struct rule {
    enum config_option_index lesser, greater;
} rules[] = {{CONFIG_OPTION_poll_timeout, CONFIG_OPTION_poll_frequency}};

static const char *print_value(const struct config_option *o, const struct config *c, struct buf *out)
{
    config_option_print(o, c, out);
    return buf_cstr(out);
}

/* The sentence for a rule that does not hold. Blames, and returns, an option that was set rather than a default, and
 * tells the origin of the other one. */
static const struct config_option *rule_error(const struct rule *rule, const struct config *c,
                                              char *const *origins, struct err *e)
{
    bool greater_is_wrong = origins && !origins[rule->lesser] && origins[rule->greater];
    const struct config_option *wrong = &config_options[greater_is_wrong ? rule->greater : rule->lesser];
    const struct config_option *other = &config_options[greater_is_wrong ? rule->lesser : rule->greater];
    const char *from = origins ? origins[option_index(other)] : NULL;
    char storage[2][64];
    struct buf value, limit;
    buf_init_fixed(&value, storage[0], sizeof(storage[0]));
    buf_init_fixed(&limit, storage[1], sizeof(storage[1]));
    err_set(e, ERR_RANGE, "value \"%s\" must be %s than %s, which is \"%s\"%s%s%s",
            print_value(wrong, c, &value), greater_is_wrong ? "greater" : "less", other->name,
            print_value(other, c, &limit), origins ? " (" : "",
            from      ? from
            : origins ? "default"
                      : "",
            origins ? ")" : "");
    return wrong;
}

/* The output that the option dest makes. Its name is taken then. */
static int check_default_output(const struct config *c, struct err *e)
{
    struct output_config output;
    int rc;
    if (!output_config_default(c, &output, &rc, e))
        return rc;
    output_config_free(&output);
    if (outputs_find(&c->outputs, OUTPUT_DEFAULT))
        return err_set(e, ERR_DUPLICATE,
                       "makes an output \"" OUTPUT_DEFAULT "\", and outputs has one of that name");
    return 0;
}

static int check_rules(struct config_builder *b, const struct config *c, struct err *e)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const int64_t *lesser = value_field_const(&config_options[rules[i].lesser], c);
        const int64_t *greater = value_field_const(&config_options[rules[i].greater], c);
        if (*lesser < *greater || !counts(b, rules[i].lesser) || !counts(b, rules[i].greater))
            continue;
        int rc = blame(b, rule_error(&rules[i], c, b ? b->origins : NULL, e), e);
        if (rc)
            return rc;
    }
    int rc =
        counts(b, CONFIG_OPTION_dest) && counts(b, CONFIG_OPTION_outputs) ? check_default_output(c, e) : 0;
    if (rc && (rc = blame(b, &config_options[CONFIG_OPTION_dest], e)))
        return rc;
    if (!counts(b, CONFIG_OPTION_grpc_listen) || !counts(b, CONFIG_OPTION_grpc_insecure) ||
        !access_check_exposure(c, e))
        return 0;
    return blame(b, &config_options[CONFIG_OPTION_grpc_listen], e);
}

/* ---- The whole ---- */

static int validate(struct config_builder *b, const struct config *c, struct err *e)
{
    struct err unused;
    if (!e)
        e = &unused;
    int rc = check_values(b, c, e);
    return rc ? rc : check_rules(b, c, e);
}

int config_validate(const struct config *c, struct err *e)
{
    return validate(NULL, c, e);
}

/* With a short interval the timeout need not be given as well. */
static void fit_default_timeout(const struct config_builder *b, struct config *c)
{
    if (!b->origins[CONFIG_OPTION_poll_timeout] && c->poll_timeout >= c->poll_frequency)
        c->poll_timeout = c->poll_frequency / 2;
}

int config_build(struct config_builder *b, struct config **out, struct err *e)
{
    struct config *c = config_copy(b->config);
    if (!c || config_normalise(c)) {
        config_unref(c);
        return err_set(e, -ENOMEM, "out of memory");
    }
    fit_default_timeout(b, c);
    int rc = validate(b, c, e);
    if (rc == 0 && b->first.code)
        rc = err_set(e, b->first.code, "%s", b->first.text);
    if (rc) {
        config_unref(c);
        return rc;
    }
    *out = c;
    return 0;
}
