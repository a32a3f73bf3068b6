/* The parts of a command that shows records: the view of them, the query for them, the sink that takes them. One
 * thread. */
#ifndef XTCP_CLIENT_SHOW_RECORD_PIPELINE_H
#define XTCP_CLIENT_SHOW_RECORD_PIPELINE_H

#include <stdbool.h>

#include "client/session.h"
#include "client/show/query.h"
#include "client/show/record_sink.h"
#include "client/show/view.h"

struct record_pipeline {
    struct view *view;
    struct query *query;
    struct record_sink *records;
};

/* Makes |w| of the options |o| for records that go to |out|, both of which must outlive it; |nodes|: they
 * come from several. Returns EXIT_DONE, or EXIT_USAGE or EXIT_FAILED with the failure told on standard error;
 * call record_pipeline_close in any case. */
int record_pipeline_open(struct record_pipeline *w, const struct options *o, struct output *out, bool nodes);

/* Writes the records that wait, and ends the output. */
void record_pipeline_close(struct record_pipeline *w);

#endif
