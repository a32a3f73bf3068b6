/* How long an honest caller waits. */
#ifndef XTCP_TEST_FLOOD_PROBE_H
#define XTCP_TEST_FLOOD_PROBE_H

#include "tests/integration/tool/flood_link.h"

/* Calls |method| without a message, one call after the other, until standard input ends. Says "ready" after
 * the first answer; for each line that comes, says in a line of JSON how the calls since the last one went.
 */
void probe(const struct address *target, const struct address *from, SSL_CTX *tls, const char *method);

#endif
