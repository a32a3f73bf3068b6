#include "client/show/record_pipeline.h"

int record_pipeline_open(struct record_pipeline *w, const struct options *o, struct output *out, bool nodes)
{
    struct err e = {0};
    *w = (struct record_pipeline){0};
    int rc = view_new(o, &w->view, &e);
    if (rc == 0)
        rc = query_new(o, w->view, &w->query, &e);
    if (rc < 0) {
        output_note(out, "%s", e.text);
        return rc == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
    }
    w->records = record_sink_new(w->view, nodes, out);
    if (w->records)
        return EXIT_DONE;
    output_note(out, "out of memory");
    return EXIT_FAILED;
}

void record_pipeline_close(struct record_pipeline *w)
{
    record_sink_free(w->records);
    query_free(w->query);
    view_free(w->view);
    *w = (struct record_pipeline){0};
}
