/* Writes a recorded Envelope in one of the forms: outputs_dump FORM FILE [COLUMN ...]. The Python tests
 * compare the output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outputs/format/format.h"

static int dump(struct format_writer *w, FILE *file)
{
    struct buf in, out;
    buf_init(&in);
    buf_init(&out);
    char block[65536];
    for (size_t n; (n = fread(block, 1, sizeof(block), file)) > 0;)
        buf_bytes(&in, block, n);
    format_begin(w, &out, true);
    int64_t rc = format_envelope(w, &out, (const uint8_t *)in.data, in.len);
    format_end(w, &out);
    if (rc < 0)
        fprintf(stderr, "%s\n", err_name((int)rc));
    fwrite(out.data, 1, out.len, stdout);
    bool ok = rc >= 0 && !in.failed && !out.failed && !ferror(file);
    buf_free(&in);
    buf_free(&out);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct record_field *columns[FIELD_COUNT];
    struct format_writer *w;
    size_t n = 0;
    if (argc < 3)
        return 2;
    for (int i = 3; i < argc && n < FIELD_COUNT; i++)
        columns[n++] = record_field_by_name(argv[i], strlen(argv[i]));
    const struct format *f = format_by_name(argv[1]);
    FILE *file = fopen(argv[2], "rb");
    if (!f || !file || format_writer_new(f, n ? columns : NULL, n, &w) < 0)
        return 2;
    int rc = dump(w, file);
    format_writer_free(w);
    fclose(file);
    return rc;
}
