/* Messages of a stream of records from any daemon, up to the terminal: the first byte chooses the format, its
 * highest bits how records are shown, the rest are messages, each preceded by its length in two bytes. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/show/record_pipeline.h"
#include "client/show/stream_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int nowhere = -1;
    if (nowhere < 0)
        nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (size < 1)
        return 0;

    struct options options = {.target = "fuzz"};
    struct output out;
    struct session session = {.options = &options, .out = &out};
    struct stream_reader reader;
    struct record_pipeline show;
    options.output = (enum output_format)(OUTPUT_TABLE + data[0] % 32 % (OUTPUT_COUNT - OUTPUT_TABLE));
    if (data[0] & 0x80) {
        options.sort_by = "-rtt,netns";
        options.time = true;
    }
    if (data[0] & 0x40) {
        options.columns = "local,peer,cong,tcp_info_rtt,hostname";
        options.arguments = (struct option_list){.items = {"state established or dport != 443"}, .n = 1};
        options.netns = (struct option_list){.items = {"*a*", "default"}, .n = 2};
    }
    output_init(&out, nowhere);
    out.notes_fd = nowhere;
    if (record_pipeline_open(&show, &options, &out, data[0] & 0x20) != 0)
        abort();
    stream_reader_init(&reader, &session, show.records, show.query);
    reader.node = data[0] & 0x20 ? "node" : NULL;
    reader.max_records = 100;
    data++;
    size--;
    while (size >= 2) {
        size_t n = (size_t)(data[0] | data[1] << 8);
        struct rpc_bytes message = {.data = malloc(n ? n : 1)};
        struct err e = {0};
        data += 2;
        size -= 2;
        if (n > size)
            n = size;
        for (size_t i = 0; i < n; i++)
            message.data[i] = data[i];
        message.len = n;
        int rc = stream_reader_message(&reader, &message, &e);
        free(message.data);
        if (rc == 1)
            break;
        data += n;
        size -= n;
    }
    record_pipeline_close(&show);
    output_fini(&out);
    return 0;
}
