/* A spool in a folder of the test's own, and entries that can be told from their number. */
#ifndef XTCP_TESTS_OUTPUTS_SPOOL_FIXTURE_H
#define XTCP_TESTS_OUTPUTS_SPOOL_FIXTURE_H

#include "lib_test.h"

#include <sys/types.h>

#include "outputs/spool.h"
#include "outputs/spool_folder.h"

#define KIB 1024u
#define MIB (1024u * KIB)

/* In a child, where an assertion would go on with the parent's tests. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                  \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

#define SPOOL_DIR_SIZE 64

extern const char *spool_parent; /* a folder that is the test's own */
extern char spool_dir
    [SPOOL_DIR_SIZE]; /* that of the spool, in it: not there at the begin of a test, removed at its end */
extern struct buf spool_data; /* of the entry that was read last */

/* For cmocka: the folder for all tests, and the spool of one. */
int spool_group_setup(void **state);
int spool_group_teardown(void **state);
int spool_setup(void **state);
int spool_teardown(void **state);

#define SPOOL_TEST(name) cmocka_unit_test_setup_teardown(name, spool_setup, spool_teardown)

/* ---- Entries ---- */

/* The same numbers in each run. */
uint64_t random_below(uint64_t n);

/* The entry |number| with |len| bytes of data, which are valid until the next call. */
struct spool_entry entry_of(uint64_t number, size_t len);
bool is_entry(const struct spool_entry *got, uint64_t number, size_t len);

/* Rows of the entries from |first| up to |end|; each has some. */
uint64_t rows_of(uint64_t first, uint64_t end);

/* As spool_put, and with its result. */
int try_put(struct spool *s, uint64_t number, size_t len, struct err *e);
void put_entry(struct spool *s, uint64_t number, size_t len);

/* The entry is the oldest one; the second one takes it as well. */
void expect_entry(struct spool *s, uint64_t number, size_t len);
void take_entry(struct spool *s, uint64_t number, size_t len);
void expect_empty(struct spool *s);

struct spool_stats stats_of(const struct spool *s);

/* ---- The folder ---- */

struct spool *open_with(uint64_t bytes_max, int64_t age_max);
struct spool *open_spool(void);

/* The spool cannot be opened, with |code| and a text that has |words|. */
void assert_refused(int code, const char *words);

/* Removes the folder of the spool with all that is in it. */
void remove_dir(void);

/* Paths in it: valid until the fourth call after. */
const char *in_dir(const char *name);
const char *segment_path(uint64_t number);

size_t read_file(const char *path, uint8_t *to, size_t size);
void write_file(const char *path, const void *data, size_t n);
bool exists(const char *path);

/* How many segments there are, and their bytes. */
size_t segments(uint64_t *bytes);
void assert_no_segments(void);

/* ---- Processes ---- */

/* Waits for |child|, which must end well; kills |child|, which must still be there. */
void join(pid_t child);
void end_by_kill(pid_t child);

#endif
